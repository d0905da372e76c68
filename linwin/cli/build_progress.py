"""What a build shows: docker's lines as they come, or on a terminal its steps, as BuildKit does."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

import click

from linwin.cli.build_steps import KEPT_LINES, BuildSteps, Step, blamed
from linwin.cli.progress import Progress
from linwin.cli.units import human_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rich.console import Console, RenderableType

MODES = ("auto", "plain", "tty", "rawjson")
LINES = 6
"""Lines of output that are shown of each step that runs."""
REFRESHES = 8
"""Times a second that a terminal is drawn."""

FAILED, CANCELLED, CACHED = "ERROR ", "CANCELED ", "CACHED "
STYLES = {FAILED: "red", CANCELLED: "yellow", CACHED: "blue", "": ""}
"""Of a step's line, by the mark before its label: BuildKit's."""

SENDING = "Sending build context to the daemon"


class View(AbstractContextManager["View"]):
    """Shows a build. This one shows docker's lines as they are, on stdout.

    A context manager, whose end is the build's.
    """

    def __init__(self) -> None:
        self._transfers = Progress(sys.stdout, plain=True)

    def __exit__(self, kind: object, *_: object) -> None:
        sys.stdout.flush()

    def uploading(self, sent: int) -> None:
        """So many bytes of the context have been sent."""

    def uploaded(self, sent: int) -> None:
        """All of it was."""
        click.echo(f"{SENDING}  {human_size(sent, digits=4)}")

    def show(self, line: Mapping[str, Any]) -> None:
        """Show a line of the stream."""
        if stream := line.get("stream"):
            click.echo(stream, nl=False)
        else:
            self._transfers.show(line)

    def failed(self, message: str) -> None:
        """The build failed, and this is why."""


class RawView(View):
    """Shows the stream's own objects, one a line."""

    def uploaded(self, sent: int) -> None:
        return

    def show(self, line: Mapping[str, Any]) -> None:
        click.echo(json.dumps(line))


class QuietView(View):
    """Shows the image's id alone, or what was said when the build failed."""

    def __init__(self) -> None:
        super().__init__()
        self._said: list[str] = []

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            click.echo("".join(self._said), nl=False)

    def uploaded(self, sent: int) -> None:
        return

    def show(self, line: Mapping[str, Any]) -> None:
        self._said.append(str(line.get("stream", "")))

    def failed(self, message: str) -> None:
        click.echo("".join(self._said), nl=False, err=True)


class TerminalView(View):
    """Draws the steps that run, with the last of their output; those that have ended stay above."""

    def __init__(self) -> None:
        # Importing rich costs more than most commands take; only a terminal that waits pays for it.
        from rich.console import Console
        from rich.live import Live

        super().__init__()
        self._console: Console = Console(file=sys.stdout, force_terminal=True, highlight=False)
        self._steps = BuildSteps()
        self._sent: int | None = None
        self._message = ""
        self._lock = threading.Lock()  # rich draws in a thread of its own
        self._live = Live(
            console=self._console,
            get_renderable=self._draw,
            refresh_per_second=REFRESHES,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> TerminalView:
        self._live.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        with self._lock:
            left = self._steps.end(time.monotonic())
        self._live.stop()
        guilty = blamed(left, self._message) if self._message else []
        for step in left:
            self._print(step, FAILED if step in guilty else CANCELLED if kind else "")
        for step in guilty:
            for line in step.last(KEPT_LINES):
                self._say(f" => => # {line}")

    def uploading(self, sent: int) -> None:
        self._sent = sent

    def uploaded(self, sent: int) -> None:
        self._sent = None
        self._say(f" => {SENDING}  {human_size(sent, digits=4)}")

    def show(self, line: Mapping[str, Any]) -> None:
        with self._lock:
            ended, notes = self._steps.hear(line, time.monotonic())
        for step in ended:
            self._print(step)
        for note in notes:
            self._say(note)

    def failed(self, message: str) -> None:
        self._message = message

    def _draw(self) -> RenderableType:
        from rich.console import Group

        with self._lock:
            return Group(*self._running())

    def _running(self) -> Iterator[RenderableType]:
        if self._sent is not None:
            yield _row(f" => {SENDING}  {human_size(self._sent)}", "", "")
        now = time.monotonic()
        for step in self._steps.running.values():
            yield _row(f" => {step.label} {step.title}", _seconds(step, now), "bold")
            for line in step.last(LINES):
                yield _row(f" => => # {line}", "", "dim")

    def _print(self, step: Step, mark: str = "") -> None:
        mark = mark or (CACHED if step.cached else "")
        row = _row(f" => {mark}{step.label} {step.title}", _seconds(step, time.monotonic()), STYLES[mark])
        self._console.print(row)

    def _say(self, text: str) -> None:
        from rich.text import Text

        self._console.print(Text(text))


def _seconds(step: Step, now: float) -> str:
    return f"{step.seconds(now):.1f}s"


def _row(text: str, right: str, style: str) -> RenderableType:
    """One line of the terminal, whatever its length, with ``right`` at its end."""
    from rich.table import Table
    from rich.text import Text

    row = Table.grid(expand=True, padding=(0, 1))
    row.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    row.add_column(justify="right", no_wrap=True)
    row.add_row(Text(text, style=style), Text(right, style=style))
    return row


def view(mode: str, *, quiet: bool) -> View:
    """The view that ``--progress`` asks for, where ``auto`` draws on a terminal only."""
    if quiet:
        return QuietView()
    if mode == "rawjson":
        return RawView()
    if mode == "tty" or (mode == "auto" and sys.stdout.isatty()):
        return TerminalView()
    return View()
