"""``linwin system``: the disk that linwin uses, and its health."""

from __future__ import annotations

import click

from linwin.cli.groups import LazyGroup

MEMBERS = {
    "check": "system_check:check",
    "df": "system_df:df",
    "dial-stdio": "dial_stdio:dial_stdio",
    "events": "events:events",
    "info": "info:info",
    "prune": "prune:system_prune",
}


@click.group(cls=LazyGroup, members=MEMBERS)
def system() -> None:
    """Manage linwin."""
