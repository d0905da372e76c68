"""Base layers that are not stored here, and what a push can do about them.

In this order: a foreign layer that says where it lives stays there; a blob that
the target repository has needs nothing; from another repository of the same
registry it is mounted; a registry that gives its blobs to anybody keeps them,
and the manifest says so; from any other they are copied.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from linwin.images import references
from linwin.images.manifest_output import RawDescriptor, encode, layer_descriptors
from linwin.images.records import Entry
from linwin.images.references import Reference

OPEN_REGISTRIES: Final = frozenset({"mcr.microsoft.com"})
"""Registries that answer a plain GET for a blob, without a token: whoever pulls a
foreign layer asks for its URL in no other way. Docker Hub, for one, does not."""

_OCI = "application/vnd.oci.image.layer."
_OCI_FOREIGN = "application/vnd.oci.image.layer.nondistributable."
_DOCKER = "application/vnd.docker.image.rootfs.diff."
_DOCKER_FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff."


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An image on its way out: its entry, and the bytes of the manifest that goes."""

    entry: Entry
    manifest: bytes
    name: str

    @property
    def layers(self) -> list[RawDescriptor]:
        return layer_descriptors(self.manifest, f"the manifest of image {self.name}")

    @property
    def absent(self) -> frozenset[str]:
        """The blobs that are not here and that no URL of their own tells the place of."""
        base = self.layers[: self.entry.record.base_layers]
        return frozenset(layer["digest"] for layer in base if not layer.get("urls"))

    @property
    def home(self) -> Reference | None:
        """The repository that has the base layers, with the manifest there that names them."""
        home = self.entry.record.home
        return None if home is None else references.parse(home)

    def at(self, home: Reference) -> dict[str, str]:
        """The digests that ``home`` has for certain, with their media types."""
        record = self.entry.record
        known = self.layers if record.manifest == home.digest else self.layers[: record.base_layers]
        return {layer["digest"]: layer["mediaType"] for layer in known if not layer.get("urls")}


def left_at(manifest: bytes, digests: Collection[str], home: Reference) -> bytes:
    """The manifest with these layers marked foreign, to be had at ``home``.

    Sources: OCI image specification, "layer.md", non-distributable layers;
    Docker's schema 2 manifest, "Layers", ``urls``.
    """
    document = json.loads(manifest)
    document["layers"] = [
        _foreign(layer, home) if layer["digest"] in digests else layer for layer in document["layers"]
    ]
    return encode(document)


def _foreign(layer: RawDescriptor, home: Reference) -> RawDescriptor:
    kind = layer["mediaType"]
    for distributable, foreign in ((_OCI, _OCI_FOREIGN), (_DOCKER, _DOCKER_FOREIGN)):
        if kind.startswith(distributable) and not kind.startswith(foreign):
            kind = foreign + kind.removeprefix(distributable)
    return {
        **layer,
        "mediaType": kind,
        "urls": [f"https://{home.domain}/v2/{home.path}/blobs/{layer['digest']}"],
    }
