"""Image references, taken apart as far as a client must: the daemon judges whether they are valid."""

from __future__ import annotations

from dataclasses import dataclass

from linwin.errors import InvalidRequest

DEFAULT_DOMAIN = "docker.io"
DEFAULT_TAG = "latest"

_LEGACY_DOMAIN = "index.docker.io"
_OFFICIAL = "library/"


@dataclass(frozen=True, slots=True)
class Reference:
    """``domain/path:tag@digest`` with what a user leaves out filled in, but for the tag."""

    domain: str
    path: str
    tag: str = ""
    digest: str = ""

    @property
    def name(self) -> str:
        """The repository in full: ``docker.io/library/nanoserver``."""
        return f"{self.domain}/{self.path}"

    @property
    def label(self) -> str:
        """What chooses among the repository's images: the digest, the tag, or ``latest``."""
        return self.digest or self.tag or DEFAULT_TAG

    @property
    def is_name_only(self) -> bool:
        return not self.tag and not self.digest

    @property
    def familiar(self) -> str:
        """As docker shows it: ``nanoserver:latest``."""
        short = self.path if self.domain == DEFAULT_DOMAIN else self.name
        if self.domain == DEFAULT_DOMAIN and short.startswith(_OFFICIAL) and short.count("/") == 1:
            short = short.removeprefix(_OFFICIAL)
        # docker.io/foo.bar/x must keep its domain: as foo.bar/x it would name a registry.
        return (short if split(short).name == self.name else self.name) + self._suffix

    def __str__(self) -> str:
        """The canonical form: ``docker.io/library/nanoserver:latest``."""
        return self.name + self._suffix

    @property
    def _suffix(self) -> str:
        tag = self.tag or (DEFAULT_TAG if self.is_name_only else "")
        return (f":{tag}" if tag else "") + (f"@{self.digest}" if self.digest else "")


def split(text: str) -> Reference:
    """Take ``[DOMAIN/]PATH[:TAG][@DIGEST]`` apart; whatever the parts hold, the daemon gets them to judge."""
    named, at, digest = text.partition("@")
    folder, slash, last = named.rpartition("/")
    last, colon, tag = last.partition(":")
    if (at and not digest) or (colon and not tag) or not last:
        # The daemon would take what is missing for left out, and answer with latest.
        raise InvalidRequest("invalid reference format", hint="write [REGISTRY/]NAME[:TAG][@DIGEST]")
    domain, path = _split_domain(f"{folder}{slash}{last}")
    return Reference(domain, path, tag, digest)


def _split_domain(name: str) -> tuple[str, str]:
    """Docker's rule: the first component is a registry when it cannot be a name on Docker Hub."""
    first, slash, rest = name.partition("/")
    if not slash or not ("." in first or ":" in first or first == "localhost" or first != first.lower()):
        first, rest = DEFAULT_DOMAIN, name
    if first == _LEGACY_DOMAIN:
        first = DEFAULT_DOMAIN
    if first == DEFAULT_DOMAIN and "/" not in rest:
        rest = f"{_OFFICIAL}{rest}"
    return first, rest


def is_image_id(text: str) -> bool:
    """True for a full id, which no registry can be asked for: 64 hexadecimal digits, or a digest."""
    digits = text.removeprefix("sha256:")
    return len(digits) == 64 and not digits.strip("0123456789abcdef")
