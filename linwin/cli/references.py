"""The two halves of an image reference, as the API's queries want them."""

from __future__ import annotations

DEFAULT_TAG = "latest"


def split_reference(reference: str) -> tuple[str, str]:
    """``host:5000/name:tag`` → repository and tag; instead of a tag the digest, or ``latest``."""
    repository, separator, digest = reference.partition("@")
    if separator:
        return repository, digest
    folder, slash, name = reference.rpartition("/")
    name, _, tag = name.partition(":")
    return f"{folder}{slash}{name}", tag or DEFAULT_TAG


def with_tag(reference: str) -> str:
    """The reference with its tag or digest written out."""
    repository, tag = split_reference(reference)
    return reference if "@" in reference else f"{repository}:{tag}"
