"""``linwin rename``: give a container another name."""

from __future__ import annotations

import click

from linwin.cli.connect import connect
from linwin.cli.options import arguments
from linwin.client import quote


@click.command()
@arguments(2, 2, "CONTAINER NEW_NAME")
def rename(names: tuple[str, ...]) -> None:
    """Rename a container, running or not."""
    old, new = names
    connect().post(f"/containers/{quote(old)}/rename", name=new)
