"""Our terminal while a program in a container has it: raw mode and size.

Imported only for ``-t``: everybody else need not pay for it.
"""

from __future__ import annotations

import os
import signal
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from threading import Event, Thread
from types import FrameType
from typing import Any

from linwin.cli.streams import write_output
from linwin.client import Attachment
from linwin.errors import Conflict, LinwinError

STDIN, STDOUT = 0, 1
FATAL = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
"""What ends us from outside; typed, they are bytes for the program."""


def size() -> tuple[int, int]:
    """Rows and columns of our terminal, (0, 0) where our output is none."""
    try:
        found = os.get_terminal_size(STDOUT)
    except OSError:
        return 0, 0
    return found.lines, found.columns


def require(hint: str) -> None:
    """Raise Conflict unless our standard input is a terminal that can be lent."""
    if not os.isatty(STDIN):
        raise Conflict(
            "the input device is not a TTY",
            hint=hint,
        )


def lend(attachment: Attachment, resize: Callable[[int, int], Any], *, stdin: bool) -> None:
    """Be a program's terminal until its output ends.

    The daemon looks for the detach keys: two that look would hold a key back twice.
    """
    with raw_mode() if stdin else nullcontext(), following_size(resize) as tell_size:
        tell_size()
        if stdin:
            attachment.feed(STDIN)
        write_output(attachment)


@contextmanager
def raw_mode() -> Iterator[None]:
    """Pass every key on as it is typed; whatever ends the context, or us, restores the terminal."""
    before = termios.tcgetattr(STDIN)

    def restore() -> None:
        termios.tcsetattr(STDIN, termios.TCSADRAIN, before)

    def end(number: int, _frame: FrameType | None) -> None:
        restore()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    handlers = {number: signal.signal(number, end) for number in FATAL}
    try:
        tty.setraw(STDIN, termios.TCSADRAIN)
        yield
    finally:
        restore()
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextmanager
def following_size(resize: Callable[[int, int], Any]) -> Iterator[Callable[[], None]]:
    """Call ``resize`` with rows and columns whenever our terminal changes; yields a call for now.

    From a thread, since the daemon may take its time and output must go on. Of
    several changes at once only the last is told.
    """
    changed, over = Event(), Event()

    def follow() -> None:
        while changed.wait() and not over.is_set():
            changed.clear()
            rows, columns = size()
            if rows and columns:
                try:
                    resize(rows, columns)
                except LinwinError:
                    continue  # it has ended, or ends: its output says the rest

    Thread(target=follow, name="size", daemon=True).start()
    before = signal.signal(signal.SIGWINCH, lambda *_: changed.set())
    try:
        yield changed.set
    finally:
        signal.signal(signal.SIGWINCH, before)
        over.set()
        changed.set()
