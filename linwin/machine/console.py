"""Logs that a guest can write to: bounded on disk, harmless on a terminal."""

from __future__ import annotations

import asyncio
import codecs
import os
import re
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, BinaryIO

from linwin.errors import Unavailable
from linwin.host.files import tail
from linwin.host.inotify import Changes

LIMIT = 1 << 20
"""Bytes that a log may reach before its beginning is cut off."""

_KEPT = 64 << 10
_PIECE = 64 << 10
_LONGEST_LINE = 500
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[ -/]*[0-Z\\-~])")  # ECMA-48, 5.3 and 5.4; ECMA-35, 13.2
_BEGUN = re.compile(r"(?:\x1b(?:\[[0-?]{0,32}[ -/]{0,8}|[ -/]{0,8})|\r)\Z")
_LINE_END = re.compile(r"\r+\n?")


def last_lines(path: Path, count: int) -> tuple[str, ...]:
    """The last ``count`` lines of a log that are not blank, as printable text."""
    text = _ESCAPES.sub("", tail(path, _KEPT).decode(errors="replace"))
    lines = (_printable(line) for line in text.splitlines())
    return tuple([line for line in lines if line][-count:]) if count > 0 else ()


def trim(path: Path) -> int:
    """Keep only the end of a log that has outgrown :data:`LIMIT`; return how many bytes went.

    Its writer has it open for appending, so what it writes next lands behind
    what was kept.
    """
    if not path.exists() or path.stat().st_size <= LIMIT:
        return 0
    kept = tail(path, _KEPT)
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    try:
        size = os.fstat(fd).st_size
        os.ftruncate(fd, 0)
        os.write(fd, kept)
    finally:
        os.close(fd)
    return size - len(kept)


class Printer:
    """Makes text of what a guest writes, however that is chunked, that cannot drive a terminal.

    Line ends are ``\\n``. The beginning of a character, of an escape sequence or of a line end is held
    back until the rest of it has come.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._held = ""

    def text(self, data: bytes) -> str:
        """What ``data``, and what was held back, shows."""
        text = _ESCAPES.sub("", self._held + self._decoder.decode(data))
        begun = _BEGUN.search(text)
        whole = begun.start() if begun else len(text)
        self._held = text[whole:]
        shown = _LINE_END.sub("\n", text[:whole])
        return "".join(c for c in shown if c.isprintable() or c in "\n\t")


class ConsoleLog:
    """The file that one machine's console is logged to, while its QEMU appends to it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._cut = 0  # bytes that went from its beginning: what is read has places of its own

    def trim(self) -> None:
        """Bound the file. Raises OSError."""
        self._cut += trim(self.path)

    async def read(
        self, *, last: int | None, follow: bool, over: asyncio.Future[Any]
    ) -> AsyncGenerator[str, None]:
        """What was written, from the ``last`` lines on where that is given, as printable text.

        With ``follow`` also what is written from now on, until ``over`` is done. Where a reader is so
        slow that the file was cut before it, a line says how much it missed. Raises Unavailable.
        """
        try:
            with self.path.open("rb") as file, Changes(self.path) as changes:
                over.add_done_callback(changes.end)
                printer, start = Printer(), max(0, os.fstat(file.fileno()).st_size - LIMIT)
                data, position = self._after(file, self._cut + start, LIMIT)
                yield _last(printer.text(data), last)
                while follow:
                    ended = over.done()  # asked first: what was written last is there then
                    if position < self._cut:
                        yield f"\n[{self._cut - position} bytes were not read in time]\n"
                    data, position = self._after(file, position, _PIECE)
                    if data:
                        yield printer.text(data)
                    elif ended:
                        return
                    else:
                        await changes.wait()
        except OSError as error:
            raise Unavailable(f"the console cannot be read: {error.strerror}: {self.path}") from error

    def _after(self, file: BinaryIO, position: int, limit: int) -> tuple[bytes, int]:
        """At most ``limit`` bytes from ``position`` on, or from what is left behind it, and their end."""
        position = max(position, self._cut)
        data = os.pread(file.fileno(), limit, position - self._cut)
        return data, position + len(data)


def _last(text: str, count: int | None) -> str:
    return text if count is None else "".join(text.splitlines(keepends=True)[-count:] if count else [])


def _printable(line: str) -> str:
    return "".join(c for c in line.expandtabs() if c.isprintable()).rstrip()[:_LONGEST_LINE]
