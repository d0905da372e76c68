"""What an archive holds, read and not yet checked against anything."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from linwin.images.configs import ImageConfig
from linwin.images.references import Reference
from linwin.images.tarball import Member


@dataclass(frozen=True, slots=True)
class PackedLayer:
    """One layer as the archive names it.

    ``member`` is None when the archive lacks it. ``digest`` and ``media_type``
    are what the archive says of the blob, None where it says nothing.
    """

    member: Member | None
    digest: str | None = None
    media_type: str | None = None


@dataclass(frozen=True, slots=True)
class PackedImage:
    """One image of an archive: the bytes of its documents, its layers base first.

    ``manifest`` is None for a docker-archive. ``digest`` is the one by which
    the archive's index names the image: its manifest's or its manifest list's.
    """

    references: tuple[Reference, ...]
    config_bytes: bytes
    config: ImageConfig
    layers: tuple[PackedLayer, ...]
    manifest: bytes | None = None
    digest: str | None = None

    @property
    def id(self) -> str:
        return sha256(self.config_bytes)

    @property
    def name(self) -> str:
        """How messages call it."""
        return self.references[0].familiar if self.references else self.id[7:19]


def sha256(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()
