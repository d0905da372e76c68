"""What travels between linwin and the registries it pulls from and pushes to."""

from __future__ import annotations

from dataclasses import dataclass, field

from linwin.model.image import Image


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a user proves his identity to one registry with.

    ``server`` is the registry's host as docker writes it, empty where the
    reference says which it is. Either name and password, or an identity token.
    The secrets are kept out of every representation.
    """

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    server: str = ""


@dataclass(frozen=True, slots=True)
class Pulled:
    """How a pull ended.

    ``reference`` is canonical, ``digest`` that of the manifest, or of the
    manifest list, which the reference named; empty for a base image that a
    template is. ``newer`` is False when the image was here under that reference
    already. ``saved`` counts the bytes of base layers that were not downloaded
    because a template provides them.
    """

    image: Image
    reference: str
    digest: str
    newer: bool
    saved: int = 0


@dataclass(frozen=True, slots=True)
class Distributed:
    """One platform that a registry has an image for, as its author wrote it; empty where he did not."""

    os: str
    architecture: str
    os_version: str = ""
    os_features: tuple[str, ...] = ()
    variant: str = ""


@dataclass(frozen=True, slots=True)
class Distribution:
    """What a registry has under a reference: a manifest or a list of them, ``size`` in bytes."""

    media_type: str
    digest: str
    size: int
    platforms: tuple[Distributed, ...]


@dataclass(frozen=True, slots=True)
class Pushed:
    """How a push ended: the manifest's digest and its size in bytes."""

    reference: str
    digest: str
    size: int


@dataclass(frozen=True, slots=True)
class SearchResult:
    """One repository that a search found."""

    name: str
    description: str = ""
    stars: int = 0
    official: bool = False
    automated: bool = False
