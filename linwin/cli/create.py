"""``linwin create``: make a container without starting it."""

from __future__ import annotations

from typing import Any

import click

from linwin.cli.connect import connect
from linwin.cli.container_body import streams_to_attach
from linwin.cli.container_options import container_options
from linwin.cli.creation import create_container


@click.command(context_settings={"allow_interspersed_args": False})
@container_options
def create(**options: Any) -> None:
    """Create a new container and print its id."""
    click.echo(create_container(connect(), options, attach=streams_to_attach(options, detach=False)))
