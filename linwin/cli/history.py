"""``linwin history``: how an image was made, its newest step first."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import click

from linwin.cli.connect import connect
from linwin.cli.options import arguments, listing_format
from linwin.cli.output import Listing, ellipsis, one_line, short_id
from linwin.cli.units import human_duration, human_size, rfc3339
from linwin.client import quote

CREATED_BY_WIDTH = 45
NO_ID = "<missing>"

HEADERS = {
    "ID": "IMAGE",
    "CreatedAt": "CREATED AT",
    "CreatedSince": "CREATED",
    "CreatedBy": "CREATED BY",
    "Size": "SIZE",
    "Comment": "COMMENT",
}
LISTING = Listing(HEADERS, ("ID", "CreatedSince", "CreatedBy", "Size", "Comment"), "ID")
EXACT = Listing(HEADERS, ("ID", "CreatedAt", "CreatedBy", "Size", "Comment"), "ID")


@click.command()
@listing_format()
@click.option(
    "-H",
    "--human/--no-human",
    default=True,
    show_default=True,
    help="Show sizes and dates for people; --human=false shows bytes and times.",
)
@click.option("--no-trunc", is_flag=True, help="Do not cut long values.")
@click.option("-q", "--quiet", is_flag=True, help="Show image ids only.")
@arguments(1, 1, "IMAGE")
def history(form: str | None, human: bool, no_trunc: bool, quiet: bool, names: tuple[str, ...]) -> None:
    """Show the history of an image."""
    steps = connect().get(f"/images/{quote(names[0])}/history")
    rows = [_row(step, human=human, full=no_trunc) for step in steps]
    (LISTING if human else EXACT).show(rows, form, quiet=quiet)


def _row(step: Mapping[str, Any], *, human: bool, full: bool) -> dict[str, Any]:
    created, created_by, identity = step["Created"], one_line(step["CreatedBy"]), step["Id"]
    return {
        "ID": identity if identity == NO_ID else short_id(identity, full=full),
        "CreatedAt": rfc3339(created),
        "CreatedSince": _since(created) if human else rfc3339(created),
        "CreatedBy": created_by if full else ellipsis(created_by, CREATED_BY_WIDTH),
        "Size": human_size(step["Size"]) if human else str(step["Size"]),
        "Comment": one_line(step["Comment"]),
    }


def _since(created: int) -> str:
    """An image whose author left the time out, for builds that give the same bytes each time, has none."""
    return f"{human_duration(time.time() - created)} ago" if created > 0 else "N/A"
