"""The files on a disk that no machine has open, by way of a process that may crash instead of the daemon."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

from linwin.disks import files_job
from linwin.disks.c_start import c_start
from linwin.disks.durable import publish
from linwin.disks.failures import translated
from linwin.disks.files_job import FilesJob, Verb
from linwin.disks.qcow2 import read_header, written_parts
from linwin.errors import Internal
from linwin.host.process import run
from linwin.host.programs import last_words
from linwin.host.workers import end, start_worker, tail
from linwin.model.files import Change, FileStat, VolumePath, parse_path
from linwin.model.layer import WrittenLayer

WORK = "files-"
EXPANSION = 2
"""How many times the disk's size an archive may expand to, headers included."""
UNFINISHED = ".new"
ROOT = parse_path("/")


class DiskFiles:
    """Implements :class:`linwin.engine.interfaces.Files` for one container's overlay.

    What is written is written to a copy of the overlay, which takes its name
    when it is whole and on disk: whatever is killed meanwhile, nothing or all
    of it has happened.
    """

    def __init__(self, overlay: Path, scratch: Path) -> None:
        self._overlay = overlay
        self._scratch = scratch

    async def stat(self, path: VolumePath) -> FileStat:
        with translated():
            async with self._working("stat", path, disk=self._overlay) as messages:
                return await told(messages)

    async def read(self, path: VolumePath) -> AsyncGenerator[bytes, None]:
        with translated():
            async with self._working("read", path, disk=self._overlay) as messages:
                await told(messages)
                async for kind, payload in messages:
                    if kind == files_job.DATA:
                        yield payload

    async def write(self, path: VolumePath, archive: Path, *, keep_kinds: bool) -> None:
        unfinished = self._overlay.with_name(self._overlay.name + UNFINISHED)
        with translated():
            try:
                await copy_disk(self._overlay, unfinished)
                await self._write(unfinished, path, archive, keep_kinds=keep_kinds)
                await asyncio.to_thread(publish, unfinished, self._overlay)
            finally:
                unfinished.unlink(missing_ok=True)

    async def _write(self, unfinished: Path, path: VolumePath, archive: Path, *, keep_kinds: bool) -> None:
        limit = EXPANSION * (await asyncio.to_thread(read_header, self._overlay)).size
        backing = await self._backing()
        async with self._working(
            "write",
            path,
            disk=unfinished,
            backing=str(backing),
            archive=str(archive),
            keep_kinds=keep_kinds,
            limit=limit,
        ) as messages:
            await ended(messages)

    async def flatten(self, archive: Path, output: Path) -> None:
        """See :meth:`linwin.engine.interfaces.Disks.plain_copy`."""
        with translated():
            limit = EXPANSION * (await asyncio.to_thread(read_header, self._overlay)).size
            async with self._working(
                "flatten", ROOT, archive=str(archive), output=str(output), limit=limit
            ) as messages:
                await ended(messages)

    async def names(self, path: VolumePath) -> list[tuple[str, bool]]:
        """See :meth:`linwin.engine.interfaces.Files.names`; raises NotFound, or InvalidRequest for a file."""
        with translated():
            async with self._working("names", path, disk=self._overlay) as messages:
                return [name async for payload in data_of(messages) for name in files_job.names_in(payload)]

    async def layer(self, output: Path, *, kind: str, latest: int | None) -> WrittenLayer:
        """See :meth:`linwin.engine.interfaces.Disks.layer`. There is no ``output`` when it raises."""
        unfinished = output.with_name(output.name + UNFINISHED)
        with translated():
            try:
                written = await self._layer(unfinished, kind, latest)
                await asyncio.to_thread(publish, unfinished, output)
            finally:
                unfinished.unlink(missing_ok=True)
        return written

    async def _layer(self, output: Path, kind: str, latest: int | None) -> WrittenLayer:
        backing = await self._backing()
        async with self._working(
            "layer",
            ROOT,
            disk=self._overlay,
            backing=str(backing),
            written=await written_parts(self._overlay),
            output=str(output),
            kind=kind,
            latest=latest,
        ) as messages:
            told = [payload async for word, payload in messages if word == files_job.WRITTEN]
        if not told:
            raise Internal("writing a layer told nothing of what it wrote")
        return files_job.layer_in(told[0])

    async def changes(self) -> list[Change]:
        """See :meth:`linwin.engine.interfaces.Disks.changes`."""
        with translated():
            backing = await self._backing()
            written = await written_parts(self._overlay)
            async with self._working(
                "changes", ROOT, disk=self._overlay, backing=str(backing), written=written
            ) as messages:
                return [
                    change async for payload in data_of(messages) for change in files_job.changes_in(payload)
                ]

    async def _backing(self) -> Path:
        header = await asyncio.to_thread(read_header, self._overlay)
        if header.backing is None:
            raise Internal(f"{self._overlay} stands on no chain")
        return self._overlay.parent / header.backing

    @asynccontextmanager
    async def _working(
        self, verb: Verb, path: VolumePath, *, disk: Path | None = None, **more: Any
    ) -> AsyncIterator[AsyncGenerator[tuple[bytes, bytes], None]]:
        """The messages of a process that does the job; it is gone when the context ends."""
        self._scratch.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=WORK, dir=self._scratch) as run_dir:
            offset = await asyncio.to_thread(c_start, disk) if disk else 0
            job = FilesJob(verb, run_dir, os.getpid(), path, str(disk or ""), offset=offset, **more)
            async with aclosing(messages_of(job)) as messages:
                yield messages


