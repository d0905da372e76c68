"""What the store remembers of an image beside its config: its layers' blobs and its manifest."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from linwin.errors import InvalidRequest
from linwin.images import references
from linwin.images.configs import ImageConfig
from linwin.images.documents import Document
from linwin.model.image import Image


@dataclass(frozen=True, slots=True)
class StoredLayer:
    """One layer above the base: its diff id and the blob that holds it, as it came."""

    diff_id: str
    digest: str
    media_type: str
    size: int


@dataclass(frozen=True, slots=True)
class Record:
    """One image. ``id`` is also the digest of its config's blob.

    ``manifest`` is the digest of its manifest's blob and ``index_digest`` that
    by which its archive named it; both None where it came without one. ``home``
    is where its base layers' blobs can be had, as ``REPOSITORY@DIGEST`` in
    canonical form: the repository that it, or the image below it, was pulled
    from, and the manifest there that names them. None where no registry is known.
    ``parent`` and ``step`` are what :class:`linwin.model.image.Image` has.
    """

    id: str
    base_layers: int
    layers: tuple[StoredLayer, ...]
    manifest: str | None = None
    index_digest: str | None = None
    home: str | None = None
    parent: str = ""
    step: str = ""

    @property
    def blobs(self) -> frozenset[str]:
        """Every blob that the image needs."""
        named = {self.id, *(layer.digest for layer in self.layers)}
        return frozenset(named | ({self.manifest} if self.manifest else set()))

    @property
    def digests(self) -> frozenset[str]:
        """The digests by which ``name@digest`` may ask for it."""
        return frozenset(digest for digest in (self.manifest, self.index_digest) if digest)

    def to_json(self) -> bytes:
        return json.dumps(asdict(self), indent=1).encode()

    @classmethod
    def from_json(cls, data: bytes, what: str) -> Record:
        """Raises InvalidRequest for anything that :meth:`to_json` did not write."""
        document = Document.parse(data, what)
        return cls(
            id=_digest(document, "id"),
            base_layers=document.size("base_layers"),
            layers=tuple(_layer(layer) for layer in document.objects("layers")),
            manifest=_digest(document, "manifest") if "manifest" in document else None,
            index_digest=_digest(document, "index_digest") if "index_digest" in document else None,
            home=_home(document) if "home" in document else None,
            parent=_digest(document, "parent") if document.text("parent") else "",
            step=document.text("step"),
        )


@dataclass(frozen=True, slots=True)
class Entry:
    """One image of the catalogue: its record and its config, parsed."""

    record: Record
    config: ImageConfig

    @classmethod
    def of_base(cls, image: Image) -> Entry:
        """The entry of a base image that a template is: its layers are in the template alone."""
        config = ImageConfig(
            image.platform, image.config, image.diff_ids, image.history, image.created, image.author
        )
        return cls(Record(image.id, base_layers=len(image.diff_ids), layers=()), config)


def _layer(document: Document) -> StoredLayer:
    return StoredLayer(
        diff_id=_digest(document, "diff_id"),
        digest=_digest(document, "digest"),
        media_type=document.text("media_type"),
        size=document.size("size"),
    )


def _home(document: Document) -> str:
    home = references.parse(document.text("home"))
    if home.digest is None or home.tag is not None:
        raise InvalidRequest(f'"home" of {document.what} is not a repository and a digest')
    return str(home)


def _digest(document: Document, key: str) -> str:
    digest = document.text(key)
    if not references.is_digest(digest):
        raise InvalidRequest(f'"{key}" of {document.what} is not a digest')
    return digest
