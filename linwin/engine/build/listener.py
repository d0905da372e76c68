"""Who hears what a build says."""

from __future__ import annotations

from typing import Protocol

from linwin.model.build import BuildOutput
from linwin.model.progress import Progress


class Listener(Protocol):
    """Takes everything at once, and says when it wants no more for a while."""

    def __call__(self, told: BuildOutput | Progress, /) -> None: ...

    async def room(self) -> None:
        """Wait until more of what programs print can be taken: they wait meanwhile, as under docker."""
