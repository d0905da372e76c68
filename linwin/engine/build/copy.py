"""COPY and ADD: what is copied, whether it was copied before, and the copying.

Rules for source and target: docker's "Dockerfile reference", COPY and ADD.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import TYPE_CHECKING, Self

from linwin.engine.build.config import absolute, on_volume
from linwin.engine.build.image_files import ImageFiles
from linwin.engine.build.words import expand
from linwin.errors import InvalidRequest, NotFound
from linwin.model.build import (
    FromArchive,
    FromContext,
    FromFile,
    FromText,
    Heredoc,
    Instruction,
    NewFolder,
    Packed,
    Selected,
)
from linwin.model.files import VolumePath

if TYPE_CHECKING:
    from linwin.engine.build.stage import StageBuild

IGNORED = ("chown", "chmod")
"""What Linux keeps of a file and NTFS keeps otherwise: new files inherit their folder's descriptor."""
URLS = ("http://", "https://")


@dataclass(frozen=True, slots=True)
class Thing:
    """One file or folder to copy. ``kind`` is "file" or "dir", as docker's history has it.

    ``place`` says where it comes from: a path of the context, a file of the host, the text
    of a heredoc, or a path in an image. ``fills`` says that what is in it goes into the target.
    """

    name: str
    kind: str
    digest: str
    place: str | Path | Heredoc | VolumePath
    fills: bool = False
    unpack: bool = False


class Copy:
    """One COPY or ADD of a stage. A context: what was fetched for it goes when it is left."""

    def __init__(self, stage: StageBuild, instruction: Instruction) -> None:
        self._stage = stage
        self._build = stage.build
        self._instruction = instruction
        self._is_add = instruction.name == "ADD"
        self._fetched: list[Path] = []
        self._things: list[Thing] = []
        self._files: ImageFiles | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for path in self._fetched:
            path.unlink(missing_ok=True)

    async def created_by(self) -> str:
        """The line of history, in which digests stand for what is copied."""
        flags = dict(self._instruction.flags)
        for name in IGNORED:
            if name in flags:
                self._stage.say(f" ---> [Warning] --{name} is ignored: files get what their folder has\n")
        *sources, target = self._stage.words(self._instruction)
        self._target = target
        self._files = await self._image_files(flags.get("from", ""))
        for source in sources:
            self._things += await self._found(source)
        self._check_target()
        digests = [thing.digest.removeprefix("sha256:") for thing in self._things]
        kind = self._things[0].kind if len(self._things) == 1 else "multi"
        digest = digests[0] if len(digests) == 1 else hashlib.sha256(",".join(digests).encode()).hexdigest()
        end = "\\" if self._is_folder and not self._path.endswith("\\") else ""
        return f"{self._instruction.name} {kind}:{digest} in {self._path}{end} "

    # ---- where to -------------------------------------------------------------

    @property
    def _path(self) -> str:
        return absolute(self._target, self._stage.config.working_dir)

    @property
    def _is_folder(self) -> bool:
        """Whether the target is said to be a folder."""
        return self._target in (".", "") or self._target.endswith(("/", "\\", "/.", "\\."))

    def _check_target(self) -> None:
        name = self._instruction.name
        if not self._things:
            raise InvalidRequest(f"{name} failed: no source files were specified")
        if len(self._things) > 1 and not self._is_folder:
            raise InvalidRequest(
                f"When using {name} with more than one source file, the destination must be "
                "a directory and end with a / or \\"
            )

    # ---- where from -----------------------------------------------------------

    async def _image_files(self, source: str) -> ImageFiles | None:
        """The files of the stage or image that ``--from`` names."""
        if not source:
            return None
        number = self._build.stage_before(source, self._stage.number)
        if number is not None:
            image = await self._build.stage_image(number)
        else:
            image = await self._build.base_image(source)
        return ImageFiles(self._build, image)

    async def _found(self, source: str) -> Sequence[Thing]:
        for heredoc in self._instruction.heredocs:
            if source.removeprefix("<<").lstrip("-").strip("\"'") == heredoc.name and source.startswith("<<"):
                return [self._text(heredoc)]
        if self._is_add and source.lower().startswith(URLS):
            return [await self._download(source)]
        if self._files is not None:
            return [
                Thing(one.name, one.kind, one.digest, one.path, fills=one.kind == "dir")
                for one in await self._files.select(source)
            ]
        return [
            Thing(
                PurePosixPath(found.path).name,
                "dir" if found.is_folder else "file",
                found.digest,
                found.path,
                fills=found.is_folder or (self._is_add and found.is_archive),
                unpack=self._is_add and found.is_archive,
            )
            for found in await self._selected(source)
        ]

    async def _selected(self, source: str) -> Sequence[Selected]:
        try:
            return await self._build.source.select(source)
        except (InvalidRequest, NotFound) as error:
            error.message = error.message.replace("COPY failed", f"{self._instruction.name} failed")
            raise

    def _text(self, heredoc: Heredoc) -> Thing:
        content = heredoc.content
        if heredoc.expand:
            escape = self._build.dockerfile.escape
            content = expand(content, self._stage.variables, escape, quotes=True)
        digest = f"sha256:{hashlib.sha256(content.encode()).hexdigest()}"
        return Thing(heredoc.name, "file", digest, Heredoc(heredoc.name, content, expand=False))

    async def _download(self, address: str) -> Thing:
        path = self._build.new_path(".fetched")
        self._fetched.append(path)
        fetched = await self._build.engine.rooms.sources.fetch(address, path)
        if not fetched.name and self._is_folder:
            raise InvalidRequest(
                f"cannot determine filename from url: {address}", hint="Name the file in the target."
            )
        wanted = dict(self._instruction.flags).get("checksum", "")
        if wanted and wanted != fetched.digest:
            raise InvalidRequest(f"digest mismatch for {address}: {fetched.digest}, not {wanted}")
        return Thing(fetched.name, "file", fetched.digest, path)

    # ---- the copying ----------------------------------------------------------

    async def make(self) -> Path | None:
        """Copy, and give the layer."""
        target = on_volume(self._path)
        there = await ImageFiles(self._build, self._stage.image).find(target)
        into = self._is_folder or (there is not None and there.is_directory)
        is_new = there is None and (self._is_folder or any(thing.fills for thing in self._things))
        # One that is there keeps its times; and an empty folder has nothing in it that would make one.
        items: list[Packed] = [NewFolder(target.relative)] if is_new else []
        for thing in self._things:
            items.append(await self._packed(thing, target.relative, into=into))
        layer = await self._build.written(self._stage.image, items)
        for item in items:
            if isinstance(item, FromArchive):
                await self._build.discard(item.archive)
        return layer

    async def _packed(self, thing: Thing, target: str, *, into: bool) -> Packed:
        if into and not thing.fills:
            target = f"{target}/{thing.name}".lstrip("/")
        match thing.place:
            case Heredoc():
                return FromText(thing.place.content, target)
            case Path():
                return FromFile(thing.place, target)
            case VolumePath():
                assert self._files is not None
                return FromArchive(await self._files.archive(thing.place), target)
            case _:
                return FromContext(thing.place, target, unpack=thing.unpack)
