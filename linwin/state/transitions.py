"""Which moves between container states are legal.

``starting``, ``stopping`` and ``removing`` are intents: they are written before
the work they name, so that a daemon that dies half-way knows what to finish.

    created ──▶ starting ──▶ running ──▶ stopping ──▶ exited
       ▲           │  │         │           ▲           │
       └───────────┘  └─────────┼───────────┘           │
                                └──────▶ exited ──▶ starting …
    running ◀──▶ paused ──▶ stopping, exited
    created, exited, dead ──▶ removing ──▶ (gone) or dead
"""

from __future__ import annotations

from linwin.errors import Conflict
from linwin.model.container import Status

LEGAL: dict[Status, frozenset[Status]] = {
    "created": frozenset({"created", "starting", "removing"}),
    "starting": frozenset({"starting", "running", "created", "exited", "stopping"}),
    "running": frozenset({"paused", "stopping", "exited"}),
    "paused": frozenset({"running", "stopping", "exited"}),
    "stopping": frozenset({"exited"}),
    "exited": frozenset({"starting", "removing"}),
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
