"""``linwin search``: images in a registry by their names and descriptions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from linwin.cli.connect import connect
from linwin.cli.credentials import auth_header
from linwin.cli.options import arguments, filter_option, listing_format
from linwin.cli.output import Listing, ellipsis, one_line
from linwin.cli.references import split

DESCRIPTION_WIDTH = 45

LISTING = Listing(
    headers={
        "Name": "NAME",
        "Description": "DESCRIPTION",
        "StarCount": "STARS",
        "IsOfficial": "OFFICIAL",
    },
    columns=("Name", "Description", "StarCount", "IsOfficial"),
    quiet="Name",
)


@click.command()
@filter_option("Show only images that match, such as is-official=true or stars=10.")
@listing_format()
@click.option("--limit", type=int, metavar="NUMBER", help="Show at most so many, up to 100.")
@click.option("--no-trunc", is_flag=True, help="Do not cut long values.")
@arguments(1, 1, "TERM")
def search(
    filters: dict[str, list[str]] | None,
    form: str | None,
    limit: int | None,
    no_trunc: bool,
    names: tuple[str, ...],
) -> None:
    """Search Docker Hub, or the registry that TERM begins with, for images."""
    query = {"term": names[0], "limit": limit or None, "filters": filters}
    headers = auth_header(split(names[0]).domain)
    with connect().request("GET", "/images/search", query, headers=headers) as response:
        found = response.json() or ()
    LISTING.show([_row(item, full=no_trunc, as_json=form == "json") for item in found], form)


def _row(item: Mapping[str, Any], *, full: bool, as_json: bool) -> dict[str, Any]:
    description, official = one_line(item["description"]), item["is_official"]
    return {
        "Name": one_line(item["name"]),
        "Description": description if full else ellipsis(description, DESCRIPTION_WIDTH),
        "StarCount": str(item["star_count"]),
        "IsOfficial": str(official).lower() if as_json else "[OK]" if official else "",
    }
