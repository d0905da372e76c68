"""Commands that do one thing to each of several objects and go on after a failure, as docker's do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import click

from linwin.cli import failures
from linwin.client import Unreachable
from linwin.errors import Internal, LinwinError

Action = Callable[[str], str | None]
Outcome = str | None | LinwinError

AT_ONCE = 50  # docker's own limit


def for_each(names: Sequence[str], action: Action) -> int:
    """Call ``action`` with all names at once; print what it returns, or its error, in their order.

    Returns the exit code. A daemon that cannot be reached ends the loop: it
    would say the same each time.
    """
    code = 0
    for outcome in _outcomes(names, action):
        if isinstance(outcome, Unreachable):
            raise outcome
        if isinstance(outcome, LinwinError):
            failures.show(outcome)
            code = failures.FAILED
        elif outcome is not None:
            click.echo(outcome)
    return code


def _outcomes(names: Sequence[str], action: Action) -> Iterator[Outcome]:
    if len(names) == 1:
        yield _attempt(action, names[0])
        return
    for start in range(0, len(names), AT_ONCE):
        yield from _concurrently(names[start : start + AT_ONCE], action)


def _attempt(action: Action, name: str) -> Outcome:
    try:
        return action(name)
    except LinwinError as error:
        return error


def _concurrently(names: Sequence[str], action: Action) -> Iterator[Outcome]:
    """Daemon threads and not a pool: an interrupt must end us while the daemon is still busy."""
    from queue import SimpleQueue
    from threading import Thread

    def work(name: str, box: SimpleQueue[Outcome]) -> None:
        outcome: Outcome = Internal(f"the request for {name} ended unexpectedly")
        try:
            outcome = _attempt(action, name)
        finally:
            box.put(outcome)

    boxes: list[SimpleQueue[Outcome]] = [SimpleQueue() for _ in names]
    for name, box in zip(names, boxes, strict=True):
        Thread(target=work, args=(name, box), daemon=True).start()
    yield from (box.get() for box in boxes)
