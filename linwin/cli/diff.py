"""``linwin diff``: what a container changed of its image's files."""

from __future__ import annotations

import click

from linwin.cli.connect import connect
from linwin.cli.options import arguments
from linwin.cli.output import one_line, write_lines
from linwin.client import quote

LETTERS = ("C", "A", "D")
"""By docker's number of the kind of a change."""


@click.command()
@arguments(1, 1, "CONTAINER")
def diff(names: tuple[str, ...]) -> None:
    """Show which files of a stopped container differ from its image's (Added, Changed, Deleted)."""
    (container,) = names
    found = connect().get(f"/containers/{quote(container)}/changes")
    write_lines(f"{LETTERS[change['Kind']]} {one_line(change['Path'])}" for change in found or ())
