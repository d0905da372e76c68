"""The room's face: contexts that are opened, Dockerfiles that are read, files that are fetched."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from linwin.errors import LinwinError
from linwin.model.build import Dockerfile, Fetched, Instruction, Packed, Selected
from linwin.paths import Paths
from linwin.sources import git, messages, web
from linwin.sources.addresses import git_address
from linwin.sources.spool import disk_failures
from linwin.sources.supervise import Worker, working

WORK = "build-"
"""How the folders of unfinished work in the scratch folder begin."""


class WorkerSource:
    """Implements :class:`linwin.engine.source_interface.Source` by asking a process."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    async def dockerfile(self, path: str) -> Dockerfile:
        return messages.dockerfile_in(await self._worker.ask("dockerfile", path=path))

    async def select(self, pattern: str) -> Sequence[Selected]:
        return messages.selected_in(await self._worker.ask("select", pattern=pattern))

    async def pack(self, items: Sequence[Packed], output: Path) -> None:
        try:
            await self._worker.ask("pack", items=messages.of_items(items), output=output)
        except BaseException as error:
            if not isinstance(error, LinwinError):
                await self._worker.end()  # nobody waits for it, and it may be about to write
            discard(output)
            raise


class BuildSources:
    """Implements :class:`linwin.engine.source_interface.Sources` for one LINWIN_ROOT."""

    def __init__(self, paths: Paths) -> None:
        self._scratch = paths.scratch

    @asynccontextmanager
    async def open(self, context: Path) -> AsyncIterator[WorkerSource]:
        """See :meth:`linwin.engine.source_interface.Sources.open`."""
        with self._folder() as folder:
            async with working() as worker:
                yield await opened(worker, context, folder)

    @asynccontextmanager
    async def open_remote(self, address: str) -> AsyncIterator[WorkerSource]:
        """See :meth:`linwin.engine.source_interface.Sources.open_remote`."""
        with self._folder() as folder:
            async with working() as worker:
                context = folder / "context"
                if (repository := git_address(address)) is not None:
                    checkout = await git.check_out(repository, folder / "repository")
                    await worker.ask(
                        "gather",
                        root=checkout.folder,
                        folder=repository.folder,
                        output=context,
                        time=checkout.time,
                    )
                else:
                    await web.fetch_context(address, context)
                yield await opened(worker, context, folder)

    async def changes(self, lines: Sequence[str]) -> tuple[Instruction, ...]:
        """See :meth:`linwin.engine.source_interface.Sources.changes`."""
        return await _instructions("changes", lines)

    async def triggers(self, lines: Sequence[str]) -> tuple[Instruction, ...]:
        """See :meth:`linwin.engine.source_interface.Sources.triggers`."""
        return await _instructions("triggers", lines)

    async def fetch(self, address: str, target: Path) -> Fetched:
        """See :meth:`linwin.engine.source_interface.Sources.fetch`."""
        return await web.fetch_file(address, target)

    def _folder(self) -> _Scratch:
        return _Scratch(self._scratch)


async def _instructions(verb: str, lines: Sequence[str]) -> tuple[Instruction, ...]:
    if not lines:
        return ()
    async with working() as worker:
        return messages.instructions_in(await worker.ask(verb, lines=list(lines)))


class _Scratch:
    """A folder for unfinished work, gone with all that is in it when the context ends."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch

    def __enter__(self) -> Path:
        with disk_failures("a build began"):
            self._scratch.mkdir(parents=True, exist_ok=True)
            self._folder = tempfile.TemporaryDirectory(prefix=WORK, dir=self._scratch)
        return Path(self._folder.name)

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()


def discard(file: Path) -> None:
    """Delete a file that is not whole."""
    file.unlink(missing_ok=True)


async def opened(worker: Worker, body: Path, folder: Path) -> WorkerSource:
    await worker.ask("open", body=body, spool=folder / "spool")
    return WorkerSource(worker)
