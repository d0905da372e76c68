"""One command line and what it prints.

Each runs in a world of its own: container ``box`` has printed three lines and ended,
``live`` runs, ``fresh`` was never started, and there is an image ``team/app:1``.
"""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.scenario.docker_commands.differences import NO_USAGE

Text = str | Sequence[Mapping[str, Any]]
"""What is printed: text with the words of :data:`PLACEHOLDERS`, or JSON objects, one a line."""

_MOMENT = r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d[^ \n]*( [-+]\d{4} \w+)?"
_SPAN = r"(?:Less than a second|About an? \w+|\d+ \w+)"
PLACEHOLDERS = {
    "<id>": r"[0-9a-f]{12}",
    "<full>": r"[0-9a-f]{64}",
    "<span>": _SPAN,
    "<time>": _MOMENT,
    "<number>": r"\d+(?:\.\d+)?",
    "<any>": r"[^\n]*",
    "<rest>": r"(?s:.*)",
}
"""What differs from run to run."""

_WORDS = re.compile("(" + "|".join(map(re.escape, PLACEHOLDERS)) + ")")
_ABSENT = re.compile(r"\b[Nn]o such|Could not find")
_FLEXIBLE = ("<span>", "<time>", "<number>", "<any>")


@dataclass(frozen=True)
class Own:
    """What linwin's own command line prints instead, and why that is better for its users."""

    why: str
    out: Text | None = None
    err: str | None = None
    code: int | None = None


@dataclass(frozen=True)
class Line:
    """``docker WORDS`` and what docker answers.

    ``err`` is docker's sentence; ``hint`` is what our daemon says after it. ``needs`` is the
    major version of docker's client that has the command, the flag or the words first.
    ``own`` is how linwin's client differs, None where it has no such command on purpose.
    """

    words: str
    out: Text = ""
    err: str = ""
    code: int = 0
    hint: str = ""
    needs: int = 20
    stdin: str | None = None
    own: Own | None = dataclasses.field(default_factory=lambda: Own(""))

    @property
    def arguments(self) -> list[str]:
        return shlex.split(self.words)


def refused(words: str, sentence: str, *, hint: str = "", code: int = 1, **more: Any) -> Line:
    """A command that the daemon refuses, in docker's words."""
    if _ABSENT.search(sentence):
        more.setdefault("needs", 24)  # before that the client had words of its own for what is not there
    return Line(words, err=f"Error response from daemon: {sentence}\n", hint=hint, code=code, **more)


def mistake(words: str, sentence: str, usage: str, *, code: int = 1) -> Line:
    """A command line that docker's client (28) cannot read: what is wrong, the usage, where to read more."""
    command = re.split(r" [\[A-Z]", usage)[0]
    err = f"{sentence}\n\nUsage:  {usage}\n\nRun '{command} --help' for more information\n"
    short = sentence.removeprefix("docker: ").replace("docker", "linwin")
    more = f"Run '{command.replace('docker', 'linwin')} --help' for more information."
    own = Own(NO_USAGE, err=f"linwin: {short}\n{more}\n")
    return Line(words, err=err, code=code, needs=28, own=own)


def as_linwin(line: Line) -> Line:
    """What linwin's own client prints: docker's words, with its own name before an error's sentence."""
    assert line.own is not None
    own = line.own
    err = re.sub(r"^(docker: )?Error response from daemon: ", "linwin: ", line.err, flags=re.MULTILINE)
    return dataclasses.replace(
        line,
        out=line.out if own.out is None else own.out,
        err=err if own.err is None else own.err,
        code=line.code if own.code is None else own.code,
    )


def matches(expected: Text, printed: str) -> bool:
    """Whether what was printed is what was expected."""
    if isinstance(expected, str):
        return re.fullmatch(_pattern(expected), printed) is not None
    rows = [json.loads(line) for line in printed.splitlines()]
    return len(rows) == len(expected) and all(map(_object_matches, expected, rows))


def _object_matches(expected: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    """All that docker has is there; what linwin adds does not harm."""
    return all(
        name in found and (matches(value, found[name]) if isinstance(value, str) else value == found[name])
        for name, value in expected.items()
    )


def _pattern(text: str) -> str:
    """Blanks between columns are counted exactly, unless a cell of the table has no fixed width."""
    flexible = any(word in text for word in _FLEXIBLE)
    pieces = (PLACEHOLDERS.get(piece) or re.escape(piece) for piece in _WORDS.split(text))
    pattern = "".join(pieces)
    return re.sub(r"(?:\\ ){3,}", r"\\ {3,}", pattern) if flexible else pattern
