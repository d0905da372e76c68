"""Progress of long work, on stderr unless it is the answer: bars on a terminal, otherwise a line a step."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, TextIO

import click

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.progress import Progress as Bars
    from rich.progress import Task, TaskID


class Progress:
    """Shows the lines of a docker progress stream: ``{status, id, progressDetail{current, total}}``.

    A context manager. ``screen`` is stderr by default; ``quiet`` shows nothing, ``plain`` no bars.
    """

    def __init__(self, screen: TextIO | None = None, *, quiet: bool = False, plain: bool = False) -> None:
        self._screen = screen or sys.stderr
        self._quiet = quiet
        self._said: dict[str, str] = {}
        self._tasks: dict[str, TaskID] = {}
        self._bars = None if quiet or plain or not self._screen.isatty() else _bars(self._screen)

    def __enter__(self) -> Progress:
        if self._bars is not None:
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars is not None:
            self._bars.stop()

    def show(self, line: Mapping[str, Any]) -> None:
        """Show one line of the stream, unless it carries no ``status``."""
        status, identity = str(line.get("status", "")), str(line.get("id") or "")
        if not status or self._quiet:
            return
        detail = line.get("progressDetail")
        if self._bars is not None and identity and (detail is not None or identity in self._tasks):
            self._update(self._bars, identity, status, detail or {})
        elif self._said.get(identity) != status or not identity:
            self._said[identity] = status
            text = f"{identity}: {status}" if identity else status
            if self._bars is not None:
                self._bars.console.print(text, markup=False, highlight=False)
            else:
                click.echo(text, file=self._screen)

    def _update(self, bars: Bars, identity: str, status: str, detail: Mapping[str, Any]) -> None:
        if identity not in self._tasks:
            self._tasks[identity] = bars.add_task(identity, total=None, status=status)
        # A line without numbers changes the words only; rich reads None as "as it was".
        bars.update(
            self._tasks[identity], status=status, total=detail.get("total"), completed=detail.get("current")
        )


def _bars(screen: TextIO) -> Bars:
    # Importing rich costs more than most commands take; only a terminal that waits pays for it.
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, ProgressColumn, TextColumn
    from rich.progress import Progress as Bars
    from rich.text import Text

    class Counted(ProgressColumn):
        """A column that stays empty until there is something to count: a layer that waits has no bar."""

        def __init__(self, column: ProgressColumn) -> None:
            super().__init__()
            self._column = column

        def render(self, task: Task) -> RenderableType:
            counts = task.total is not None or task.completed > 0
            return self._column.render(task) if counts else Text()

    return Bars(
        TextColumn("{task.description}", markup=False),
        TextColumn("{task.fields[status]}", markup=False),
        Counted(BarColumn()),
        Counted(DownloadColumn()),
        console=Console(file=screen),
    )
