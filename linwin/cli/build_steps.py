"""The steps of a build, made out of docker's stream: what the view of a terminal shows. No I/O."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from linwin.cli.output import one_line
from linwin.cli.units import human_size

KEPT_LINES = 100
"""Lines of a step's output that are shown when it fails."""

_HEADER = re.compile(r"Step \d+/\d+ : (.*)", re.DOTALL)
_END = re.compile(r" ---> [0-9a-f]{12,64}")
_CACHED = " ---> Using cache"
_SILENT = re.compile(r" ---> (Running in|Removed intermediate container) |Removing intermediate container ")
# ECMA-48: control sequences, and those of an operating system's own, such as a window's title.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])")


@dataclass(eq=False)
class Step:
    """One instruction. Times are in seconds of the caller's clock; ``ended`` is None while it runs."""

    label: str
    title: str
    stage: str
    started: float
    ended: float | None = None
    cached: bool = False
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT_LINES))
    transfers: dict[str, str] = field(default_factory=dict)
    partial: str = ""

    def seconds(self, now: float) -> float:
        """How long it took, or has taken."""
        return (now if self.ended is None else self.ended) - self.started

    def add(self, text: str) -> None:
        """Take what it printed. A line that was begun anew is but its last form."""
        *whole, self.partial = (self.partial + text).split("\n")
        self.lines.extend(plain(line) for line in whole)
        self.partial = self.partial[-4096:]

    def last(self, count: int) -> list[str]:
        """The last lines of what it printed, and of what it moves."""
        begun = [plain(self.partial)] if self.partial.strip() else []
        shown = [*self.lines, *begun, *(f"{key}: {status}" for key, status in self.transfers.items())]
        return shown[-count:]


class BuildSteps:
    """Follows a build. Several of its stages may be under way at once."""

    def __init__(self) -> None:
        self.running: dict[str, Step] = {}
        """By stage."""

    def hear(self, line: Mapping[str, Any], now: float) -> tuple[list[Step], list[str]]:
        """Take a line of the stream; return the steps that it ended, and what it says of no step."""
        if text := line.get("stream"):
            about = line.get("linwin")
            return self._output(str(text), about, now) if isinstance(about, Mapping) else ([], _notes(text))
        if status := line.get("status"):
            return [], self._transfer(line, str(status))
        return [], []

    def end(self, now: float) -> list[Step]:
        """Nothing more will come: end and return what still runs."""
        left = list(self.running.values())
        for step in left:
            step.ended = now
        self.running.clear()
        return left

    def _output(self, text: str, about: Mapping[str, Any], now: float) -> tuple[list[Step], list[str]]:
        stage, bare = str(about.get("stage", "")), text.removesuffix("\n")
        if header := _HEADER.fullmatch(bare):
            ended = self._ended(stage, now)
            self.running[stage] = Step(_label(about), plain(header[1]), stage, started=now)
            return ended, []
        if _END.fullmatch(bare):
            return self._ended(stage, now), []
        step = self.running.get(stage)
        if step is None:
            return [], _notes(text)
        if bare == _CACHED:
            step.cached = True
        elif not _SILENT.match(bare):
            step.add(text)
        return [], []

    def _ended(self, stage: str, now: float) -> list[Step]:
        step = self.running.pop(stage, None)
        if step is None:
            return []
        step.ended = now
        return [step]

    def _transfer(self, line: Mapping[str, Any], status: str) -> list[str]:
        """Layers that a step pulls; they come without a word about the step, which began last."""
        key = str(line.get("id") or "")
        if not self.running or not key:
            return _notes(f"{key}: {status}" if key else status)
        *_, step = self.running.values()
        step.transfers.pop(key, None)  # what moved last is shown last
        step.transfers[plain(key)] = plain(status) + _counted(line.get("progressDetail"))
        return []


def _label(about: Mapping[str, Any]) -> str:
    """``2/5``, with the name of the stage where it has one."""
    stage = plain(str(about.get("stage", "")))
    name = f"{stage} " if stage and not stage.isdecimal() else ""
    return f"[{name}{about.get('step')}/{about.get('steps')}]"


def _counted(detail: Any) -> str:
    current, total = (
        (detail.get("current"), detail.get("total")) if isinstance(detail, Mapping) else (None, None)
    )
    if not isinstance(current, int):
        return ""
    return (
        f" {human_size(current)}/{human_size(total)}" if isinstance(total, int) else f" {human_size(current)}"
    )


def _notes(text: str) -> list[str]:
    return [plain(line) for line in text.splitlines() if line.strip()]


def plain(text: str) -> str:
    """A line as a terminal may show it: without what would move the cursor or change colours."""
    return one_line(_ESCAPES.sub("", text.rstrip("\r").rpartition("\r")[2])).rstrip()


def blamed(running: Sequence[Step], message: str) -> Sequence[Step]:
    """Those of the steps that ran when a build failed which its message is about: all, if it names none.

    The failure of a command names it; other stages are at work at that time.
    """
    about = plain(message)
    named = [step for step in running if (words := step.title.partition(" ")[2]) and words in about]
    return named or running
