"""The text of a Dockerfile: its lines, its directives, and where in it something stands.

Rules: docker's parser (moby/buildkit, ``frontend/dockerfile/parser``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from linwin.errors import InvalidRequest, LinwinError

LARGEST_DOCKERFILE = 1 << 20
LONGEST_LINE = 65_535
"""Bytes that docker's parser takes."""
MOST_COPIED = 1_000_000_000
"""Characters that docker's parser may copy, such as 100,000 of an instruction in 10,000 lines."""
LONGEST_SHOWN = 500
"""Characters of it in an error."""
ESCAPES = ("\\", "`")
DIRECTIVES = ("escape", "syntax", "check")
UTF8_MARK = b"\xef\xbb\xbf"
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
SAVE_AS_UTF8 = "Save it as UTF-8."

DIRECTIVE = re.compile(r"#\s*([A-Za-z][A-Za-z0-9]*)\s*=\s*(.+?)\s*")
HEREDOC = re.compile(r"""\d*<<(-?)("[^"<]*"|'[^'<]*'|[^\s<"']+)(?=\s|$)""")
MAY_HAVE_HEREDOCS = re.compile(r"\s*(ONBUILD\s+)*(RUN|COPY|ADD)\s", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Text:
    """``name`` is what its users call it, ``lines`` have no ends, and ``first`` is the first one's number."""

    name: str
    lines: tuple[str, ...]
    escape: str = "\\"
    directives: int = 0
    first: int = 1

    def for_parser(self) -> str:
        """The same for docker's parser: its directives are read here, also those that it does not know."""
        lines = list(self.lines)
        if self.directives:
            lines[: self.directives] = [f"# escape={self.escape}", *[""] * (self.directives - 1)]
        return "\n".join(lines) + "\n"

    def part(self, first: int, last: int) -> Text:
        """The lines from number ``first`` to ``last``, with the same meaning."""
        lines = self.lines[first - self.first : last - self.first + 1]
        return Text(self.name, (f"# escape={self.escape}", *lines), self.escape, 1, first - 1)

    def refusal(
        self,
        why: str,
        line: int,
        word: str = "",
        *,
        hint: str | None = None,
        kind: type[LinwinError] = InvalidRequest,
    ) -> LinwinError:
        """The error about ``word``, at or behind a line."""
        line, column = self.position(line, word)
        return kind(f"{self.name}:{line}:{column}: {shown(why)}", hint=hint)

    def position(self, line: int, word: str) -> tuple[int, int]:
        """Line and column, from 1, of the first ``word`` behind an instruction's name, or of the name."""
        within = range(line, min(self._end(line), self.first + len(self.lines)))
        name = re.match(r"\s*\S*", self._line(line)) if within else None
        begin = name.end() if name else 0
        alone = rf"(?<!\S){re.escape(word)}(?!\S)"
        for pattern in (alone, re.escape(word)) if word else ():
            searched = re.compile(pattern, re.IGNORECASE)
            for number in within:
                if match := searched.search(self._line(number), begin if number == line else 0):
                    return number, match.start() + 1
        return line, len(name[0]) - len(name[0].lstrip()) + 1 if name else 1

    def _end(self, line: int) -> int:
        for first, last in self.instructions():
            if first == line:
                return last + 1
        return line + 1

    def _line(self, number: int) -> str:
        return self.lines[number - self.first]

    def instructions(self) -> Iterator[tuple[int, int]]:
        """First and last line of each instruction, those of its heredocs among them."""
        index = self.directives
        while index < len(self.lines):
            start = index
            joined, index = self._joined(index)
            if not joined.strip() and start + 1 == index:
                continue
            if MAY_HAVE_HEREDOCS.match(joined):
                for dash, name in HEREDOC.findall(joined):
                    index = self._behind_heredoc(index, name.strip("\"'"), tabs=bool(dash))
            yield self.first + start, self.first + index - 1

    def _joined(self, index: int) -> tuple[str, int]:
        """An instruction without its continuations, and the line behind it."""
        joined = ""
        while index < len(self.lines):
            line = self.lines[index].rstrip("\r")
            index += 1
            if line.lstrip().startswith("#") or (joined and not line.strip()):
                if not joined:
                    return "", index
                continue
            bare = line.rstrip(" \t")
            if not bare.endswith(self.escape) or bare.endswith(self.escape * 2):
                return joined + line, index
            joined += bare[:-1] or " "
        return joined, index

    def _behind_heredoc(self, index: int, name: str, *, tabs: bool) -> int:
        for number in range(index, len(self.lines)):
            line = self.lines[number].rstrip("\r")
            if (line.lstrip("\t") if tabs else line) == name:
                return number + 1
        return len(self.lines)


def read_text(name: str, data: bytes) -> Text:
    """Take a Dockerfile's bytes apart. Raises InvalidRequest, saying where."""
    if len(data) > LARGEST_DOCKERFILE:
        raise too_large(name)
    if data.startswith(UTF16_MARKS):
        raise InvalidRequest(f"{name}:1:1: it is UTF-16", hint=SAVE_AS_UTF8)
    data = data.removeprefix(UTF8_MARK)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line, column = place_of(data, error.start)
        raise InvalidRequest(f"{name}:{line}:{column}: it is not UTF-8", hint=SAVE_AS_UTF8) from error
    if (at := data.find(b"\0")) >= 0:
        line, column = place_of(data, at)
        raise InvalidRequest(f"{name}:{line}:{column}: it has a null character", hint=SAVE_AS_UTF8)
    lines = tuple(text.split("\n"))
    for number, content in enumerate(lines, 1):
        if len(content.encode()) >= LONGEST_LINE:
            raise InvalidRequest(
                f"{name}:{number}:1: the line is longer than {LONGEST_LINE} bytes",
                hint="Continue it on further lines.",
            )
    found = with_directives(Text(name, lines))
    check_length(found)
    return found


def with_directives(text: Text) -> Text:
    """Read the directives that a Dockerfile begins with. Raises InvalidRequest."""
    seen: dict[str, str] = {}
    for number, line in enumerate(text.lines, 1):
        match = DIRECTIVE.fullmatch(line.strip())
        if match is None or (key := match[1].lower()) not in DIRECTIVES:
            break
        if key in seen:
            raise text.refusal(f"only one {key} parser directive can be used", number, match[1])
        seen[key] = match[2]
        if key == "escape" and match[2] not in ESCAPES:
            raise text.refusal(f"invalid escape token '{match[2]}' does not match ` or \\", number, match[2])
    return Text(text.name, text.lines, seen.get("escape", "\\"), len(seen))


def check_length(text: Text) -> None:
    """Refuse what docker's parser would be busy with for minutes. Raises InvalidRequest.

    It puts an instruction and its heredocs together line by line, and copies what it has each time.
    """
    copied = 0
    for first, last in text.instructions():
        lines = text.lines[first - text.first : last - text.first + 1]
        copied += len(lines) * (len(lines) + sum(map(len, lines)))
        if copied > MOST_COPIED:
            raise text.refusal(
                "the instruction has too many lines", first, hint="COPY a file that has them, and run that."
            )


def place_of(data: bytes, at: int) -> tuple[int, int]:
    """Line and column, from 1, of a byte."""
    before = data[:at]
    line = before[before.rfind(b"\n") + 1 :]
    return before.count(b"\n") + 1, len(line.decode(errors="replace")) + 1


def shown(text: str) -> str:
    """Something that a Dockerfile says, for an error's reader: printable, and of bounded length."""
    short = text if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + "…"
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in short)


def too_large(name: str) -> InvalidRequest:
    return InvalidRequest(f"{name} is larger than {LARGEST_DOCKERFILE >> 20} MiB")
