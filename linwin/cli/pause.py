"""``linwin pause``: halt containers where they are."""

from __future__ import annotations

import click

from linwin.cli.connect import connect
from linwin.cli.each import for_each
from linwin.cli.options import arguments
from linwin.client import quote


@click.command()
@arguments(1, None, "CONTAINER [CONTAINER...]")
def pause(names: tuple[str, ...]) -> int:
    """Halt all programs of running containers where they are."""
    client = connect()

    def pause_one(name: str) -> str:
        client.post(f"/containers/{quote(name)}/pause")
        return name

    return for_each(names, pause_one)
