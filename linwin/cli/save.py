"""``linwin save``: images as an archive."""

from __future__ import annotations

import click

from linwin.cli.options import arguments
from linwin.cli.tar_output import write_tar


@click.command()
@click.option("-o", "--output", metavar="FILE", help="Write this file instead of standard output.")
@arguments(1, None, "IMAGE [IMAGE...]")
def save(output: str | None, names: tuple[str, ...]) -> None:
    """Save images to a tar archive that load and docker read."""
    write_tar(output, "/images/get", {"names": names})
