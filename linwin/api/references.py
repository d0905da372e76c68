"""References as docker's queries carry them: a name, and apart from it a tag or a digest."""

from __future__ import annotations


def joined(name: str, tag: str) -> str | None:
    """One reference of the two; None where neither says a tag or a digest.

    A digest in the name counts above all, then ``tag``, which may be a digest
    too, and then the name's own tag.
    """
    if "@" in name:
        return name
    if tag:
        return f"{repository(name)}@{tag}" if ":" in tag else f"{repository(name)}:{tag}"
    return name if repository(name) != name else None


def repository(reference: str) -> str:
    """The reference without its tag and its digest; a registry's port is no tag."""
    named = reference.partition("@")[0]
    folder, slash, last = named.rpartition("/")
    return folder + slash + last.partition(":")[0]


def tag_of(reference: str) -> str:
    """The tag of a reference, its digest where it has no tag."""
    named, _, digest = reference.partition("@")
    return named.rpartition("/")[2].partition(":")[2] or digest
