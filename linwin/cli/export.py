"""``linwin export``: a container's files as an archive."""

from __future__ import annotations

import click

from linwin.cli.options import arguments
from linwin.cli.tar_output import write_tar
from linwin.client import quote


@click.command()
@click.option("-o", "--output", metavar="FILE", help="Write this file instead of standard output.")
@arguments(1, 1, "CONTAINER")
def export(output: str | None, names: tuple[str, ...]) -> None:
    """Write all files of a container's C: as a tar archive."""
    write_tar(output, f"/containers/{quote(names[0])}/export")
