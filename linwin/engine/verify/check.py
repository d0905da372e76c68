"""What a check is, and the two ways in which it can end other than well."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

MOST_SHOWN = 600
"""Characters of what a guest printed that a result repeats."""


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the table.

    ``run`` gets the bench, then a running container for each name in ``needs`` (those of
    :data:`linwin.engine.verify.boxes.BOXES`), and returns what it saw in a few words. It raises
    :class:`Failed` or :class:`Unchecked`; any other error of linwin's counts as a failure.
    ``limit`` is in seconds, from the moment those containers run, with KVM. ``uses`` are further
    containers, which it starts itself or takes as they are. How many guests it ``starts`` and ``ends``
    itself is known, since each may take as long as its kind is given.
    """

    group: str
    name: str
    proves: str
    run: Callable[..., Awaitable[str]]
    needs: tuple[str, ...] = ()
    limit: float = 60.0
    uses: tuple[str, ...] = ()
    starts: int = 0
    ends: int = 0

    @property
    def title(self) -> str:
        return f"{self.group}.{self.name}"


class Failed(Exception):
    """Something is not as it has to be."""

    def __init__(self, expected: str, got: str) -> None:
        super().__init__(f"expected {expected}, got {got}")
        self.expected = expected
        self.got = got


class Unchecked(Exception):
    """It cannot be found out here: the sentence says why."""


def expect(expected: Any, got: Any, of: str = "") -> None:
    """Raise :class:`Failed` unless both are equal; ``of`` says what they are of."""
    if expected != got:
        raise Failed(_shown(expected, of), _shown(got, ""))


def expect_in(part: str, whole: str, of: str) -> None:
    """Raise :class:`Failed` unless ``whole`` holds ``part``."""
    if part not in whole:
        raise Failed(f"{of} with {part!r}", _shown(whole, ""))


def _shown(value: Any, of: str) -> str:
    text = value if isinstance(value, str) and value else repr(value)
    text = text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}… ({len(text)} characters)"
    return f"{of}: {text}" if of else text
