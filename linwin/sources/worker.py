"""The process that reads one build's context and Dockerfile, until its stdin ends.

Contexts are hostile, the parser of Dockerfiles is Go: whatever goes wrong here fails one build.
``python -m linwin.sources.worker PARENT`` answers the requests of :mod:`linwin.sources.messages`
on stdin, on stdout.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from linwin.errors import Internal, LinwinError, Unavailable
from linwin.sources import messages
from linwin.sources.context import Context
from linwin.sources.gather import gather
from linwin.sources.parse import parse_changes, parse_triggers

MEMORY_LIMIT = 1 << 30
PR_SET_PDEATHSIG = 1


def main(parent: str) -> int:
    die_with(int(parent))
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_LIMIT, MEMORY_LIMIT))
    serving = Serving()
    for line in sys.stdin.buffer:
        sys.stdout.buffer.write(answer(serving, line))
        sys.stdout.buffer.flush()
    return 0


def die_with(parent: int) -> None:
    """Be killed when the daemon is (prctl(2)), also where that has happened already."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(1)


def answer(serving: Serving, line: bytes) -> bytes:
    verb, arguments = messages.request_in(line)
    verbs: dict[str, Callable[..., Any]] = {
        "open": serving.open,
        "dockerfile": serving.dockerfile,
        "select": serving.select,
        "pack": serving.pack,
        "changes": parse_changes,
        "triggers": parse_triggers,
        "gather": gather,
    }
    try:
        return messages.of_answer(verbs[verb](**arguments))
    except LinwinError as error:
        return messages.of_error(error)
    except MemoryError:
        return messages.of_error(
            Unavailable(
                "reading the build context needs more memory than it may use",
                hint="Leave files out of it with .dockerignore.",
            )
        )


class Serving:
    """The requests about a context, with their arguments as JSON has them."""

    def __init__(self) -> None:
        self._context: Context | None = None

    def open(self, body: str, spool: str) -> None:
        self._context = Context.open(Path(body), Path(spool))

    def dockerfile(self, path: str) -> Any:
        return self._opened().dockerfile(path)

    def select(self, pattern: str) -> Any:
        return self._opened().select(pattern)

    def pack(self, items: list[Any], output: str) -> None:
        self._opened().pack(messages.items_in(items), Path(output))

    def _opened(self) -> Context:
        if self._context is None:
            raise Internal("no build context was opened")
        return self._context


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
