"""Restart policies: whether a container that ended is to be started again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PolicyName = Literal["no", "always", "unless-stopped", "on-failure"]


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """Docker's RestartPolicy; ``maximum_retries`` counts for ``on-failure`` alone, 0 is without end."""

    name: PolicyName = "no"
    maximum_retries: int = 0
