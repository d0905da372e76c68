"""``linwin builder``: docker's name for what builds leave behind, of which linwin keeps nothing."""

from __future__ import annotations

import click

from linwin.cli.groups import LazyGroup

MEMBERS = {"prune": "prune:builder_prune"}


@click.group(cls=LazyGroup, members=MEMBERS, unlisted={"build": "unsupported:build"})
def builder() -> None:
    """Manage builds."""
