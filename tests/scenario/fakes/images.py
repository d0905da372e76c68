"""Images in memory, read from archives that are one JSON object; nothing stands behind their layers."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from linwin.errors import Conflict, InvalidRequest, NotFound, Unavailable
from linwin.images.references import parse
from linwin.model.image import HistoryEntry, Image, ImageDraft, Layer, Platform, Removed, RunConfig
from linwin.model.progress import Progress, Report
from linwin.model.registry import Credentials, Distribution, Pushed, SearchResult
from linwin.model.template import Template
from linwin.model.upkeep import Finding
from tests.scenario.fakes.registry import FakeRegistry


def canonical(reference: str) -> str:
    return str(parse(reference).with_default_tag())


def archive(
    reference: str,
    *more: str,
    fail_after: int | None = None,
    cmd: Sequence[str] = ("echo", "loaded"),
    layers: Sequence[int] = (),
) -> bytes:
    """An archive of an image for each reference; reading it fails after ``fail_after`` progress reports."""
    images = [{"reference": name, "cmd": list(cmd), "layers": list(layers)} for name in (reference, *more)]
    return json.dumps({"images": images, "fail_after": fail_after}).encode()


class FakeStaged:
    """A ``StagedPull`` too; of an archive it has neither digest nor savings."""

    def __init__(self, images: FakeImages, image: Image, *, digest: str = "", saved: int = 0) -> None:
        self._images = images
        self.image = image
        self.digest = digest
        self.saved = saved

    async def commit(self) -> Image:
        self._images.store(self.image)
        return self._images.stored[self.image.id]

    async def discard(self) -> None:
        self._images.discarded += 1


class FakeImages:
    """``stored`` is by id, and what is pulled and pushed is in ``registry``.

    ``discarded`` counts what was staged and let go, as everything is in the
    end. ``interrupted`` are bytes that unfinished pulls have kept, ``faults``
    what a check finds. With ``torn`` an archive breaks off after its first bytes.
    """

    def __init__(self) -> None:
        self.stored: dict[str, Image] = {}
        self.registry = FakeRegistry()
        self.discarded = 0
        self.interrupted = 0
        self.faults: list[Finding] = []
        self.torn = False
        self.folder: Path | None = None

    def store(self, image: Image) -> None:
        """Take an image in; its references leave the images that had them, and are added to its own."""
        known = self.stored.get(image.id, image)
        for other in self.stored.values():
            left = tuple(name for name in other.references if name not in image.references)
            self.stored[other.id] = dataclasses.replace(other, references=left)
        references = tuple(sorted({*known.references, *image.references}))
        self.stored[image.id] = dataclasses.replace(image, references=references)

    async def stage(self, archive: Path, templates: Sequence[Template], report: Report) -> list[FakeStaged]:
        try:
            content = _read(archive)
            images, fail_after = content["images"], content["fail_after"]
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidRequest(
                "the archive is not a tar archive", hint="Write one with docker save."
            ) from error
        for number in range(3):
            if number == fail_after:
                raise InvalidRequest(
                    "the archive ends in the middle of layer 1", hint="Copy or download the archive again."
                )
            report(Progress("Loading layer", "0123456789ab", number * 1000, 3000))
        return [
            FakeStaged(self, image_of(canonical(one["reference"]), tuple(one["cmd"]), tuple(one["layers"])))
            for one in images
        ]

    async def compose(
        self, parent: Image, draft: ImageDraft, layer: Path | Layer | None, references: Sequence[str]
    ) -> FakeStaged:
        made = self._kept(layer) if isinstance(layer, Path) else layer
        own = (made,) if made else ()
        image = dataclasses.replace(
            parent,
            id="",
            config=draft.config,
            diff_ids=(*parent.diff_ids, *(one.diff_id for one in own)),
            layers=(*parent.layers, *own),
            references=tuple(canonical(name) for name in references),
            created=draft.created,
            author=draft.author,
            history=(*parent.history, draft.entry),
            size=parent.size + sum(one.size for one in own),
            template=None,
            digests=(),
            parent=parent.id,
            step=draft.step,
        )
        said = (image.config, image.diff_ids, image.history, image.created, image.author)
        digest = hashlib.sha256(repr(said).encode()).hexdigest()
        return FakeStaged(self, dataclasses.replace(image, id=f"sha256:{digest}"))

    def _kept(self, layer: Path) -> Layer:
        """A layer whose blob is a copy of its tar."""
        data = layer.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        assert self.folder is not None
        blob = self.folder / digest
        self.folder.mkdir(parents=True, exist_ok=True)
        blob.write_bytes(data)
        media_type = "application/vnd.oci.image.layer.v1.tar"
        return Layer(f"sha256:{digest}", f"sha256:{digest}", media_type, len(data), blob)

    async def commit_all(self, staged: Sequence[FakeStaged]) -> list[Image]:
        return [await item.commit() for item in staged]

    async def list(self) -> list[Image]:
        return sorted(self.stored.values(), key=lambda image: image.created, reverse=True)

    async def resolve(self, reference: str) -> Image:
        digits = reference.removeprefix("sha256:")
        for image in self.stored.values():
            if image.id.removeprefix("sha256:").startswith(digits):
                return image
        for image in self.stored.values():
            if canonical(reference) in (*image.references, *image.digests):
                return image
        shown = reference if ":" in reference.rpartition("/")[2] else f"{reference}:latest"
        raise NotFound(f"No such image: {shown}", hint="Load it from an archive: linwin load -i ARCHIVE")

    async def tag(self, source: str, target: str) -> None:
        image = await self.resolve(source)
        self.store(dataclasses.replace(image, references=(canonical(target),)))

    async def tags(self, repository: str) -> Sequence[str]:
        names = (name for image in self.stored.values() for name in image.references)
        return sorted(name for name in names if parse(name).name == parse(repository).name)

    async def remove(
        self, reference: str, *, force: bool, in_use: frozenset[str], leave_children: bool = False
    ) -> Sequence[Removed]:
        image = await self.resolve(reference)
        if image.id in in_use and not force:
            raise Conflict(
                f"conflict: unable to remove repository reference {reference!r}: a container uses it"
            )
        by_id = image.id.removeprefix("sha256:").startswith(reference.removeprefix("sha256:"))
        going = image.references if by_id else (canonical(reference),)
        left = tuple(other for other in image.references if other not in going)
        removed = [Removed(untagged=name) for name in going]
        if left:
            self.stored[image.id] = dataclasses.replace(image, references=left)
        else:
            del self.stored[image.id]
            removed.append(Removed(deleted=image.id))
            removed += self._orphans(image, in_use)
        return removed

    def _orphans(self, image: Image, in_use: frozenset[str]) -> list[Removed]:
        """Delete what only ``image``, which is gone, was made from."""
        removed = []
        while (parent := self.stored.get(image.parent)) is not None:
            children = [one for one in self.stored.values() if one.parent == parent.id]
            if children or parent.references or parent.id in in_use:
                break
            del self.stored[parent.id]
            removed.append(Removed(deleted=parent.id))
            image = parent
        return removed

    async def adopt_base_images(self, templates: Sequence[Template]) -> None:
        self.stored = {key: image for key, image in self.stored.items() if image.template is None}
        for template in templates:
            for base in template.provides:
                image = dataclasses.replace(
                    image_of(base.references[0], ("echo", "hello from nanoserver")),
                    references=base.references,
                    template=template.name,
                )
                self.stored[image.id] = image

    async def pull(
        self,
        reference: str,
        templates: Sequence[Template],
        report: Report,
        credentials: Credentials | None = None,
    ) -> FakeStaged:
        name = canonical(reference)
        content = await self.registry.fetch(name, report, credentials)
        image = image_of(name, content.cmd, content.layers)
        references = () if "@" in name else (name,)
        digests = (f"{parse(name).name}@{content.digest}",)
        return FakeStaged(
            self,
            dataclasses.replace(image, references=references, digests=digests),
            digest=content.digest,
            saved=content.saved,
        )

    async def push(self, reference: str, report: Report, credentials: Credentials | None = None) -> Pushed:
        name = canonical(reference)
        image = next((image for image in self.stored.values() if name in image.references), None)
        if image is None:
            raise NotFound(
                f"An image does not exist locally with the tag: {parse(name).familiar_name}",
                hint="List the images that are here with linwin images; name one with linwin tag.",
            )
        return await self.registry.receive(name, image, report, credentials)

    async def login(self, credentials: Credentials) -> str:
        return self.registry.login(credentials)

    async def distribution(self, reference: str, credentials: Credentials | None = None) -> Distribution:
        return self.registry.describe(canonical(reference), credentials)

    async def search(self, term: str, *, limit: int) -> Sequence[SearchResult]:
        return self.registry.search(term)[:limit]

    async def save(self, references: Sequence[str]) -> AsyncIterator[bytes]:
        """What :func:`archive` makes, for images that have kept the name they came with."""
        images = [await self.resolve(reference) for reference in references]
        content = [
            {
                "reference": name,
                "cmd": list(image.config.cmd),
                "layers": [layer.size for layer in image.layers],
            }
            for image in images
            for name in image.references
        ]
        data = json.dumps({"images": content, "fail_after": None}).encode()
        yield data[:10]
        if self.torn:
            raise Unavailable("the blob of a layer cannot be read: Input/output error")
        yield data[10:]

    async def usage(self) -> tuple[int, int]:
        blobs = {layer.digest: layer.size for image in self.stored.values() for layer in image.layers}
        return sum(blobs.values()) + self.interrupted, self.interrupted

    async def discard_interrupted(self) -> int:
        freed, self.interrupted = self.interrupted, 0
        return freed

    async def check(self, report: Report, *, repair: bool) -> Sequence[Finding]:
        report(Progress("Checking images"))
        found, self.faults = self.faults, [] if repair else self.faults
        return [dataclasses.replace(finding, repaired=repair) for finding in found]


def image_of(reference: str, cmd: tuple[str, ...], layers: tuple[int, ...] = ()) -> Image:
    """An image whose layers have these sizes; two layers of one size are one layer."""
    digest = hashlib.sha256(f"{reference} {cmd} {layers}".encode()).hexdigest()
    own = tuple(_layer(size) for size in layers)
    return Image(
        id=f"sha256:{digest}",
        platform=Platform(os_version="10.0.14393.2363"),
        config=RunConfig(cmd=cmd, env=("FROM_IMAGE=yes",), labels={"maker": "tests"}),
        diff_ids=("sha256:" + "b" * 64, *(layer.diff_id for layer in own)),
        base_layers=1,
        layers=own,
        references=(reference,),
        created="2024-02-29T12:00:00.123456789Z",
        author="the tests",
        history=(
            HistoryEntry(created="2024-02-28T12:00:00Z", created_by="Apply image"),
            *(
                HistoryEntry(created="2024-02-28T13:00:00Z", created_by=f"COPY {size} bytes")
                for size in layers
            ),
            HistoryEntry(created="2024-02-29T12:00:00Z", created_by="CMD echo", empty_layer=True),
        ),
        size=sum(layers),
    )


def _layer(size: int) -> Layer:
    diff_id, digest = (hashlib.sha256(f"{what} {size}".encode()).hexdigest() for what in ("diff", "blob"))
    media_type = "application/vnd.oci.image.layer.v1.tar+gzip"
    return Layer(f"sha256:{diff_id}", f"sha256:{digest}", media_type, size, Path("/nowhere", digest))


def _read(archive: Path) -> Any:
    return json.loads(archive.read_bytes())
