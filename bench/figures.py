"""What every bench shares: measure in turn, judge by ratio, print one JSON object a line."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Figure:
    """One figure. ``target`` is ``{"max": x}`` or ``{"min": x}`` on the ratio, or on ours without a peer."""

    figure: str
    ours: float
    peer: float | None
    unit: str
    target: dict[str, float]
    note: str = ""

    @property
    def ratio(self) -> float | None:
        return None if self.peer is None else self.ours / self.peer

    @property
    def met(self) -> bool:
        judged = self.ours if self.ratio is None else self.ratio
        return judged <= self.target.get("max", judged) and judged >= self.target.get("min", judged)

    def line(self) -> str:
        fields = asdict(self)
        fields.update(ratio=None if self.ratio is None else round(self.ratio, 3), met=self.met)
        return json.dumps(fields)


def in_turn(runs: int, *measures: Callable[[], float]) -> tuple[float, ...]:
    """The median of each, measured alternately so that a busy moment strikes all alike."""
    rounds = [[measure() for measure in measures] for _ in range(runs)]
    return tuple(statistics.median(column) for column in zip(*rounds, strict=True))
