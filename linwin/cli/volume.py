"""``linwin volume ls``: the volumes, of which there are none yet."""

from __future__ import annotations

import click

from linwin.cli.connect import connect
from linwin.cli.options import arguments, filter_option, listing_format
from linwin.cli.output import Listing

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
