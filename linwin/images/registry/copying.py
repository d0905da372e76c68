"""One run of ``skopeo copy``: what becomes of each blob, told while it runs.

skopeo says what it does with a blob only in its debug log, whose words are
known here and nowhere else. How far an upload has come is read from the kernel:
the position of skopeo's descriptor in the blob's file. A skopeo that words its
log differently still copies; its blobs are then told of at the end.

Sources: containers/image's ``copy/copy.go`` and ``docker/docker_image_dest.go``
(5.23, which Debian 12's skopeo is built with); proc(5), ``fdinfo`` and ``io``.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote

from linwin.host.programs import find_program
from linwin.images.registry.skopeo import Session, Subject, complaint, silent, translate

_TICK = 0.25
_LONGEST_LINE = 1 << 16
_DIGEST = r"(sha256:[0-9a-f]{64})"
_SKIPPED = re.compile(rf'msg="Skipping blob {_DIGEST} \(already present\)')
_FOREIGN = re.compile(rf'msg="Skipping foreign layer \\"{_DIGEST}\\" copy')
_MOUNTING = re.compile(r'msg="Trying to mount [^"]*\?from=([^&"]+)&mount=sha256%3A([0-9a-f]{64})"')
_UPLOADED = re.compile(rf'msg="Upload of layer {_DIGEST} complete"')
_FATAL = re.compile(r"level=(?:fatal|error) msg=")
_MISSING = re.compile(rf"reading blob {_DIGEST}: open .*: no such file or directory")
# A process that has ended and was not yet waited for has no rights to its own files left.
_GONE = (FileNotFoundError, ProcessLookupError, PermissionError)
_OF_THE_SOURCE = ("initializing source", "reading manifest", "reading blob", "happened during read")


class Missing(Exception):
    """Neither side has the blob ``digest``: it never leaves this room."""

    def __init__(self, digest: str) -> None:
        super().__init__(digest)
        self.digest = digest


class SourceFailed(Exception):
    """The source of a copy between registries failed, for the reason given: it never leaves this room."""


class Listener(Protocol):
    """Hears what becomes of blobs, by digest; that of the config is among them."""

    def present(self, digest: str) -> None: ...
    def mounted(self, digest: str, repository: str) -> None: ...
    def foreign(self, digest: str) -> None: ...
    def uploading(self, digest: str, current: int) -> None: ...
    def uploaded(self, digest: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Copy:
    """What is copied from where to where, digests unchanged.

    ``source`` and ``target`` are skopeo's names. ``folder`` holds the blobs of
    a ``dir:`` source, None for a registry.
    """

    source: str
    target: str
    folder: Path | None = None


async def run_copy(
    copy: Copy, session: Session, subject: Subject, listener: Listener, *, patience: float
) -> None:
    """Run ``skopeo copy`` to its end; it ends with the caller, and with the daemon.

    Raises Missing for a blob that a ``dir:`` source lacks and the target too,
    SourceFailed when the source is a registry and it is to blame, what
    :func:`~linwin.images.registry.skopeo.translate` says of the target, and
    Unavailable when for ``patience`` seconds nothing moved.
    """
    process = await _start(copy, session)
    assert process.stderr is not None
    log = _Log(listener)
    try:
        reading = asyncio.ensure_future(log.follow(process.stderr))
        try:
            await _watch(reading, _Vitals(process.pid, copy.folder, listener, log), subject, patience)
        finally:
            reading.cancel()
        returncode = await process.wait()
    finally:
        await _end(process)
    if returncode != 0:
        raise _failure(log.fatal, copy, subject)


async def _start(copy: Copy, session: Session) -> asyncio.subprocess.Process:
    program, *options = session.command("copy", "--preserve-digests", copy.source, copy.target)
    argv = [find_program("setpriv"), "--pdeathsig", "KILL", "--", find_program(program), "--debug", *options]
    return await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env=session.environment,
        cwd=session.folder,
        start_new_session=True,
    )


async def _watch(reading: asyncio.Future[None], vitals: _Vitals, subject: Subject, patience: float) -> None:
    """Report how far uploads have come until the log ends. Raises Unavailable when nothing moves."""
    while not reading.done():
        await asyncio.wait({reading}, timeout=_TICK)
        if vitals.idle() > patience:
            raise silent(subject.registry, patience)
        vitals.report()
    reading.result()


async def _end(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.kill()
    await asyncio.shield(process.communicate())  # or its pipe stays open until the collector finds it


def _failure(fatal: str, copy: Copy, subject: Subject) -> Exception:
    missing = _MISSING.search(fatal)
    if copy.folder is not None and missing is not None:
        return Missing(missing[1])
    said = complaint(fatal.encode())
    if copy.folder is None and any(sign in fatal for sign in _OF_THE_SOURCE):
        return SourceFailed(said)
    return translate(said, subject)


class _Log:
    """skopeo's debug log, line by line: it tells the listener, and keeps the fatal line."""

    def __init__(self, listener: Listener) -> None:
        self.fatal = ""
        self.lines = 0
        self._listener = listener
        self._mounting: dict[str, str] = {}

    async def follow(self, stream: asyncio.StreamReader) -> None:
        pending = b""
        while data := await stream.read(_LONGEST_LINE):
            *lines, pending = (pending + data).split(b"\n")
            for line in lines:
                self._hear(line.decode(errors="replace"))
            pending = pending[:_LONGEST_LINE]  # of a longer one the beginning says what it is
        self._hear(pending.decode(errors="replace"))

    def _hear(self, line: str) -> None:
        self.lines += 1
        if _FATAL.search(line):
            self.fatal = line
        elif match := _MOUNTING.search(line):
            self._mounting[f"sha256:{match[2]}"] = unquote(match[1])
        elif match := _SKIPPED.search(line):
            self._skipped(match[1])
        elif match := _FOREIGN.search(line):
            self._listener.foreign(match[1])
        elif match := _UPLOADED.search(line):
            self._listener.uploaded(match[1])

    def _skipped(self, digest: str) -> None:
        """A blob that was to be mounted and is skipped was mounted; else it would be uploaded now."""
        repository = self._mounting.get(digest)
        if repository is None:
            self._listener.present(digest)
        else:
            self._listener.mounted(digest, repository)


