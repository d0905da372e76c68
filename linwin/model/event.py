"""Events: what happened to containers, images, networks and volumes, as docker's clients follow it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

EventKind = Literal["container", "image", "network", "volume"]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, in docker's words.

    ``action`` may carry a detail behind a colon, as ``exec_start: cmd /c ver``.
    ``id`` is a container's, an image's, a network's, a volume's name, or the reference that was
    pulled or pushed, and empty for a prune. ``time_ns`` counts from the epoch; no two events of a
    daemon have the same.
    """

    kind: EventKind
    action: str
    id: str
    time_ns: int
    attributes: Mapping[str, str] = field(default_factory=dict)

    @property
    def verb(self) -> str:
        """The action without its detail."""
        return self.action.partition(":")[0]
