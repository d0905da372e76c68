"""``linwin rm``: remove containers."""

from __future__ import annotations

import click

from linwin.cli import failures
from linwin.cli.connect import connect
from linwin.cli.each import for_each
from linwin.cli.options import arguments
from linwin.client import quote
from linwin.errors import NotFound


@click.command()
@click.option(
    "-f", "--force", is_flag=True, help="Kill a running container first; a missing one is no error."
)
@click.option("-v", "--volumes", is_flag=True, help="Remove its anonymous volumes too.")
@arguments(1, None, "CONTAINER [CONTAINER...]")
def rm(force: bool, volumes: bool, names: tuple[str, ...]) -> int:
    """Remove containers."""
    client = connect()

    def remove(name: str) -> str | None:
        try:
            client.delete(f"/containers/{quote(name)}", force=force or None, v=volumes or None)
        except NotFound as error:
            if not force:
                raise
            failures.show(error)  # gone is what was asked for: said, and no failure
            return None
        return name

    return for_each(names, remove)
