"""Which moves between container states are legal.

``starting``, ``stopping``, ``restarting`` and ``removing`` are intents: they are written
before the work they name, so that a daemon that dies half-way knows what to finish.

    created ──▶ starting ──▶ running ──▶ stopping ──▶ exited
       ▲           │  │         │           ▲           │
       └───────────┘  └─────────┼───────────┘           │
                                └──────▶ exited ──▶ starting …
    running ◀──▶ paused ──▶ stopping, exited
    running, paused, stopping, exited ──▶ restarting ──▶ starting, exited
    created, exited, restarting, dead ──▶ removing ──▶ (gone) or dead
"""

from __future__ import annotations

from linwin.errors import Conflict
from linwin.model.container import Status

LEGAL: dict[Status, frozenset[Status]] = {
    "created": frozenset({"created", "starting", "removing"}),
    "starting": frozenset({"starting", "running", "created", "exited", "stopping"}),
    "running": frozenset({"paused", "stopping", "exited", "restarting"}),
    "paused": frozenset({"running", "stopping", "exited", "restarting"}),
    "stopping": frozenset({"exited", "restarting"}),  # the latter where a daemon's end was what stopped it
    "restarting": frozenset({"starting", "exited", "removing"}),
    "exited": frozenset({"starting", "restarting", "removing"}),
    "removing": frozenset({"removing", "dead"}),
    "dead": frozenset({"removing"}),
}


def check_move(container_id: str, current: Status, target: Status) -> None:
    """Raise Conflict unless ``current`` → ``target`` is a legal move."""
    if target not in LEGAL[current]:
        raise Conflict(
            f"container {container_id[:12]} is {current} and cannot become {target}",
            hint="Wait for what is under way, then try again.",
        )
