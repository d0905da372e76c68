"""Builds in one daemon, for tests of what they do."""

from __future__ import annotations

import io
import itertools
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from linwin.errors import LinwinError
from linwin.model.build import BuildOutput, BuildRequest
from linwin.model.container import ContainerSpec
from linwin.model.image import Image
from linwin.model.progress import Progress
from tests.scenario.harness import Daemon

HEAD = "# escape=`\nFROM microsoft/nanoserver\n"
NUMBERS = itertools.count()


@dataclass
class Built:
    """What a build said, and came to."""

    image: Image | None = None
    said: list[BuildOutput] = field(default_factory=list)

    def __call__(self, told: BuildOutput | Progress, /) -> None:
        if isinstance(told, BuildOutput):
            self.said.append(told)

    async def room(self) -> None:
        """A test always has room."""

    @property
    def text(self) -> str:
        return "".join(one.text for one in self.said)

    @property
    def cached(self) -> int:
        return self.text.count(" ---> Using cache\n")

    @property
    def made(self) -> Image:
        assert self.image is not None
        return self.image


class Builds:
    """Builds in one daemon."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon

    async def __call__(
        self, dockerfile: str, files: Mapping[str, str] | None = None, **request: Any
    ) -> Built:
        built = Built()
        await self.into(built, dockerfile, files, **request)
        return built

    async def into(
        self, built: Built, dockerfile: str, files: Mapping[str, str] | None = None, **request: Any
    ) -> None:
        """As a call, with what was said so far kept where the build fails."""

        context = self.daemon.paths.root / f"context-{next(NUMBERS)}.tar"
        context.write_bytes(context_of({"Dockerfile": dockerfile, **(files or {})}))
        try:
            built.image = await self.daemon.engine.build(context, "", BuildRequest(**request), built, {})
        finally:
            context.unlink()

    async def file(self, image: Image, path: str) -> str:
        """The text of a file in an image."""
        created = await self.daemon.engine.create(ContainerSpec(image=image.id, cmd=("echo",)), None)
        try:
            async with self.daemon.engine.archive_read(created.id, path) as archive:
                data = b"".join([piece async for piece in archive.pieces])
        finally:
            await self.daemon.engine.remove(created.id, volumes=True)
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            member = tar.extractfile(tar.getmembers()[0])
            assert member is not None
            return member.read().decode()

    async def fails(
        self, dockerfile: str, files: Mapping[str, str] | None = None, **request: Any
    ) -> LinwinError:
        with pytest.raises(LinwinError) as caught:
            await self(dockerfile, files, **request)
        return caught.value


def context_of(files: Mapping[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(text.encode()), 1_000_000_000
            tar.addfile(info, io.BytesIO(text.encode()))
    return buffer.getvalue()