class _Vitals:
    """What the kernel tells of a skopeo: where it is in the blobs it reads, and whether bytes move."""

    def __init__(self, pid: int, folder: Path | None, listener: Listener, log: _Log) -> None:
        self._proc = Path(f"/proc/{pid}")
        self._folder = os.fspath(folder) + "/" if folder is not None else None
        self._listener = listener
        self._log = log
        self._seen: tuple[str, int] = ("", 0)
        self._since = time.monotonic()

    def idle(self) -> float:
        """Seconds since it last read, wrote or said something."""
        counters = _read(self._proc / "io")
        if (now := (counters, self._log.lines)) != self._seen:
            self._seen, self._since = now, time.monotonic()
        return time.monotonic() - self._since

    def report(self) -> None:
        for digest, position in self._positions():
            self._listener.uploading(digest, position)

    def _positions(self) -> Iterator[tuple[str, int]]:
        if self._folder is None:
            return
        with suppress(*_GONE):
            for entry in os.scandir(self._proc / "fd"):
                with suppress(*_GONE):  # closed as we look
                    target = os.readlink(entry.path)
                    if target.startswith(self._folder):
                        name = target.removeprefix(self._folder)
                        yield f"sha256:{name}", _position(_read(self._proc / "fdinfo" / entry.name))


def _position(fdinfo: str) -> int:
    """The ``pos:`` line, in bytes."""
    return int(next((line.split()[1] for line in fdinfo.splitlines() if line.startswith("pos:")), "0"))


def _read(path: Path) -> str:
    """A file of proc, empty when its process is gone."""
    try:
        return path.read_text()
    except _GONE:
        return ""
