"""``linwin builder``: docker's name for builds and what they leave behind."""

from __future__ import annotations

import click

from linwin.cli.groups import LazyGroup

MEMBERS = {
    "build": "build:build",
    "prune": "prune:builder_prune",
}


@click.group(cls=LazyGroup, members=MEMBERS)
def builder() -> None:
    """Manage builds."""
