"""The rules of restart policies, which are docker's: what is started again, and after how long. Pure."""

from __future__ import annotations

from linwin.errors import Conflict
from linwin.model.container import Container

FIRST_DELAY = 0.1
"""Seconds before the first restart; each one after it waits twice as long."""
LONGEST_DELAY = 60.0
LONG_RUN = 10.0
"""Seconds of a run after which the next wait is the first again."""


def wanted(container: Container, exit_code: int) -> bool:
    """Whether its policy restarts a container that ended so, and that nobody asked to end just now."""
    policy = container.spec.restart
    match policy.name:
        case "always":
            return True
        case "unless-stopped":
            return not container.stopped_by_hand
        case "on-failure":
            left = not policy.maximum_retries or container.restart_count < policy.maximum_retries
            return exit_code != 0 and left and not container.stopped_by_hand
        case _:
            return False


def next_delay(last: float, ran: float) -> float:
    """Seconds to wait for a restart, given the wait before and how many seconds the run took."""
    if ran >= LONG_RUN or last <= 0:
        return FIRST_DELAY
    return min(2 * last, LONGEST_DELAY)


def under_way(container: Container) -> bool:
    """Whether a container is between two runs."""
    counted = container.restart_count > 0
    return container.status == "restarting" or (container.status == "starting" and counted)


def refuse(container: Container) -> None:
    """Raise Conflict, in docker's words, for what needs a program that runs."""
    if under_way(container):
        raise Conflict(
            f"Container {container.id} is restarting, wait until the container is running",
            hint=f"Its log may say why it ends: linwin logs {container.name}",
        )
