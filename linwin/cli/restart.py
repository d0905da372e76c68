"""``linwin restart``: stop containers and start them again."""

from __future__ import annotations

import click

from linwin.cli.connect import connect
from linwin.cli.each import for_each
from linwin.cli.options import arguments
from linwin.client import quote


@click.command()
@click.option("-s", "--signal", metavar="NAME", help="Signal to send first (the container's own by default).")
@click.option(
    "-t", "--timeout", "--time", type=int, metavar="SECONDS", help="Wait so long before killing; -1 forever."
)
@arguments(1, None, "CONTAINER [CONTAINER...]")
def restart(signal: str | None, timeout: int | None, names: tuple[str, ...]) -> int:
    """Stop containers that run, and start all that are named."""
    client = connect()

    def restart_one(name: str) -> str:
        client.post(f"/containers/{quote(name)}/restart", signal=signal, t=timeout)
        return name

    return for_each(names, restart_one)