async def copy_disk(disk: Path, copy: Path) -> None:
    """Copy an overlay that nobody writes to, with its owner and mode; on the disk itself where that can be.

    Raises Unavailable in cp's own words.
    """
    await run(["cp", "--reflink=auto", "--preserve=mode,ownership", disk, copy], check=True)


async def messages_of(job: FilesJob) -> AsyncGenerator[tuple[bytes, bytes], None]:
    """Run the job; yield its messages but the last. Raises what it reported, Internal when it died."""
    process = await start_worker("linwin.disks.files_worker")
    complaints = asyncio.create_task(tail(process.stderr), name="complaints of a file copy")
    try:
        assert process.stdin is not None
        process.stdin.write(job.encode())
        process.stdin.close()
        while (found := await next_message(process)) is not None:
            kind, payload = found
            if kind == files_job.ERROR:
                raise files_job.error_in(payload)
            if kind == files_job.DONE:
                return
            yield kind, payload
        await process.wait()
        words = last_words(await complaints)
        raise Internal(
            f"copying files broke off: its process ended with status {process.returncode}"
            + (f": {words}" if words else ""),
            hint="nothing was changed; try again, and report it if it happens again",
        )
    finally:
        await end(process)
        complaints.cancel()
        await asyncio.gather(complaints, return_exceptions=True)


async def next_message(process: asyncio.subprocess.Process) -> tuple[bytes, bytes] | None:
    """The next message; None when the process ended without saying how."""
    assert process.stdout is not None
    try:
        kind, length = files_job.HEADER.unpack(await process.stdout.readexactly(files_job.HEADER.size))
        if length > files_job.LARGEST:
            return None
        return kind, await process.stdout.readexactly(length)
    except asyncio.IncompleteReadError:
        return None


async def told(messages: AsyncGenerator[tuple[bytes, bytes], None]) -> FileStat:
    """What the process says first of what lies at the path."""
    async for kind, payload in messages:
        if kind == files_job.STAT:
            return files_job.stat_in(payload)
    raise Internal("copying files told nothing of what it found")


async def data_of(messages: AsyncGenerator[tuple[bytes, bytes], None]) -> AsyncIterator[bytes]:
    """What the process says, piece by piece, until the job is done."""
    async for kind, payload in messages:
        if kind == files_job.DATA:
            yield payload


async def ended(messages: AsyncGenerator[tuple[bytes, bytes], None]) -> None:
    """Wait until the job is done."""
    async for kind, _ in messages:
        raise Internal(f"copying files said something unexpected: {kind!r}")
