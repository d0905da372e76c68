"""``linwin unpause``: let halted containers go on."""

from __future__ import annotations

import click

from linwin.cli.connect import connect
from linwin.cli.each import for_each
from linwin.cli.options import arguments
from linwin.client import quote


@click.command()
@arguments(1, None, "CONTAINER [CONTAINER...]")
def unpause(names: tuple[str, ...]) -> int:
    """Let paused containers go on."""
    client = connect()

    def unpause_one(name: str) -> str:
        client.post(f"/containers/{quote(name)}/unpause")
        return name

    return for_each(names, unpause_one)
