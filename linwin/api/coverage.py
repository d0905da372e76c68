"""Prints docs/api-coverage.md, made from the route table and a table of tests.

python -m linwin.api.coverage tests/scenario/proofs.tsv > docs/api-coverage.md
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator, Mapping

from linwin.api import swarm
from linwin.api.server import NOUNS

PREFACE = """\
# What of docker's API there is

Made from the routes by `python -m linwin.api.coverage`; a test compares, and another
asks for every path of docker's own description of v1.50, so that none answers "page not
found" by accident. Versions from v1.24 to v1.50 are served, by one set of handlers, and each
path in all of them. `/metrics` and the paths below `/linwin` are our own.

The test that is named saw the route answer as its state says, below `tests/scenario`; it
fails when it does not see that any more, where docker's description of the API is at hand.

*no swarm* routes answer as a docker daemon outside a swarm does, and without plugins or
BuildKit.

| request | state | what it answers | test |
|---|---|---|---|
"""


def coverage(proofs: Mapping[tuple[str, str], str]) -> str:
    """The whole of docs/api-coverage.md. ``proofs`` has a test's id for methods and paths."""
    return PREFACE + "".join(
        f"| `{method} {path}` | {state} | {what} | {_short(proofs.get((method, path), ''))} |\n"
        for path, method, state, what in rows()
    )


def _short(test: str) -> str:
    """``tests/scenario/test_cp.py::test_x[a]`` without what all have, and without its parameters."""
    name = test.removeprefix("tests/scenario/").partition("[")[0].replace(".py::", ": ")
    return f"`{name}`" if name else ""


def rows() -> Iterator[tuple[str, str, str, str]]:
    """Path, method, state and a sentence, by path."""
    found = []
    for noun in NOUNS:
        state = "no swarm" if noun is swarm else "served"
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


def _read(path: str) -> dict[tuple[str, str], str]:
    with open(path) as file:
        lines = [line.rstrip("\n").split("\t") for line in file]
    return {(method, route): test for method, route, test in lines}


if __name__ == "__main__":
    sys.stdout.write(coverage(_read(sys.argv[1])))
