"""``linwin image``: the commands for images, and those that docker has under this name only."""

from __future__ import annotations

import click

from linwin.cli.groups import LazyGroup

MEMBERS = {
    "build": "build:build",
    "disk": "image_disk:disk",
    "history": "history:history",
    "import": "import_:import_",
    "inspect": "inspect:image_inspect",
    "load": "load:load",
    "ls": "images:images",
    "prune": "prune:image_prune",
    "pull": "pull:pull",
    "push": "push:push",
    "rm": "rmi:rmi",
    "save": "save:save",
    "tag": "tag:tag",
}


@click.group(cls=LazyGroup, members=MEMBERS, aliases={"list": "ls", "remove": "rm"})
def image() -> None:
    """Manage images."""
