"""``python -m linwin.api.coverage`` prints docs/api-coverage.md, made from the route table."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator

from linwin.api import swarm, unsupported
from linwin.api.server import NOUNS

PREFACE = """\
# What of docker's API there is

Made from the routes by `python -m linwin.api.coverage`; a test compares, and another
asks for every path of docker's own description of v1.50, so that none answers "page not
found" by accident. Versions from v1.24 to v1.50 are served, by one set of handlers. `/metrics` and the
paths below `/linwin` are our own.

A *refused* route answers 501 and says what linwin does not have; *no swarm* routes
answer as a docker daemon outside a swarm does, and without plugins.

| request | state | what it answers |
|---|---|---|
"""


def coverage() -> str:
    """The whole of docs/api-coverage.md."""
    lines = (f"| `{method} {path}` | {state} | {what} |\n" for path, method, state, what in rows())
    return PREFACE + "".join(lines)


def rows() -> Iterator[tuple[str, str, str, str]]:
    """Path, method, state and a sentence, by path."""
    found = []
    for noun in NOUNS:
        state = {unsupported: "refused", swarm: "no swarm"}.get(noun, "served")
        for method, path, handler in noun.ROUTES:
            found.append((_plain(path), method, state, _sentence(handler)))
    return iter(sorted(found))


def _plain(path: str) -> str:
    """``/images/{name:.+}/json`` as docker writes it."""
    return re.sub(r":[^}]*\}", "}", path)


def _sentence(handler: object) -> str:
    text = " ".join((inspect.getdoc(handler) or "").split("\n\n")[0].split())
    # The request stands in the first column; what remains of a docstring is the answer.
    answer = re.sub(r"^(``[^`]+``(,| and)? ?)+", "", text).lstrip(":;, ")
    return "" if answer == "." else answer.replace("``", "`").replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(coverage())
