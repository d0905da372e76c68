"""Manifests and manifest lists, as a registry gives them.

Sources: Docker's "Image Manifest Version 2, Schema 2"; OCI image specification,
"manifest.md", "image-index.md" and "descriptor.md". A document that could be
read as both kinds is refused, whatever media type it claims.
"""

from __future__ import annotations

from dataclasses import dataclass

from linwin.errors import InvalidRequest
from linwin.images import references
from linwin.images.contents import sha256
from linwin.images.documents import Document
from linwin.model.image import Platform

MAXIMUM_ENTRIES = 1024
"""How many manifests of one list are looked at."""

_CONFIG_TYPES = (
    "",
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.docker.container.image.v1+json",
)
_REFERENCE_TYPE = "vnd.docker.reference.type"
_LARGEST_SIZE = 1 << 50


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What a manifest says of one blob; ``urls`` are where a foreign one may be had."""

    media_type: str
    digest: str
    size: int
    urls: tuple[str, ...] = ()

    @property
    def short(self) -> str:
        return self.digest.removeprefix("sha256:")[:12]


@dataclass(frozen=True, slots=True)
class Manifest:
    """The manifest of one image: ``data`` are its bytes, ``layers`` go base first."""

    data: bytes
    config: Descriptor
    layers: tuple[Descriptor, ...]

    @property
    def digest(self) -> str:
        return sha256(self.data)


@dataclass(frozen=True, slots=True)
class Instance:
    """One entry of a manifest list. ``platform`` is None where the list does not tell it all.

    ``names_system`` says that it tells the system at least; one that does not may be no image at all.
    """

    descriptor: Descriptor
    platform: Platform | None
    names_system: bool


@dataclass(frozen=True, slots=True)
class ManifestList:
    """A manifest list or OCI index."""

    data: bytes
    instances: tuple[Instance, ...]


def parse_manifest(data: bytes, name: str) -> Manifest | ManifestList:
    """Read what image ``name`` is in its registry. Raises InvalidRequest for what is neither kind."""
    document = Document.parse(data, f"the manifest of image {name}")
    if "schemaVersion" in document and document.size("schemaVersion") == 1:
        raise InvalidRequest(
            f"image {name} has a manifest of schema 1, which names no config and no diff ids",
            hint="Push the image again with docker 1.10 or newer, which write schema 2.",
        )
    if "manifests" in document:
        if "layers" in document or "config" in document:
            raise InvalidRequest(f"{document.what} is a manifest and a list of manifests at once")
        return ManifestList(data, _instances(document))
    config = document.object("config")
    if "config" not in document or config.text("mediaType") not in _CONFIG_TYPES:
        raise InvalidRequest(f"{document.what} is not that of a container image")
    layers = tuple(_descriptor(layer) for layer in document.objects("layers"))
    return Manifest(data, _descriptor(config), layers)


def _instances(document: Document) -> tuple[Instance, ...]:
    entries = document.objects("manifests")
    if len(entries) > MAXIMUM_ENTRIES:
        raise InvalidRequest(f"{document.what} lists more than {MAXIMUM_ENTRIES} manifests")
    return tuple(
        Instance(_descriptor(entry), _platform(entry), bool(entry.object("platform").text("os")))
        for entry in entries
        # Those that say what they refer to are attestations, not images.
        if not entry.object("annotations").text(_REFERENCE_TYPE)
    )


def _platform(entry: Document) -> Platform | None:
    """The platform, unless it is Windows of a build that only the config tells."""
    document = entry.object("platform")
    platform = Platform(
        os=document.text("os").lower(),
        architecture=document.text("architecture").lower(),
        os_version=document.text("os.version"),
        os_features=document.texts("os.features"),
    )
    if not platform.os or (platform.os == "windows" and not platform.os_version):
        return None
    return platform


def _descriptor(document: Document) -> Descriptor:
    digest = document.text("digest")
    if not references.is_digest(digest):
        raise InvalidRequest(f'"digest" of {document.what} is not a sha256 digest')
    size = document.size("size")
    if size > _LARGEST_SIZE:
        raise InvalidRequest(f'"size" of {document.what} is not a size')
    return Descriptor(document.text("mediaType"), digest, size, document.texts("urls"))
