"""Counts what happens to files, by inotify(7), so that a kill can come between any two such events."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

_MODIFY, _CLOSE_WRITE, _MOVED_FROM, _MOVED_TO = 0x2, 0x8, 0x40, 0x80
_CREATE, _DELETE, _ATTRIB = 0x100, 0x200, 0x4
_WATCHED = _MODIFY | _ATTRIB | _CLOSE_WRITE | _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE
_IGNORED, _ONLY_FOLDERS, _IS_FOLDER = 0x8000, 0x1000000, 0x40000000
_HEADER = struct.Struct("iIII")

_libc = ctypes.CDLL(None, use_errno=True)


class FileEvents:
    """The events below some folders; folders that are made later are watched as soon as they are seen."""

    def __init__(self, folders: Iterable[Path]) -> None:
        self._fd = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1")
        self._folders: dict[int, Path] = {}
        for folder in folders:
            for path in (folder, *(below for below in folder.rglob("*") if below.is_dir())):
                self._watch(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fd)

    def fileno(self) -> int:
        """Readable when there are events."""
        return self._fd

    def count(self) -> int:
        """How many events there were since the last call."""
        try:
            data = os.read(self._fd, 1 << 16)
        except BlockingIOError:
            return 0
        found, at = 0, 0
        while at < len(data):
            watch, mask, _, length = _HEADER.unpack_from(data, at)
            name = data[at + _HEADER.size : at + _HEADER.size + length].rstrip(b"\0")
            at += _HEADER.size + length
            if mask & _IGNORED:
                continue
            found += 1
            if mask & _IS_FOLDER and mask & (_CREATE | _MOVED_TO) and watch in self._folders:
                self._watch(self._folders[watch] / os.fsdecode(name))
        return found

    def _watch(self, folder: Path) -> None:
        watch = _libc.inotify_add_watch(self._fd, os.fsencode(folder), _WATCHED | _ONLY_FOLDERS)
        if watch >= 0:
            self._folders[watch] = folder
        elif folder.exists():  # else it was gone again before we came
            raise OSError(ctypes.get_errno(), f"inotify_add_watch: {folder}")
