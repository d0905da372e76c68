"""A real daemon on a root of its own, to be killed while it works."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from linwin.client import Client
from linwin.errors import LinwinError
from linwin.paths import Paths
from tests.conftest import children
from tests.crash.file_events import FileEvents
from tests.crash.steps import HOOK, Steps

REPOSITORY = Path(__file__).parents[2]

PATIENCE = 120
"""Seconds after which something that should have happened will not."""

ORPHANS_END = 20
"""Seconds that a worker has to end after its daemon did."""

Work = Callable[[Client], object]


Measure = Literal["seconds", "events", "steps"]
"""By what work is measured: time, events of files, or the daemon's own steps (see steps.py)."""


@dataclass(frozen=True)
class Span:
    """What an undisturbed piece of work took."""

    seconds: float
    events: int
    steps: int

    def __str__(self) -> str:
        return f"{self.seconds:.2f} s, {self.events} events of files, {self.steps} steps"

    def shorter(self) -> Span:
        """For work that had ended before a point within this span."""
        return Span(self.seconds * 0.9, int(self.events * 0.9), int(self.steps * 0.9))


@dataclass(frozen=True)
class Point:
    """Where to kill: at a fraction of the work."""

    by: Measure
    fraction: float

    def __str__(self) -> str:
        return f"at {self.fraction:.1%} of its {self.by}"


class Request(threading.Thread):
    """Work that a client asks for in a thread of its own; ``done`` becomes readable when it ends."""

    def __init__(self, client: Client, work: Work) -> None:
        super().__init__(name="client")
        self.done, self._end = os.pipe()
        self.error: LinwinError | None = None
        self._client, self._work = client, work
        self.start()

    def run(self) -> None:
        try:
            self._work(self._client)
        except LinwinError as error:
            self.error = error
        finally:
            os.close(self._end)

    def finish(self) -> None:
        self.join(PATIENCE)
        assert not self.is_alive(), "the client is still waiting for a daemon that is dead"
        os.close(self.done)


class KillableDaemon:
    """``python -m linwin.daemon``, its orphans watched: whoever uses it is their subreaper."""

    def __init__(self, root: Path) -> None:
        self.paths = Paths(root, root / "linwin.sock")
        self.client = Client(f"unix://{self.paths.socket}", timeout=PATIENCE)
        self._steps = Steps(root / "steps")
        self._strangers = children().keys()

    def start(self) -> None:
        """Start, and return when it listens."""
        reading, writing = os.pipe()
        environment = {
            **os.environ,
            "LINWIN_ROOT": str(self.paths.root),
            "LINWIN_HOST": f"unix://{self.paths.socket}",
            "LINWIN_READY_FD": str(writing),
            "XDG_CACHE_HOME": str(self.paths.root / "user-cache"),
            "LINWIN_CRASH_STEPS": str(self._steps.file),
            "PYTHONPATH": f"{HOOK}:{REPOSITORY}",
        }
        with self.paths.daemon_log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "linwin.daemon"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                pass_fds=(writing,),
            )
        os.close(writing)
        with os.fdopen(reading) as pipe:
            said = pipe.read()
        assert said == "ready\n", f"the daemon did not start: {said}{self.log_tail()}"

    def stop(self) -> None:
        self._process.terminate()
        assert self._process.wait(PATIENCE) == 0, self.log_tail()
        self._see_orphans_end()

    def kill(self) -> None:
        """SIGKILL the daemon alone, and see its children end without being told to."""
        self._process.send_signal(signal.SIGKILL)
        assert self._process.wait(PATIENCE) == -signal.SIGKILL, self.log_tail()
        self._see_orphans_end()

    def measure(self, work: Work) -> Span:
        """Let work come to its end."""
        began, total = time.monotonic(), 0
        self._steps.begin()
        with FileEvents(self._folders()) as events:
            request = Request(self.client, work)
            while not self._wait(events, request, None):
                total += events.count()
            span = Span(time.monotonic() - began, total, self._steps.count)
            request.finish()
        if request.error is not None:
            raise request.error
        return span

    def kill_during(self, work: Work, point: Point, span: Span) -> LinwinError | None:
        """Kill at a point of the work; return what its client saw, None when it had come to its end."""
        at = point.fraction * getattr(span, point.by)
        deadline = time.monotonic() + at if point.by == "seconds" else None
        self._steps.begin(1 + int(at) if point.by == "steps" else 0)
        with FileEvents(self._folders()) as events:
            request, count = Request(self.client, work), 0
            while not self._wait(events, request, deadline):
                count += events.count()
                if (point.by == "events" and count > at) or (deadline and time.monotonic() >= deadline):
                    break
        self.kill()
        request.finish()
        return request.error

    def check(self) -> list[dict[str, Any]]:
        """What ``linwin system check`` finds."""
        return [line["aux"] for line in self.client.lines("POST", "/linwin/check") if "aux" in line]

    def log_tail(self) -> str:
        return "\n" + self.paths.daemon_log.read_text(errors="replace")[-4000:]

    def _wait(self, events: FileEvents, request: Request, deadline: float | None) -> bool:
        """Wait for an event, the deadline, or the end of the request, which is told."""
        poll = select.poll()
        poll.register(events, select.POLLIN)
        poll.register(request.done, select.POLLIN)
        seconds = PATIENCE if deadline is None else max(0.0, deadline - time.monotonic())
        ready = [fd for fd, _ in poll.poll(seconds * 1000)]
        assert ready or deadline is not None, f"nothing happened for {PATIENCE} s{self.log_tail()}"
        return request.done in ready

    def _folders(self) -> list[Path]:
        return [self.paths.image_index.parent, self.paths.chains, self.paths.scratch]

    def _see_orphans_end(self) -> None:
        while orphans := {pid: line for pid, line in children().items() if pid not in self._strangers}:
            for pid, line in orphans.items():
                process = os.pidfd_open(pid)
                try:
                    ended, _, _ = select.select([process], [], [], ORPHANS_END)
                finally:
                    os.close(process)
                assert ended, f"outlived its daemon: {line}"
