"""The files of one log, and how it goes on in a new one.

Docker's names: ``log.json`` is written to, ``log.json.1`` was before it,
``log.json.2`` or ``log.json.2.gz`` before that. A rotation makes ``log.json.new``
first, then the log's position is put there (that is the moment when it counts),
then the files are renamed, the oldest first, so that their order is right at
every moment of it. A daemon that died between two of these steps is made up for
by :meth:`LogFiles.recover`.
"""

from __future__ import annotations

import asyncio
import gzip
import itertools
import logging
import os
import re
import shutil
import tempfile
import zlib
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, cast

from linwin.errors import Internal
from linwin.model.log_config import Rotation

logger = logging.getLogger(__name__)

LEVEL = 6
"""How hard finished files are compressed; zlib's usual middle."""


class LogFile:
    """One file of a log. It stays the same object while rotation renames and compresses the file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.newer: LogFile | None = None
        self.gone = False
        """Whether rotation deleted it. Another file may have its name by now."""

    @property
    def compressed(self) -> bool:
        return self.path.suffix == ".gz"

    @property
    def size(self) -> int:
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    @property
    def changed_ns(self) -> int:
        """When it was written last, in ns since the epoch; 0 for one that is gone."""
        try:
            return self.path.stat().st_mtime_ns
        except FileNotFoundError:
            return 0

    async def open(self) -> BinaryIO | None:
        """Its text, which can be read on when the file has gone; None when it is gone already.

        Of a compressed file the text is unpacked into one without a name first,
        in a thread. Raises Internal for one that is damaged.
        """
        if self.gone:
            return None
        try:
            raw = self.path.open("rb")
        except FileNotFoundError:
            return None
        return await asyncio.to_thread(_unpack, self.path, raw) if self.compressed else raw


class LogFiles:
    """All files of the log at ``path``."""

    def __init__(self, path: Path, rotation: Rotation) -> None:
        self._path = path
        self._rotation = rotation
        self._fresh = path.with_name(f"{path.name}.new")
        self._files = _find(path)
        self._compressing: asyncio.Task[None] | None = None

    @property
    def all(self) -> list[LogFile]:
        """The oldest first."""
        return list(self._files)

    @property
    def current(self) -> LogFile:
        """The one that is written to; it may not exist yet."""
        return self._files[-1]

    def recover(self, inode: int) -> None:
        """Finish a rotation that came as far as putting the position into the file ``inode``, or undo it."""
        try:
            counts = self._fresh.stat().st_ino == inode
        except FileNotFoundError:
            self._trim()
            return
        if counts:
            self._move_on()
        else:
            self._fresh.unlink()

    def rotate(self, commit: Callable[[int], None]) -> BinaryIO:
        """Go on in a new file, which is returned; ``commit`` is given its inode before it counts."""
        file = self._fresh.open("wb", buffering=0)
        current = self.current
        try:
            commit(os.fstat(file.fileno()).st_ino)
            self._move_on()
        except BaseException:
            file.close()
            self._files = [*self._files, current] if current not in self._files else self._files
            raise
        self.compress()
        return file

    def _move_on(self) -> None:
        before, fresh = self._files.pop(), LogFile(self._path)
        if self._rotation.max_files > 1 and self._path.exists():
            self._make_room()
            self._rename(before, 1)
            self._files.append(before)
        self._fresh.rename(self._path)
        before.newer, before.gone = fresh, before not in self._files
        if self._files:
            self._files[-1].newer = fresh
        self._files.append(fresh)
        self._trim()

    def _trim(self) -> None:
        while len(self._files) > self._rotation.max_files:
            oldest = self._files.pop(0)
            oldest.gone = True
            oldest.path.unlink(missing_ok=True)

    def _make_room(self) -> None:
        """Move those that are numbered from 1 on without a gap, so that 1 is free."""
        numbered = {_number(file.path): file for file in self._files}
        last = 0
        while last + 1 in numbered:
            last += 1
        for number in range(last, 0, -1):
            self._rename(numbered[number], number + 1)

    def _rename(self, file: LogFile, number: int) -> None:
        suffix = ".gz" if file.compressed else ""
        target = self._path.with_name(f"{self._path.name}.{number}{suffix}")
        file.path.rename(target)
        file.path = target

    def compress(self) -> None:
        """Compress what is finished, in the background, where that was asked for."""
        if self._rotation.compress and (self._compressing is None or self._compressing.done()):
            self._compressing = asyncio.create_task(self._compress(), name=f"compress {self._path}")

    async def settled(self) -> None:
        """Return when nothing works in the background."""
        if self._compressing is not None:
            await self._compressing

    async def _compress(self) -> None:
        packed = self._path.with_name(f"{self._path.name}.gz.new")
        try:
            while waiting := [file for file in self._files[:-1] if not file.compressed]:
                raw = waiting[0].path.open("rb")
                await asyncio.to_thread(_pack, raw, packed)
                if waiting[0] not in self._files:
                    continue  # it was the oldest meanwhile
                plain = waiting[0].path
                waiting[0].path = packed.rename(f"{plain}.gz")
                plain.unlink()
        except OSError as error:
            logger.warning("the log %s was not compressed: %s", self._path, error)
        finally:
            packed.unlink(missing_ok=True)


def _find(path: Path) -> list[LogFile]:
    """The files there are, the oldest first, and the current one."""
    numbered: dict[int, LogFile] = {}
    for found in sorted(path.parent.glob(f"{path.name}.*")):  # a plain one before its compressed form
        number = _number(found)
        if number in numbered:
            found.unlink()  # a daemon died before it could delete the plain one, which has it all
        elif number is not None:
            numbered[number] = LogFile(found)
    files = [numbered[number] for number in sorted(numbered, reverse=True)] + [LogFile(path)]
    for older, newer in itertools.pairwise(files):
        older.newer = newer
    return files


def _number(path: Path) -> int | None:
    match = re.search(r"\.(\d+)(?:\.gz)?$", path.name)
    return int(match[1]) if match else None


def _pack(raw: BinaryIO, target: Path) -> None:
    """Compress a file; the result has its times, which tell readers what need not be read."""
    with raw, target.open("wb") as file:
        with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=LEVEL, filename="") as packed:
            shutil.copyfileobj(raw, packed, 1 << 20)
        status = os.fstat(raw.fileno())
        os.utime(file.fileno(), ns=(status.st_atime_ns, status.st_mtime_ns))
        os.fchmod(file.fileno(), 0o600)


def _unpack(path: Path, raw: BinaryIO) -> BinaryIO:
    with ExitStack() as undo:
        undo.enter_context(raw)
        text = cast(BinaryIO, undo.enter_context(tempfile.TemporaryFile(dir=path.parent)))
        try:
            with gzip.GzipFile(fileobj=raw) as packed:
                shutil.copyfileobj(packed, text, 1 << 20)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise Internal(f"the log {path} is damaged: {error}") from error
        text.seek(0)
        undo.pop_all()
        raw.close()
    return text
