"""What scenario tests hold in their hands: a daemon, and docker's own client."""

from __future__ import annotations

import asyncio
import os
import zlib
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from linwin.api import TlsAddress, serve
from linwin.client import Client
from linwin.engine.engine import Engine
from linwin.model.address import TcpAddress
from linwin.model.pool import PoolPlan
from linwin.paths import DEFAULT_ROOT, Paths
from tests.scenario.fakes import Fakes

IMAGE = "microsoft/nanoserver"


@dataclass(frozen=True)
class Finished:
    """What a client's process left."""

    code: int
    out: bytes
    err: bytes


@dataclass(frozen=True)
class Daemon:
    """A served engine and its fakes."""

    engine: Engine
    paths: Paths
    fakes: Fakes

    @property
    def host(self) -> str:
        return f"unix://{self.paths.socket}"

    @property
    def client(self) -> Client:
        return Client(self.host, timeout=30)

    async def settled(self) -> None:
        """Return when no container runs any more."""
        await asyncio.gather(*(task for task in self.engine.watching() if not task.done()))

    def idle_connections(self) -> set[asyncio.Task[Any]]:
        """aiohttp's tasks of connections without a request, which end when their clients close them."""
        return {task for task in asyncio.all_tasks() if "RequestHandler.start" in repr(task.get_coro())}

    async def nothing_left(self) -> bool:
        """No machine, no container, no file of one, no half-done upload, no attachment to a network."""
        files = [*self.paths.containers.iterdir(), *self.paths.scratch.iterdir()]
        attachments = self.fakes.networks.applied.attachments
        return not (files or attachments or self.fakes.machines.running or await self.engine.list())


def make_root(folder: Path) -> Paths:
    """A root with the folders that a daemon makes before it opens its rooms."""
    paths = Paths(folder / "root", folder / "linwin.sock")
    for made in (paths.root, paths.containers, paths.templates, paths.scratch):
        made.mkdir(parents=True)
    return paths


@asynccontextmanager
async def served(
    fakes: Fakes,
    paths: Paths,
    tls: TlsAddress | None = None,
    *,
    pool: PoolPlan | None = None,
    metrics_at: TcpAddress | None = None,
) -> AsyncIterator[Daemon]:
    """An engine over ``fakes``, opened, served, and closed at the end."""
    fakes.settle(paths)
    engine = Engine(fakes.rooms, paths, pool=pool)
    await engine.open()
    async with serve(engine, paths.socket, tls, metrics_at):
        yield Daemon(engine, paths, fakes)
    await engine.close()
    assert fakes.networks.open_taps() == 0


def told_of_wine(state_home: Path) -> None:
    """Make it a user's ``XDG_STATE_HOME`` who was told that the default root's template is no Windows."""
    told = state_home / "linwin"
    told.mkdir(parents=True)
    (told / f"told-wine-{zlib.crc32(os.fsencode(DEFAULT_ROOT)):08x}").touch()


@asynccontextmanager
async def killed_at_the_end(fakes: Fakes, paths: Paths) -> AsyncIterator[Daemon]:
    """As :func:`served`, but the daemon dies as of SIGKILL: its guests live on, and it has told nobody."""
    engine = Engine(fakes.rooms, paths)
    await engine.open()
    async with serve(engine, paths.socket):
        yield Daemon(engine, paths, fakes)
        if watching := engine.watching():
            for task in watching:
                task.cancel()
            await asyncio.wait(watching)


@dataclass(frozen=True)
class Docker:
    """docker's own command line, pointed at the daemon."""

    program: str
    host: str
    home: Path
    api_version: str = ""
    tls: Path | None = None

    @asynccontextmanager
    async def started(self, *arguments: str, stdin: int = DEVNULL) -> AsyncIterator[Process]:
        """A client that runs; it is killed, where it has not ended, when the context ends."""
        process = await asyncio.create_subprocess_exec(
            self.program,
            *arguments,
            stdin=stdin,
            stdout=PIPE,
            stderr=PIPE,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.home),
                "DOCKER_HOST": self.host,
                "LINWIN_HOST": self.host,
                "DOCKER_API_VERSION": self.api_version,
                **({"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(self.tls)} if self.tls else {}),
            },
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()

    async def __call__(self, *arguments: str, stdin: bytes | None = None, timeout: float = 30) -> Finished:
        """Run to the end; ``stdin`` None is /dev/null."""
        async with self.started(*arguments, stdin=DEVNULL if stdin is None else PIPE) as process:
            out, err = await asyncio.wait_for(process.communicate(stdin), timeout)
        assert process.returncode is not None
        return Finished(process.returncode, out, err)
