"""What a verification of a template tells: each check while it is made, and all that surrounds them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Outcome = Literal["passed", "failed", "unchecked"]
"""``unchecked`` is neither: it could not be found out, and the detail says why."""


@dataclass(frozen=True, slots=True)
class CheckBegun:
    """A check is about to be made. ``proves`` is the sentence that it stands for."""

    group: str
    name: str
    proves: str


@dataclass(frozen=True, slots=True)
class CheckResult:
    """How a check came out.

    ``detail`` is what was seen, or why it could not be looked for; a failed check says what was
    ``expected`` and what it ``got`` instead. ``seconds`` count from the moment its guests were up.
    """

    group: str
    name: str
    proves: str
    outcome: Outcome
    seconds: float
    detail: str = ""
    expected: str = ""
    got: str = ""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What whoever reads the results has to know beside them.

    ``facts`` are lines with a heading, ``texts`` longer pieces, such as a console's last lines.
    ``picture`` is a PNG of the last screen that was seen of a guest which did not come up, empty where
    there is none.
    """

    facts: tuple[tuple[str, str], ...]
    texts: tuple[tuple[str, str], ...] = ()
    picture: bytes = b""


Told = CheckBegun | CheckResult
Listener = Callable[[Told], None]
"""Hears of each check; must not block."""
