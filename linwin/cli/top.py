"""``linwin top``: what runs in a container."""

from __future__ import annotations

import click

from linwin.cli.connect import connect
from linwin.cli.options import arguments
from linwin.cli.output import one_line, table, write_lines
from linwin.client import quote

_WIDTH = 20
"""docker's tables of processes have columns of at least so many characters."""


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@arguments(1, None, "CONTAINER [OPTION...]")
def top(names: tuple[str, ...]) -> None:
    """Show the running processes of a container. Windows has no options for that."""
    container, *options = names
    shown = connect().get(f"/containers/{quote(container)}/top", ps_args=" ".join(options) or None)
    rows = [[one_line(cell) for cell in row] for row in shown["Processes"] or ()]
    write_lines(table([shown["Titles"], *rows], minimum=_WIDTH))
