"""The files of an image that ``COPY --from`` names, read from the end of its chain."""

from __future__ import annotations

import asyncio
import fnmatch
import hashlib
import re
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from linwin.engine.create import template_for
from linwin.engine.interfaces import FilesAtRest
from linwin.errors import InvalidRequest, NotFound
from linwin.model.chain import chain_ids
from linwin.model.files import SPELLING, FileStat, VolumePath, parse_path
from linwin.model.image import Image

if TYPE_CHECKING:
    from linwin.engine.build.build import Build

PATTERN = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class Found:
    """A file or folder of an image. ``digest`` stands for the image's files and the path in them."""

    name: str
    kind: str
    digest: str
    path: VolumePath


class ImageFiles:
    """Files of one image. Nothing is read of them before a method asks."""

    def __init__(self, build: Build, image: Image) -> None:
        self._build = build
        self._image = image
        self._opened: FilesAtRest | None = None
        self._chain_id = ""

    async def select(self, pattern: str) -> list[Found]:
        """What a source of COPY names. Raises NotFound in docker's words, InvalidRequest."""
        path = parsed(pattern)
        files = await self._files()
        missing = f"COPY failed: stat {pattern}: file does not exist"
        try:
            found = [await self._described(files, parts) for parts in await self._matching(files, path.parts)]
        except NotFound as error:
            raise NotFound(missing) from error
        if not found:
            raise NotFound(missing)
        return found

    async def find(self, path: VolumePath) -> FileStat | None:
        """What lies at a path, a link to a folder followed; None for nothing."""
        files = await self._files()
        for is_folder in (True, False):
            try:
                return await files.stat(VolumePath(path.parts, is_folder, path.base))
            except NotFound:
                continue
        return None

    async def archive(self, path: VolumePath) -> Path:
        """A tar of what lies at a path, which is the caller's to delete."""
        target = self._build.new_path(".tar")
        files = await self._files()
        with target.open("wb", buffering=0) as file:
            async with aclosing(files.read(path)) as pieces:
                async for piece in pieces:
                    await asyncio.to_thread(file.write, piece)
        return target

    async def _files(self) -> FilesAtRest:
        if self._opened is None:
            engine = self._build.engine
            template = await template_for(engine, self._image)
            # The build holds the image, which keeps the chain.
            async with engine.chains.using():
                _, end = await engine.rooms.disks.chain(template, self._image.layers, engine.unreported)
            self._chain_id = chain_ids("", self._image.diff_ids)[-1]
            self._opened = engine.rooms.disks.files(end)
        return self._opened

    async def _matching(self, files: FilesAtRest, parts: tuple[str, ...]) -> list[tuple[str, ...]]:
        """The paths that a path with patterns in it stands for."""
        found: list[tuple[str, ...]] = [()]
        for part in parts:
            if not PATTERN.search(part):
                found = [(*above, part) for above in found]
                continue
            matched: list[tuple[str, ...]] = []
            for above in found:
                names = await files.names(VolumePath(above, is_folder=True, base="."))
                matched += [
                    (*above, name) for name, _ in names if fnmatch.fnmatchcase(name.lower(), part.lower())
                ]
            found = matched
        return found

    async def _described(self, files: FilesAtRest, parts: tuple[str, ...]) -> Found:
        path = VolumePath(parts, is_folder=False, base=parts[-1] if parts else ".")
        status = await files.stat(path)
        if status.link or status.is_directory:
            # A link to a folder is followed, as docker does for what a source itself names.
            folder = VolumePath(parts, is_folder=True, base=".")
            try:
                path, status = folder, await files.stat(folder)
            except NotFound:  # it leads to a file, or nowhere: the link is copied
                path = VolumePath(parts, is_folder=False, base=path.base)
        digest = hashlib.sha256(f"{self._chain_id} {'/'.join(parts).lower()}".encode()).hexdigest()
        kind = "dir" if status.is_directory else "file"
        return Found(parts[-1] if parts else "", kind, f"sha256:{digest}", path)


def parsed(text: str) -> VolumePath:
    try:
        return parse_path(text)
    except ValueError as error:
        raise InvalidRequest(f"COPY failed: {error}", hint=SPELLING) from error
