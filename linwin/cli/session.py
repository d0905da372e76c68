"""A terminal's side of a running container: output, input, signals, and the exit code at the end."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import click

from linwin.cli import failures
from linwin.cli.streams import write_output
from linwin.client import Attachment, Client, quote
from linwin.errors import Conflict, LinwinError, NotFound

FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT)
"""Those that mean something to a Windows program; QUIT is its Ctrl-Break."""
STDIN = 0


def run_attached(
    client: Client,
    container: str,
    attach: frozenset[str],
    *,
    condition: str,
    start: Callable[[], None] | None = None,
    forward: bool = True,
    tty: bool = False,
    detach_keys: str | None = None,
) -> int:
    """Attach to a container, call ``start``, carry its streams, and return its exit code.

    ``attach`` names the streams. ``condition`` is what to wait for: the wait is
    registered before the start, so the end of a short container is not missed.
    With ``tty`` the container has a terminal, which becomes ours; the detach
    keys then end this with 0. Raises what ``start`` raises, and Unavailable
    when the daemon is lost.
    """
    streams = {name: name in attach for name in ("stdin", "stdout", "stderr")}
    with (
        client.attach(container, detach_keys=detach_keys, **streams) as attachment,
        client.wait(container, condition) as waiting,
        _forwarding(client, container, forward and not tty) as forwarder,
    ):
        if start is not None:
            start()
        forwarder.open()
        carry(client, attachment, f"/containers/{quote(container)}", stdin="stdin" in attach, tty=tty)
        if tty and _runs(client, container):
            return detached()
        code, problem = waiting.result()
    if problem:
        failures.say(problem)
    return failures.exit_code(code)


def carry(client: Client, attachment: Attachment, path: str, *, stdin: bool, tty: bool) -> None:
    """Carry the streams of what ``path`` names until its output ends, or the detach keys are typed."""
    if not tty:
        if stdin:
            attachment.feed(STDIN)
        write_output(attachment)
        return
    from linwin.cli import terminal

    def resize(rows: int, columns: int) -> None:
        client.post(f"{path}/resize", h=rows, w=columns)

    terminal.lend(attachment, resize, stdin=stdin)


def _runs(client: Client, container: str) -> bool:
    try:
        return bool(client.get(f"/containers/{quote(container)}/json")["State"]["Running"])
    except NotFound:
        return False  # it was removed when it ended


def detached() -> int:
    """Say, in docker's words, that the program runs on; returns the exit code."""
    click.echo("\nread escape sequence", err=True)
    return 0


class _Forwarder:
    """Sends our signals to the container, those that came before its start right after it."""

    def __init__(self, client: Client, container: str) -> None:
        self._client = client
        self._path = f"/containers/{quote(container)}/kill"
        self._waiting: list[signal.Signals] | None = []

    def open(self) -> None:
        """The container runs: deliver what came early, and everything from now on."""
        early, self._waiting = self._waiting or [], None
        for number in early:
            self._deliver(number)

    def receive(self, number: int, _frame: FrameType | None) -> None:
        """The signal handler. A second signal before the container runs ends us instead."""
        name = signal.Signals(number)
        if self._waiting is None:
            self._deliver(name)
        elif self._waiting:
            raise KeyboardInterrupt
        else:
            self._waiting.append(name)
            failures.say(f"{name.name} will be sent when the container runs (once more: leave it alone)")

    def _deliver(self, number: signal.Signals) -> None:
        # In a thread of its own: the handler interrupts the reading of output, and the daemon
        # may be unable to send the signal before that output is read.
        from threading import Thread

        Thread(target=self._kill, args=(number,), daemon=True).start()

    def _kill(self, number: signal.Signals) -> None:
        try:
            self._client.post(self._path, signal=number.name)
        except (NotFound, Conflict):
            return  # it has ended in the meantime, which is what the signal was for
        except LinwinError as error:
            failures.show(error)


@contextmanager
def _forwarding(client: Client, container: str, enabled: bool) -> Iterator[_Forwarder]:
    forwarder = _Forwarder(client, container)
    if not enabled:
        yield forwarder
        return
    before = {number: signal.signal(number, forwarder.receive) for number in FORWARDED}
    try:
        yield forwarder
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
