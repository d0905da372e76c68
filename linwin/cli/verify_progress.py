"""Checks as they are made: lines that stay, and on a terminal one that tells what is under way."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any, TextIO

import click

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rich.console import Console
    from rich.status import Status

WORDS = {"passed": "ok", "failed": "FAILED", "unchecked": "not checked"}
COLOURS = {"passed": "green", "failed": "bold red", "unchecked": "yellow"}
_OUTCOME_WIDTH = max(map(len, WORDS.values()))
_TITLE_WIDTH = 24


class CheckProgress:
    """Shows checks on stdout. A context manager; ``quiet`` shows nothing."""

    def __init__(self, screen: TextIO | None = None, *, quiet: bool = False) -> None:
        self._screen = screen or sys.stdout
        self._quiet = quiet
        self._console: Console | None = None
        self._status: Status | None = None

    def __enter__(self) -> CheckProgress:
        if not self._quiet and self._screen.isatty():
            from rich.console import Console  # which costs more than most commands take

            self._console = Console(file=self._screen, highlight=False)
            self._status = self._console.status("")
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._status is not None:
            self._status.stop()

    def show(self, check: Mapping[str, Any]) -> None:
        """A check that has begun, whose ``Outcome`` is empty, or one that was made."""
        if self._quiet:
            return
        if check["Outcome"]:
            for line in lines(check):
                self._print(line, COLOURS[check["Outcome"]])
        elif self._status is not None:
            from rich.markup import escape

            self._status.update(f"{check['Group']} {check['Name']}: {escape(check['Proves'])}")

    def _print(self, line: str, colour: str) -> None:
        if self._console is None:
            click.echo(line, file=self._screen)
            self._screen.flush()
            return
        from rich.text import Text

        text = Text(line)
        text.stylize(colour, 0, _OUTCOME_WIDTH)
        self._console.print(text, soft_wrap=True)


def lines(check: Mapping[str, Any]) -> Iterator[str]:
    """One line of the table, and two more where the check failed."""
    title = f"{check['Group']} {check['Name']}"
    row = f"{WORDS[check['Outcome']]:<{_OUTCOME_WIDTH}}  {title:<{_TITLE_WIDTH}} {check['Seconds']:7.1f} s"
    yield f"{row}  {_one_line(check['Detail'] or check['Proves'])}"
    if check["Outcome"] == "failed":
        yield f"{'':<{_OUTCOME_WIDTH}}  expected: {_one_line(check['Expected'])}"
        yield f"{'':<{_OUTCOME_WIDTH}}  got:      {_one_line(check['Got'])}"


def _one_line(text: str) -> str:
    """Printable text: a guest must not move a terminal's cursor."""
    return "".join(letter if letter.isprintable() else " " for letter in text.strip().replace("\n", " | "))
