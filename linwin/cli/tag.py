"""``linwin tag``: give an image another name."""

from __future__ import annotations

import click

from linwin.cli.connect import connect
from linwin.cli.options import arguments
from linwin.cli.references import split
from linwin.client import quote


@click.command()
@arguments(2, 2, "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]")
def tag(names: tuple[str, ...]) -> None:
    """Create a name TARGET_IMAGE for SOURCE_IMAGE."""
    source, target = names
    reference = split(target)
    connect().post(f"/images/{quote(source)}/tag", repo=reference.name, tag=reference.label)
