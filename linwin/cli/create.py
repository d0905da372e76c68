"""``linwin create``: make a container without starting it."""

from __future__ import annotations

from typing import Any

import click

from linwin.cli import failures
from linwin.cli.connect import connect
from linwin.cli.container_body import creation, streams_to_attach
from linwin.cli.container_options import container_options
from linwin.cli.creation import create_container
from linwin.errors import InvalidRequest


@click.command(context_settings={"allow_interspersed_args": False})
@container_options
def create(**options: Any) -> int:
    """Create a new container and print its id."""
    try:
        body = creation(options, attach=streams_to_attach(options, detach=False))
    except InvalidRequest as error:  # found here, as an option that cannot be read is
        return failures.refused(error)
    click.echo(create_container(connect(), body, options))
    return 0
