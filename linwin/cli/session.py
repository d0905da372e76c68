"""A terminal's side of a running container: output, input, signals, and the exit code at the end."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from linwin.cli import failures
from linwin.cli.streams import write_output
from linwin.client import Client, quote
from linwin.errors import Conflict, LinwinError, NotFound

FORWARDED = (signal.SIGINT, signal.SIGTERM)
STDIN = 0


def run_attached(
    client: Client,
    container: str,
    attach: frozenset[str],
    *,
    condition: str,
    start: Callable[[], None] | None = None,
    forward: bool = True,
) -> int:
    """Attach to a container, call ``start``, carry its streams, and return its exit code.

    ``attach`` names the streams. ``condition`` is what to wait for: the wait is
    registered before the start, so the end of a short container is not missed.
    Raises what ``start`` raises, and Unavailable when the daemon is lost.
    """
    streams = {name: name in attach for name in ("stdin", "stdout", "stderr")}
    with (
        client.attach(container, **streams) as attachment,
        client.wait(container, condition) as waiting,
        _forwarding(client, container, forward) as forwarder,
    ):
        if start is not None:
            start()
        forwarder.open()
        if "stdin" in attach:
            attachment.feed(STDIN)
        write_output(attachment)
        code, problem = waiting.result()
    if problem:
        failures.say(problem)
    return failures.exit_code(code)


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
