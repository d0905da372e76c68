"""The OCI archive: a tar of an OCI image layout.

Source: OCI image specification, "image-layout.md", "image-index.md" and
"manifest.md". ``index.json`` lists manifests, or further indexes that hold one
manifest a platform; Docker's schema 2 documents have the same shape.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from linwin.errors import InvalidRequest, LinwinError
from linwin.images import references
from linwin.images.configs import ImageConfig, parse_config
from linwin.images.contents import PackedImage, PackedLayer, sha256
from linwin.images.documents import Document
from linwin.images.platforms import rank, require_windows
from linwin.images.references import Reference
from linwin.images.tarball import TarArchive
from linwin.model.template import Template

LAYOUT = "oci-layout"
INDEX = "index.json"

_MAXIMUM_DEPTH = 4
_MAXIMUM_MANIFESTS = 1024

# Who writes which: containerd and docker the first, always a full reference;
# others the second, which may be a bare tag.
_IMAGE_NAME = "io.containerd.image.name"
_REFERENCE_NAME = "org.opencontainers.image.ref.name"
_REFERENCE_TYPE = "vnd.docker.reference.type"
_CONFIG_TYPES = (
    "",
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.docker.container.image.v1+json",
)


@dataclass(frozen=True, slots=True)
class _Candidate:
    """One platform's image: the documents that describe it."""

    manifest_bytes: bytes
    manifest: Document
    config_bytes: bytes
    config: ImageConfig


def read_oci_archive(
    archive: TarArchive, templates: Sequence[Template]
) -> tuple[list[PackedImage], frozenset[str]]:
    """Read what ``index.json`` lists, of each image the platform that suits the templates best.

    Returns the images and the ids of all that the index leads to, those for
    other platforms included. Raises InvalidRequest naming what is wrong, or the
    platform of an image for another system.
    """
    reader = _Reader(archive, templates)
    return reader.read(), frozenset(reader.listed)


class _Reader:
    def __init__(self, archive: TarArchive, templates: Sequence[Template]) -> None:
        self._archive = archive
        self._templates = templates
        self._visited = 0
        self.listed: set[str] = set()

    def read(self) -> list[PackedImage]:
        index = Document.parse(self._archive.read(INDEX), f"{INDEX} in {self._archive.label}")
        images: dict[str, PackedImage] = {}
        for group in _by_name(index.objects("manifests")):
            image = self._choose(group)
            known = images.get(image.id)
            # One image with several names is listed once for each.
            merged = (
                image if known is None else replace(known, references=known.references + image.references)
            )
            images[image.id] = merged
        return list(images.values())

    def _choose(self, group: Sequence[Document]) -> PackedImage:
        name = _name(group[0])
        label = name.familiar if name else _digest(group[0])[7:19]
        found = [(entry, candidate) for entry in group for candidate in self._candidates(entry, 0)]
        if not found:
            raise InvalidRequest(f"{self._archive.label} holds no image manifest for {label}")
        entry, chosen = self._best(found, label)
        return PackedImage(
            references=(name,) if name else (),
            config_bytes=chosen.config_bytes,
            config=chosen.config,
            layers=self._layers(chosen),
            manifest=chosen.manifest_bytes,
            digest=_digest(entry),
        )

    def _best(self, found: Sequence[tuple[Document, _Candidate]], label: str) -> tuple[Document, _Candidate]:
        """The pair whose platform fits best, the first of equals."""
        best, best_rank = found[0], rank(found[0][1].config.platform, self._templates)
        for pair in found[1:]:
            fit = rank(pair[1].config.platform, self._templates)
            if fit is not None and (best_rank is None or fit > best_rank):
                best, best_rank = pair, fit
        if best_rank is None:
            require_windows(best[1].config.platform, label)
        return best

    def _candidates(self, descriptor: Document, depth: int) -> Iterator[_Candidate]:
        self._visited += 1
        if depth > _MAXIMUM_DEPTH or self._visited > _MAXIMUM_MANIFESTS:
            raise InvalidRequest(f"{self._archive.label} nests or lists too many manifests")
        if depth and _blob_name(_digest(descriptor)) not in self._archive:
            return  # an archive may hold one platform of the several that its index lists
        data = self._blob(descriptor)
        document = Document.parse(data, f"manifest {_digest(descriptor)}")
        if "manifests" in document:
            for entry in document.objects("manifests"):
                if not entry.object("annotations").text(_REFERENCE_TYPE):
                    yield from self._candidates(entry, depth + 1)
            return
        config = document.object("config")
        if "config" not in document or config.text("mediaType") not in _CONFIG_TYPES:
            raise InvalidRequest(f"{document.what} is not the manifest of a container image")
        config_bytes = self._blob(config)
        self.listed.add(_digest(config))
        parsed = parse_config(config_bytes, f"image config {_digest(config)}")
        yield _Candidate(data, document, config_bytes, parsed)

    def _layers(self, candidate: _Candidate) -> tuple[PackedLayer, ...]:
        descriptors = candidate.manifest.objects("layers")
        if len(descriptors) != len(candidate.config.diff_ids):
            raise InvalidRequest(
                f"{candidate.manifest.what} lists {len(descriptors)} layers, "
                f"but the image's config has {len(candidate.config.diff_ids)}"
            )
        return tuple(self._layer(descriptor) for descriptor in descriptors)

    def _layer(self, descriptor: Document) -> PackedLayer:
        digest = _digest(descriptor)
        member = self._archive.find(_blob_name(digest))
        if member is not None and member.size != descriptor.size("size"):
            raise InvalidRequest(
                f"blob {digest} in {self._archive.label} is corrupt: it has {member.size} bytes, "
                f"not {descriptor.size('size')}"
            )
        return PackedLayer(member, digest, descriptor.text("mediaType") or None)

    def _blob(self, descriptor: Document) -> bytes:
        digest = _digest(descriptor)
        data = self._archive.read(_blob_name(digest))
        if sha256(data) != digest or len(data) != descriptor.size("size"):
            raise InvalidRequest(
                f"blob {digest} in {self._archive.label} is corrupt: its digest is {sha256(data)} "
                f"and its size {len(data)}"
            )
        return data


def _by_name(entries: Sequence[Document]) -> list[list[Document]]:
    """Group the entries that are one image for several platforms; the others stay alone."""
    groups: dict[object, list[Document]] = {}
    for number, entry in enumerate(entries):
        if entry.object("annotations").text(_REFERENCE_TYPE):
            continue
        name = _name(entry)
        key = str(name) if name else ("platforms" if "platform" in entry else number)
        groups.setdefault(key, []).append(entry)
    return list(groups.values())


def _name(descriptor: Document) -> Reference | None:
    annotations = descriptor.object("annotations")
    full = annotations.text(_IMAGE_NAME)
    if full:
        name = references.parse(full)
        return None if name.digest else name.with_default_tag()
    loose = annotations.text(_REFERENCE_NAME)
    if "/" not in loose and ":" not in loose:
        return None  # a tag without a name
    try:
        return references.parse_target(loose)
    except LinwinError:
        return None  # the specification lets this annotation hold anything


def _digest(descriptor: Document) -> str:
    digest = descriptor.text("digest")
    if not references.is_digest(digest):
        raise InvalidRequest(f'"digest" of {descriptor.what} is not a sha256 digest')
    return digest


def _blob_name(digest: str) -> str:
    return f"blobs/sha256/{digest.removeprefix('sha256:')}"
