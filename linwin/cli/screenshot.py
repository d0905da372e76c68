"""``linwin screenshot``: a picture of a guest's screen."""

from __future__ import annotations

import sys

import click

from linwin.cli.connect import connect
from linwin.cli.options import arguments
from linwin.cli.streams import write_all
from linwin.cli.whole_file import whole_file
from linwin.client import quote
from linwin.errors import InvalidRequest

STDOUT = 1


@click.command()
@click.option(
    "-o", "--output", metavar="FILE", help="Write this file (default CONTAINER.png), or - for stdout."
)
@arguments(1, 1, "CONTAINER")
def screenshot(output: str | None, names: tuple[str, ...]) -> None:
    """Write a PNG of what the screen of a container's guest shows, and print the file's name."""
    path = f"/linwin/containers/{quote(names[0])}/screenshot"
    if output == "-":
        if sys.stdout.isatty():
            raise InvalidRequest(
                "a picture is nothing for a terminal", hint="Name a file with -o, or redirect."
            )
        with connect().request("GET", path) as response:
            write_all(STDOUT, response.read())
        return
    name = output or f"{names[0]}.png"
    with whole_file(name) as target, connect().request("GET", path) as response:
        target.write_bytes(response.read())
    click.echo(name)
