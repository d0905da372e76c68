"""Health checks: how a container is asked whether it works, and what it answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

HealthStatus = Literal["", "starting", "healthy", "unhealthy"]
"""Empty for a container without a health check."""


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """Docker's HealthConfig (Docker Engine API, "ContainerCreate").

    ``test`` begins with ``NONE``, ``CMD`` or ``CMD-SHELL``; an empty one inherits the
    image's. Times are nanoseconds, and 0, like 0 ``retries``, stands for the default.
    """

    test: tuple[str, ...] = ()
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """One check. Times are nanoseconds since the epoch; ``exit_code`` is -1 for one without an end."""

    started_at: int
    ended_at: int
    exit_code: int
    output: str


@dataclass(frozen=True, slots=True)
class HealthReport:
    """A container's health as inspect shows it; ``log`` has the last results, oldest first."""

    status: HealthStatus
    failing_streak: int = 0
    log: Sequence[ProbeResult] = ()
