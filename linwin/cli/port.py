"""``linwin port``: where a container's ports are published."""

from __future__ import annotations

import click

from linwin.cli import ports
from linwin.cli.connect import connect
from linwin.cli.options import arguments
from linwin.cli.output import write_lines
from linwin.client import quote
from linwin.errors import NotFound


@click.command()
@arguments(1, 2, "CONTAINER [PORT[/PROTOCOL]]")
def port(names: tuple[str, ...]) -> None:
    """List the published ports of a container, or where one of them is found on the host."""
    container, wanted = (*names, None)[:2]
    shown = connect().get(f"/containers/{quote(str(container))}/json")
    found = ports.lines(shown["NetworkSettings"].get("Ports") or {}, wanted)
    if wanted is not None and not found:
        raise NotFound(f"No public port '{wanted}' published for {container}")
    write_lines(found)
