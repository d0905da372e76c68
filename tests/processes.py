"""Processes that stand for others: all that is looked at are their words and their user."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def waiting(*words: str, user: int | None = None) -> Iterator[int]:
    """The pid of a process that has these words and waits for its end; ``user`` is whose, else ours."""
    program = ["sh", "-c", "echo; read end", *words]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, user=user) as process:
        assert process.stdout is not None
        process.stdout.readline()  # from now on its words are these
        try:
            yield process.pid
        finally:
            process.terminate()
