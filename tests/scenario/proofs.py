"""Which test proves that a route works: what docs/api-coverage.md says, and what is checked.

``proofs.tsv`` has a line for each route: its method, its path, and the id of a test in which
it answered as its state has it. A run of all scenario tests with ``LINWIN_PROOFS=write``,
in one process, writes it anew, taking for each route the test that asks for the fewest others.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from linwin.api.coverage import rows

FILE = Path(__file__).with_name("proofs.tsv")
WRITING = os.environ.get("LINWIN_PROOFS") == "write"

Route = tuple[str, str]
Seen = tuple[str, str, int]

STATES: dict[Route, tuple[str, str]] = {(method, path): (state, what) for path, method, state, what in rows()}
"""The state of each route, and what docs/api-coverage.md says that it answers."""
STATUS = re.compile(r"\b[45]\d\d\b")
NO_BUILDKIT = {("POST", "/session"): 400, ("POST", "/grpc"): 400}
"""What the document refuses without a number."""


def load() -> dict[Route, str]:
    """The test of each route."""
    lines = FILE.read_text().splitlines() if FILE.exists() else []
    return {(method, path): test for method, path, test in (line.split("\t") for line in lines)}


def proved(seen: Iterable[Seen]) -> set[Route]:
    """The routes that answered as they should where they work, or are refused as they should be."""
    return {(method, path) for method, path, status in seen if _is_proof(method, path, status)}


def _is_proof(method: str, path: str, status: int) -> bool:
    if (method, path) not in STATES:
        return False
    refused = refusal(method, path)
    return status < 400 if refused is None else status == refused


def refusal(method: str, path: str) -> int | None:
    """The one status with which a route refuses, None where it works.

    The document's own sentence has it: a handler that answers otherwise proves nothing.
    """
    state, what = STATES[method, path]
    if state == "served":  # its sentence may tell what else can happen
        return None
    if state == "refused":
        return 501
    told = STATUS.search(what)
    return int(told[0]) if told else NO_BUILDKIT.get((method, path))


ABOUT_NO_ROUTE = frozenset({"test_bad_input", "test_daemon_log", "test_metrics", "test_protocol"})
"""Files whose tests ask for whatever route is at hand."""


class Recorder:
    """Finds a test for each route."""

    def __init__(self) -> None:
        self._best: dict[Route, tuple[bool, int, str]] = {}

    def saw(self, test: str, seen: Iterable[Seen]) -> None:
        routes = proved(seen)
        for route in routes:
            found = (Path(test.partition("::")[0]).stem in ABOUT_NO_ROUTE, len(routes), test)
            self._best[route] = min(self._best.get(route, found), found)

    def write(self) -> None:
        best = sorted((path, method, test) for (method, path), (*_, test) in self._best.items())
        FILE.write_text("".join(f"{method}\t{path}\t{test}\n" for path, method, test in best))
