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


def in_turn(runs: int, ours: Callable[[], float], peer: Callable[[], float]) -> tuple[float, float]:
    """Medians of both, measured alternately so that a busy moment strikes both alike."""
    pairs = [(ours(), peer()) for _ in range(runs)]
    return statistics.median(pair[0] for pair in pairs), statistics.median(pair[1] for pair in pairs)
