"""``linwin kill``: end containers now, or send them a signal."""

from __future__ import annotations

import click

from linwin.cli.connect import connect
from linwin.cli.each import for_each
from linwin.cli.options import arguments
from linwin.client import quote


@click.command()
@click.option("-s", "--signal", default="KILL", show_default=True, metavar="NAME", help="Signal to send.")
@arguments(1, None, "CONTAINER [CONTAINER...]")
def kill(signal: str, names: tuple[str, ...]) -> int:
    """Kill running containers."""
    client = connect()

    def kill_one(name: str) -> str:
        client.post(f"/containers/{quote(name)}/kill", signal=signal)
        return name

    return for_each(names, kill_one)
