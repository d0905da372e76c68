"""INF files: what a driver package says of itself, parsed strictly. Pure.

Syntax: "General Syntax Rules for INF Files" and the pages on each section, in Microsoft's driver
documentation. Sections and keys do not tell case; a section that occurs twice is one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

MOST_BYTES = 1 << 20
_MOST_LINES = 20_000
_TOKEN = re.compile(r"%([^%]*)%")
_DECORATION = re.compile(
    r"nt(?P<arch>x86|amd64|arm64|arm|ia64)?"
    r"(?:\.(?P<major>\d*)(?:\.(?P<minor>\d*)(?:\.(?P<product>[0-9a-fx]*)"
    r"(?:\.(?P<suite>[0-9a-fx]*)(?:\.(?P<build>\d*))?)?)?)?)?"
)


class BadInf(ValueError):
    """The text is no INF file; the message says where."""


@dataclass(frozen=True, slots=True)
class Line:
    """``key = values``, or values alone; quotes and comments are gone, string tokens are not replaced."""

    key: str
    values: tuple[str, ...]

    def value(self, index: int) -> str:
        """The value at ``index``, empty where the line has fewer."""
        return self.values[index] if index < len(self.values) else ""


@dataclass(frozen=True, slots=True)
class Target:
    """The Windows that a driver is for: 10.0, 64-bit, a server where ``product`` is 3."""

    build: int
    product: int = 3
    suite: int = 0
    major: int = 10
    minor: int = 0


@dataclass(frozen=True, slots=True)
class Inf:
    """A parsed file: lines by the lower-case names of their sections."""

    sections: Mapping[str, tuple[Line, ...]]

    def lines(self, section: str) -> tuple[Line, ...]:
        """A section's lines, none when it is not there."""
        return self.sections.get(section.lower(), ())

    def has(self, section: str) -> bool:
        return section.lower() in self.sections

    def values(self, section: str, key: str) -> tuple[str, ...]:
        """All values that the section's lines with this key list, in order, tokens replaced."""
        lines = (line for line in self.lines(section) if line.key.lower() == key.lower())
        return tuple(self.text(value) for line in lines for value in line.values)

    def setting(self, section: str, key: str) -> str:
        """The first of ``values``, empty without one."""
        return next(iter(self.values(section, key)), "")

    def text(self, value: str) -> str:
        """The value with its tokens replaced; those of no string (folders, as ``%12%``) stay."""
        return _TOKEN.sub(self._replaced, value)

    def _replaced(self, match: re.Match[str]) -> str:
        if not match[1]:
            return "%"  # a doubled one
        found = (line.value(0) for line in self.lines("strings") if line.key.lower() == match[1].lower())
        return next(found, match[0])


def parse(data: bytes) -> Inf:
    """Raises BadInf for what is no INF file, or larger than any."""
    if len(data) > MOST_BYTES:
        raise BadInf("it is larger than any INF file")
    sections: dict[str, list[Line]] = {}
    current: list[Line] | None = None
    for number, line in _logical_lines(_decoded(data)):
        if line.startswith("["):
            name, bracket, rest = line[1:].partition("]")
            if not bracket or rest.strip():
                raise BadInf(f"line {number} is no section's name")
            current = sections.setdefault(name.strip().lower(), [])
        elif current is None:
            raise BadInf(f"line {number} is in no section")
        else:
            current.append(_line(line, number))
    inf = Inf({name: tuple(lines) for name, lines in sections.items()})
    if inf.setting("version", "signature").lower() not in ("$windows nt$", "$chicago$"):
        raise BadInf("its [Version] has no signature of Windows")
    return inf


def best_decoration(decorations: Iterable[str], target: Target) -> str | None:
    """Of the decorations of a manufacturer's models, the one that Windows would take, or None.

    64-bit Windows takes none that names no architecture but 64-bit x86. Of those that
    apply, the latest version wins, then the latest build, then what names its product or suite.
    """
    ranked = [
        (rank, text) for text in decorations if (rank := _rank(text.strip().lower(), target)) is not None
    ]
    return max(ranked)[1] if ranked else None


def _rank(text: str, target: Target) -> tuple[int, int, int, bool, bool] | None:
    match = _DECORATION.fullmatch(text)
    if match is None or match["arch"] != "amd64":
        return None
    major, minor, build = (int(match[name] or 0) for name in ("major", "minor", "build"))
    product, suite = (_number(match[name]) for name in ("product", "suite"))
    if (major, minor) > (target.major, target.minor) or build > target.build:
        return None
    if product not in (0, target.product) or (suite and not suite & target.suite):
        return None
    return major, minor, build, bool(product), bool(suite)


def _number(text: str | None) -> int:
    try:
        return int(text, 0) if text else 0
    except ValueError as error:
        raise BadInf(f"{text!r} is no number") from error


def _decoded(data: bytes) -> str:
    try:
        if data.startswith((b"\xff\xfe", b"\xfe\xff")):
            return data.decode("utf-16")
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        if data.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise BadInf("it is not text") from None
        return data.decode("cp1252", "replace")


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines without comments, joined where one ends in a backslash."""
    waiting = ""
    lines = text.replace("\r\n", "\n").split("\n")
    if len(lines) > _MOST_LINES:
        raise BadInf("it has more lines than any INF file")
    for number, raw in enumerate(lines, start=1):
        line = waiting + _without_comment(raw).strip()
        if line.endswith("\\") and line.count('"') % 2 == 0:
            waiting = line[:-1]
            continue
        waiting = ""
        if line:
            yield number, line
    if waiting:
        raise BadInf("its last line is continued by none")


def _without_comment(line: str) -> str:
    quoted = False
    for index, letter in enumerate(line):
        if letter == '"':
            quoted = not quoted
        if letter == ";" and not quoted:
            return line[:index]
    return line


def _line(line: str, number: int) -> Line:
    parts, has_key = _split(line, number)
    key = parts.pop(0) if has_key else ""
    return Line(key, tuple(parts))


def _split(line: str, number: int) -> tuple[list[str], bool]:
    """The line's parts between ``=`` and commas, and whether the first is a key."""
    parts, has_key, quoted = [""], False, False
    index = 0
    while index < len(line):
        letter = line[index]
        if letter == '"' and quoted and line[index + 1 : index + 2] == '"':
            parts[-1] += '"'
            index += 1
        elif letter == '"':
            quoted = not quoted
            # What is quoted keeps its spaces, which _trim could not tell from those around it.
        elif letter == "=" and not quoted and not has_key and len(parts) == 1:
            has_key = True
            parts.append("")
        elif letter == "," and not quoted:
            parts.append("")
        else:
            parts[-1] += "\0" if letter == " " and quoted else letter
        index += 1
    if quoted:
        raise BadInf(f"a quotation does not end on line {number}")
    return [part.strip().replace("\0", " ") for part in parts], has_key
