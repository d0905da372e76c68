"""One key in a registry file of Wine: its lines, which are taken apart only when they change."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from linwin.layers.errors import Malformed
from linwin.layers.hives.names import Fold, text_of
from linwin.layers.hives.wine_text import (
    SECONDS_FROM_1601_TO_1970,
    TICKS_PER_SECOND,
    key_line,
    time_line,
    unescape,
    value_of,
)

VALUE = re.compile(rb'\s*(?:@|"((?:[^"\\]|\\.)*)")\s*=\s*')
LINK_VALUE = "SymbolicLinkValue"
CLASS = re.compile(rb'\s*#class="((?:[^"\\]|\\.)*)"')
TIME = re.compile(rb"\s*#time=([0-9a-fA-F]{1,16})\s*")
LINE_TIME = re.compile(rb"\][ \t]*([0-9]{1,11})\s*$")
BINARY = re.compile(rb"hex\([0-9a-fA-F]+\):")


class KeyText:
    """The text of one key. Lines that are not understood stay as they are, in their place."""

    def __init__(self, head: bytes, body: bytes = b"") -> None:
        self._head = head
        self._bodies = [body]
        # While the key is changed: its "#" lines, its other lines (None: deleted), where values are.
        self._options: list[bytes] = []
        self._lines: list[bytes | None] | None = None
        self._values: dict[str, int] = {}

    @property
    def _body(self) -> bytes:
        """All that is said of the key, however often the file mentions it."""
        if len(self._bodies) > 1:
            self._body = b"".join(self._bodies)
        return self._bodies[0]

    @_body.setter
    def _body(self, body: bytes) -> None:
        self._bodies = [body]

    def pieces(self) -> tuple[bytes, bytes]:
        self.close()
        return self._head, self._body

    def append(self, body: bytes) -> None:
        """Add what another mention of the key says. There may be millions."""
        self._bodies.append(body)

    def link_target(self) -> str | None:
        """Where the key leads, None if it is not a link."""
        if b"#link" not in self._body:
            return None
        if not any(line.strip() == b"#link" for line in logical_lines(self._body)):
            return None
        for line in logical_lines(self._body):
            match = VALUE.match(line)
            if match and unescape(match[1] or b"").upper() == LINK_VALUE.upper():
                return text_of(binary(line[match.end() :]))
        return None

    # ---- reading --------------------------------------------------------------

    def says_the_same(self, other: KeyText) -> bool:
        """Whether both are written alike but for their times. Others may mean the same, too."""
        return untimed(self._body) == untimed(other._body)

    def class_name(self) -> str:
        """The key's class, empty when it has none. Raises Malformed."""
        found = [match[1] for line in logical_lines(self._body) if (match := CLASS.match(line))]
        return unescape(found[-1]) if found else ""

    def written(self) -> int:
        """When the key was written, a FILETIME; 0 where that is not told."""
        for line in logical_lines(self._body):
            if match := TIME.fullmatch(line):
                return int(match[1], 16)
        seconds = LINE_TIME.search(self._head)
        return (int(seconds[1]) + SECONDS_FROM_1601_TO_1970) * TICKS_PER_SECOND if seconds else 0

    def values(self) -> Iterator[tuple[str, int, bytes]]:
        """Name, type and data of each value; of one that is there twice the last counts. Raises Malformed."""
        for line in logical_lines(self._body):
            if match := VALUE.match(line):
                yield unescape(match[1] or b""), *value_of(line[match.end() :])

    # ---- changing -------------------------------------------------------------

    def open(self, fold: Fold) -> None:
        """Take the lines apart, if they are not."""
        if self._lines is not None:
            return
        self._options, self._lines, self._values = [], [], {}
        for line in logical_lines(self._body):
            if line.lstrip().startswith(b"#"):
                self._options.append(line)
                continue
            if match := VALUE.match(line):
                self._values[fold(unescape(match[1] or b""))] = len(self._lines)
            self._lines.append(line)

    def close(self) -> None:
        """Put the lines together again."""
        if self._lines is None:
            return
        kept = self._options + [line for line in self._lines if line is not None and line.strip()]
        self._body = b"".join(line + b"\n" for line in (*kept, b""))
        self._options, self._lines, self._values = [], None, {}

    def date(self, path: Iterable[str], written: int) -> None:
        self._head = key_line(path, written).encode() + b"\n"
        self.set_option("time=", time_line(written))

    def set_value(self, folded: str, name: str, data: str) -> None:
        """Set a value, given as the two parts of its line. A name that is there keeps its spelling."""
        assert self._lines is not None
        index = self._values.get(folded)
        if index is None:
            self._values[folded] = len(self._lines)
            self._lines.append(f"{name}{data}".encode())
        elif match := VALUE.match(self._lines[index] or b""):
            self._lines[index] = match[0] + data.encode()

    def delete_value(self, folded: str) -> None:
        assert self._lines is not None
        index = self._values.pop(folded, None)
        if index is not None:
            self._lines[index] = None

    def clear(self, *, keep_class: bool) -> None:
        """Forget all but that there is a key, and maybe its class."""
        kept = [line for line in self._options if keep_class and line.lstrip().startswith(b"#class=")]
        self._options, self._lines, self._values = kept, [], {}

    def set_option(self, start: str, line: str | None) -> None:
        """Replace or remove the line that begins with ``#`` and ``start``."""
        first = f"#{start}".encode()
        self._options = [old for old in self._options if not old.lstrip().startswith(first)]
        if line is not None:
            self._options.append(line.encode())


def untimed(body: bytes) -> list[bytes]:
    return [line for line in body.splitlines() if line and not TIME.fullmatch(line)]


def logical_lines(body: bytes) -> Iterator[bytes]:
    """Lines without their ends; those that end in a backslash go on, as binary data does."""
    held: list[bytes] = []
    for line in body.splitlines():
        held.append(line)
        if not line.endswith(b"\\"):
            yield b"\n".join(held)
            held.clear()
    if held:
        yield b"\n".join(held)


def binary(text: bytes) -> bytes:
    """The bytes that ``hex(6):5c,00,\\…`` stands for. Raises Malformed."""
    match = BINARY.match(text)
    digits = re.sub(rb"[\\,\s]", b"", text[match.end() :]) if match else b"?"
    try:
        return bytes.fromhex(digits.decode("ascii"))
    except ValueError as error:
        raise Malformed("the target of a link is not binary data") from error
