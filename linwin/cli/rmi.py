"""``linwin rmi``: remove images."""

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
    "-f",
    "--force",
    is_flag=True,
    help="Remove an image that stopped containers use; a missing one is no error.",
)
@arguments(1, None, "IMAGE [IMAGE...]")
def rmi(force: bool, names: tuple[str, ...]) -> int:
    """Remove images."""
    client = connect()

    def remove(name: str) -> str | None:
        try:
            removed = client.delete(f"/images/{quote(name)}", force=force or None) or ()
        except NotFound as error:
            if not force:
                raise
            failures.show(error)  # gone is what was asked for: said, and no failure
            return None
        return "\n".join(f"{what}: {which}" for item in removed for what, which in item.items()) or None

    return for_each(names, remove)
