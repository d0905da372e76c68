"""Progress of long work on stderr: bars on a terminal, otherwise a line a step."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import click

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID


class Progress:
    """Shows the lines of a docker progress stream: ``{status, id, progressDetail{current, total}}``.

    A context manager. ``quiet`` shows nothing.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._said: dict[str, str] = {}
        self._tasks: dict[str, TaskID] = {}
        self._bars = None if quiet or not sys.stderr.isatty() else _bars()

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
        if self._bars is not None and identity:
            self._update(self._bars, identity, status, line.get("progressDetail") or {})
        elif self._said.get(identity) != status or not identity:
            self._said[identity] = status
            text = f"{identity}: {status}" if identity else status
            if self._bars is not None:
                self._bars.console.print(text, markup=False, highlight=False)
            else:
                click.echo(text, err=True)

    def _update(self, bars: Bars, identity: str, status: str, detail: Mapping[str, Any]) -> None:
        if identity not in self._tasks:
            self._tasks[identity] = bars.add_task(identity, total=None, status=status)
        # A line without numbers changes the words only; rich reads None as "as it was".
        bars.update(
            self._tasks[identity], status=status, total=detail.get("total"), completed=detail.get("current")
        )


def _bars() -> Bars:
    # Importing rich costs more than most commands take; only a terminal that waits pays for it.
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn
    from rich.progress import Progress as Bars

    return Bars(
        TextColumn("{task.description}", markup=False),
        TextColumn("{task.fields[status]}", markup=False),
        BarColumn(),
        DownloadColumn(),
        console=Console(stderr=True),
    )
