"""Images without layers, read from archives that are one JSON object; chains that are empty files."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from linwin.errors import Conflict, InvalidRequest, NotFound
from linwin.images.references import parse
from linwin.model.image import HistoryEntry, Image, Layer, Platform, Removed, RunConfig
from linwin.model.progress import Progress, Report
from linwin.model.template import Template


def canonical(reference: str) -> str:
    return str(parse(reference).with_default_tag())


def archive(
    reference: str, *, fail_after: int | None = None, cmd: Sequence[str] = ("echo", "loaded")
) -> bytes:
    """An archive of one image; reading it fails after ``fail_after`` progress reports."""
    return json.dumps({"reference": reference, "fail_after": fail_after, "cmd": list(cmd)}).encode()


class FakeStaged:
    def __init__(self, images: FakeImages, image: Image) -> None:
        self._images = images
        self.image = image

    async def commit(self) -> Image:
        self._images.stored[self.image.id] = self.image
        return self.image

    async def discard(self) -> None:
        return None


class FakeImages:
    """``stored`` is by id."""

    def __init__(self) -> None:
        self.stored: dict[str, Image] = {}

    async def stage(self, archive: Path, templates: Sequence[Template], report: Report) -> list[FakeStaged]:
        try:
            content = _read(archive)
            reference, fail_after = content["reference"], content["fail_after"]
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
        return [FakeStaged(self, image_of(canonical(reference), tuple(content["cmd"])))]

    async def list(self) -> list[Image]:
        return sorted(self.stored.values(), key=lambda image: image.created, reverse=True)

    async def resolve(self, reference: str) -> Image:
        digits = reference.removeprefix("sha256:")
        for image in self.stored.values():
            if image.id.removeprefix("sha256:").startswith(digits):
                return image
        for image in self.stored.values():
            if canonical(reference) in image.references:
                return image
        shown = reference if ":" in reference.rpartition("/")[2] else f"{reference}:latest"
        raise NotFound(f"No such image: {shown}", hint="Load it from an archive: linwin load -i ARCHIVE")

    async def tag(self, source: str, target: str) -> None:
        image = await self.resolve(source)
        references = tuple(sorted({*image.references, canonical(target)}))
        self.stored[image.id] = dataclasses.replace(image, references=references)

    async def remove(self, reference: str, *, force: bool, in_use: frozenset[str]) -> Sequence[Removed]:
        image = await self.resolve(reference)
        if image.id in in_use and not force:
            raise Conflict(
                f"conflict: unable to remove repository reference {reference!r}: a container uses it"
            )
        name = canonical(reference)
        left = tuple(other for other in image.references if other != name)
        removed = [Removed(untagged=name)]
        if left:
            self.stored[image.id] = dataclasses.replace(image, references=left)
        else:
            del self.stored[image.id]
            removed.append(Removed(deleted=image.id))
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


def image_of(reference: str, cmd: tuple[str, ...]) -> Image:
    digest = hashlib.sha256(f"{reference} {cmd}".encode()).hexdigest()
    return Image(
        id=f"sha256:{digest}",
        platform=Platform(os_version="10.0.14393.2363"),
        config=RunConfig(cmd=cmd, env=("FROM_IMAGE=yes",), labels={"maker": "tests"}),
        diff_ids=("sha256:" + "b" * 64,),
        base_layers=1,
        layers=(),
        references=(reference,),
        created="2024-02-29T12:00:00.123456789Z",
        author="the tests",
        history=(
            HistoryEntry(created="2024-02-28T12:00:00Z", created_by="Apply image"),
            HistoryEntry(created="2024-02-29T12:00:00Z", created_by="CMD echo", empty_layer=True),
        ),
    )


class FakeDisks:
    """``overlays`` are those made for containers."""

    def __init__(self) -> None:
        self.overlays: list[Path] = []

    async def chain(self, template: Template, layers: Sequence[Layer], report: Report) -> tuple[str, Path]:
        return template.digest, template.c_disk

    async def overlay(self, chain_end: Path, path: Path, *, uid: int) -> None:
        _write(path)
        self.overlays.append(path)

    async def prune(self, keep: frozenset[str]) -> int:
        return 0


def _read(archive: Path) -> Any:
    return json.loads(archive.read_bytes())


def _write(overlay: Path) -> None:
    overlay.write_bytes(b"\0" * 8192)
