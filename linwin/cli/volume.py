"""``linwin volume``: see and remove volumes, of which there are none yet."""

from __future__ import annotations

import click

from linwin.cli.connect import connect
from linwin.cli.each import for_each
from linwin.cli.inspect import show_each
from linwin.cli.options import arguments, filter_option, listing_format, object_format
from linwin.cli.output import Listing
from linwin.client import quote

LISTING = Listing(
    headers={"Driver": "DRIVER", "Name": "VOLUME NAME"}, columns=("Driver", "Name"), quiet="Name"
)


@click.command()
@filter_option("Show only volumes that match, such as dangling=true.")
@listing_format()
@click.option("-q", "--quiet", is_flag=True, help="Show names only.")
@arguments(0, 0, "")
def ls(filters: dict[str, list[str]] | None, form: str | None, quiet: bool, names: tuple[str, ...]) -> None:
    """List volumes."""
    found = connect().get("/volumes", filters=filters)["Volumes"]
    LISTING.show([{"Driver": one["Driver"], "Name": one["Name"]} for one in found], form, quiet=quiet)


@click.command()
@object_format()
@arguments(1, None, "VOLUME [VOLUME...]")
def inspect(form: str | None, names: tuple[str, ...]) -> int:
    """Show everything about volumes."""
    client = connect()
    return show_each(names, lambda name: client.get(f"/volumes/{quote(name)}"), form)


@click.command()
@click.option("-f", "--force", is_flag=True, help="Force their removal.")
@arguments(1, None, "VOLUME [VOLUME...]")
def rm(force: bool, names: tuple[str, ...]) -> int:
    """Remove volumes."""
    client = connect()

    def remove(name: str) -> str:
        client.delete(f"/volumes/{quote(name)}", force=force or None)
        return name

    return for_each(names, remove)
