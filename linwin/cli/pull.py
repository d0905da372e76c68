"""``linwin pull``: fetch an image from a registry."""

from __future__ import annotations

import sys

import click

from linwin.cli.connect import connect
from linwin.cli.options import arguments
from linwin.cli.progress import Progress
from linwin.cli.references import DEFAULT_TAG, split
from linwin.cli.transfers import pull_image


@click.command()
@click.option("--platform", metavar="OS[/ARCH]", help="Refuse an image of another platform.")
@click.option("-q", "--quiet", is_flag=True, help="Print the image's full name only.")
@arguments(1, 1, "NAME[:TAG|@DIGEST]")
def pull(platform: str | None, quiet: bool, names: tuple[str, ...]) -> None:
    """Download an image from a registry.

    Base layers that a template provides are not downloaded.
    """
    reference = split(names[0])
    if reference.is_name_only and not quiet:
        click.echo(f"Using default tag: {DEFAULT_TAG}")
    with Progress(sys.stdout, quiet=quiet) as progress:
        pull_image(connect(), reference, progress, platform=platform)
    click.echo(str(reference))
