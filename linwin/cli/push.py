"""``linwin push``: copy an image to its registry."""

from __future__ import annotations

import sys

import click

from linwin.cli.connect import connect
from linwin.cli.credentials import auth_header
from linwin.cli.options import arguments
from linwin.cli.progress import Progress
from linwin.cli.references import DEFAULT_TAG, split
from linwin.client import quote
from linwin.errors import InvalidRequest


@click.command()
@click.option("-a", "--all-tags", is_flag=True, help="Push all tags of the repository.")
@click.option("-q", "--quiet", is_flag=True, help="Print the image's full name only.")
@arguments(1, 1, "NAME[:TAG]")
def push(all_tags: bool, quiet: bool, names: tuple[str, ...]) -> None:
    """Upload an image to the registry that its name says."""
    reference = split(names[0])
    if all_tags and not reference.is_name_only:
        raise InvalidRequest("tag can't be used with --all-tags/-a")
    if reference.is_name_only and not all_tags and not quiet:
        click.echo(f"Using default tag: {DEFAULT_TAG}")
    with Progress(sys.stdout, quiet=quiet) as progress:
        for line in connect().lines(
            "POST",
            f"/images/{quote(reference.name)}/push",
            headers=auth_header(reference.domain),
            tag=None if all_tags else reference.label,
        ):
            progress.show(line)
    if quiet:
        click.echo(reference.name if all_tags else str(reference))
