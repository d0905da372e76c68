"""Image references, read as docker reads them.

The grammar is that of the distribution project's ``reference`` package::

    reference := [domain "/"] path [":" tag] ["@" digest]

Docker fills in what a user leaves out: ``nanoserver`` means
``docker.io/library/nanoserver:latest``. That full form is *canonical*; the
form that docker shows, with the defaults left out again, is *familiar*.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from linwin.errors import InvalidRequest

DEFAULT_DOMAIN = "docker.io"
DEFAULT_TAG = "latest"

_LEGACY_DOMAIN = "index.docker.io"
_OFFICIAL = "library/"
_MAXIMUM_PATH = 255
_HINT = "A reference is written [REGISTRY/]NAME[:TAG][@DIGEST], with NAME in lower case."

_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_DOMAIN = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_WORD = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_ALGORITHM = r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*"
_REFERENCE = re.compile(
    rf"(?P<domain>{_DOMAIN})/(?P<path>{_WORD}(?:/{_WORD})*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?"
    rf"(?:@(?P<digest>{_ALGORITHM}:[0-9a-fA-F]{{32,}}))?"
)
_IDENTIFIER = re.compile(r"[a-f0-9]{64}")
_DIGEST = re.compile(r"sha256:[a-f0-9]{64}")
_DIGEST_DIGITS = {"sha256": 64, "sha384": 96, "sha512": 128}


@dataclass(frozen=True, slots=True)
class Reference:
    """A normalised reference: ``domain`` and ``path`` are complete, tag and digest optional."""

    domain: str
    path: str
    tag: str | None = None
    digest: str | None = None

    @property
    def name(self) -> str:
        """The repository: ``docker.io/microsoft/nanoserver``."""
        return f"{self.domain}/{self.path}"

    @property
    def familiar_name(self) -> str:
        """The repository as docker shows it: ``microsoft/nanoserver``."""
        if self.domain != DEFAULT_DOMAIN:
            return self.name
        short = self.path
        if short.startswith(_OFFICIAL) and short.count("/") == 1:
            short = short.removeprefix(_OFFICIAL)
        # docker.io/foo.bar/x must keep its domain: as foo.bar/x it would name a registry.
        return short if _split_domain(short) == (DEFAULT_DOMAIN, self.path) else self.name

    @property
    def familiar(self) -> str:
        return self.familiar_name + self._suffix

    def __str__(self) -> str:
        """The canonical form."""
        return self.name + self._suffix

    @property
    def _suffix(self) -> str:
        return (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    def with_default_tag(self) -> Reference:
        """The same reference, with ``latest`` where it has neither tag nor digest."""
        return self if self.tag or self.digest else replace(self, tag=DEFAULT_TAG)


def parse(text: str) -> Reference:
    """Normalise a reference that a user or an archive wrote.

    Raises InvalidRequest in docker's words.
    """
    if _IDENTIFIER.fullmatch(text):
        raise _invalid(f"invalid repository name ({text}), cannot specify 64-byte hexadecimal strings")
    domain, remainder = _split_domain(text)
    repository = remainder.partition(":")[0]
    if repository.lower() != repository:
        raise _invalid(f"invalid reference format: repository name ({repository}) must be lowercase")
    match = _REFERENCE.fullmatch(f"{domain}/{remainder}")
    if match is None:
        raise _invalid("invalid reference format")
    if len(match["path"]) > _MAXIMUM_PATH:
        raise _invalid(f"repository name must not be more than {_MAXIMUM_PATH} characters")
    if match["digest"]:
        _check_digest(match["digest"])
    return Reference(match["domain"], match["path"], match["tag"], match["digest"])


def parse_target(text: str) -> Reference:
    """Normalise the target of a tag: a name and a tag, never a digest."""
    target = parse(text)
    if target.digest:
        raise InvalidRequest("refusing to create a tag with a digest reference")
    if target.familiar_name == "sha256":
        raise InvalidRequest("refusing to create an ambiguous tag using digest algorithm as name")
    return target.with_default_tag()


def as_id(text: str) -> str | None:
    """Return the full image id that ``text`` is, with or without ``sha256:``, or None."""
    if _IDENTIFIER.fullmatch(text):
        return f"sha256:{text}"
    return text if is_digest(text) else None


def is_digest(text: str) -> bool:
    """Whether ``text`` is a whole sha256 digest, the only algorithm linwin stores by."""
    return _DIGEST.fullmatch(text) is not None


def familiar(canonical: str) -> str:
    """The familiar form of a stored, canonical reference."""
    return parse(canonical).familiar


def _split_domain(text: str) -> tuple[str, str]:
    """Split as docker does: the first component is a registry only if it looks like one."""
    first, slash, rest = text.partition("/")
    is_registry = slash and ("." in first or ":" in first or first == "localhost" or first.lower() != first)
    domain, remainder = (first, rest) if is_registry else (DEFAULT_DOMAIN, text)
    if domain == _LEGACY_DOMAIN:
        domain = DEFAULT_DOMAIN
    if domain == DEFAULT_DOMAIN and "/" not in remainder:
        remainder = _OFFICIAL + remainder
    return domain, remainder


def _check_digest(digest: str) -> None:
    algorithm, _, digits = digest.partition(":")
    if algorithm not in _DIGEST_DIGITS:
        raise _invalid("unsupported digest algorithm")
    if len(digits) != _DIGEST_DIGITS[algorithm]:
        raise _invalid("invalid checksum digest length")
    if digits.lower() != digits:
        raise _invalid("invalid checksum digest format")


def _invalid(message: str) -> InvalidRequest:
    return InvalidRequest(message, hint=_HINT)
