"""``linwin images``: list images."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

import click

from linwin.cli.connect import connect
from linwin.cli.options import arguments, filter_option, listing_format
from linwin.cli.output import Listing, short_id
from linwin.cli.units import date_and_time, human_duration, human_size

NONE = "<none>"
UNKNOWN = "N/A"  # system df -v counts them

HEADERS = {
    "Repository": "REPOSITORY",
    "Tag": "TAG",
    "Digest": "DIGEST",
    "ID": "IMAGE ID",
    "CreatedAt": "CREATED AT",
    "CreatedSince": "CREATED",
    "Size": "SIZE",
    "VirtualSize": "SIZE",
    "SharedSize": "SHARED SIZE",
    "UniqueSize": "UNIQUE SIZE",
    "Containers": "CONTAINERS",
}
LISTING = Listing(HEADERS, ("Repository", "Tag", "ID", "CreatedSince", "Size"), "ID")
WITH_DIGESTS = Listing(HEADERS, ("Repository", "Tag", "Digest", "ID", "CreatedSince", "Size"), "ID")


@click.command()
@click.option("-a", "--all", "everything", is_flag=True, help="Show intermediate images too.")
@click.option("--digests", is_flag=True, help="Show digests.")
@filter_option("Show only images that match, such as reference=microsoft/* or dangling=true.")
@listing_format()
@click.option("--no-trunc", is_flag=True, help="Do not cut long values.")
@click.option("-q", "--quiet", is_flag=True, help="Show image ids only.")
@arguments(0, 1, "[REPOSITORY[:TAG]]")
def images(
    everything: bool,
    digests: bool,
    filters: dict[str, list[str]] | None,
    form: str | None,
    no_trunc: bool,
    quiet: bool,
    names: tuple[str, ...],
) -> None:
    """List images."""
    if names:
        filters = {**(filters or {}), "reference": [*(filters or {}).get("reference", ()), *names]}
    found = connect().get("/images/json", all=everything or None, filters=filters)
    rows = [row for item in found for row in _rows(item, no_trunc)]
    (WITH_DIGESTS if digests else LISTING).show(rows, form, quiet=quiet)


def _rows(item: Mapping[str, Any], full: bool) -> Iterator[dict[str, Any]]:
    """One row a tag; one row for an image without tags."""
    digests = dict(_split(digest, "@") for digest in item.get("RepoDigests") or ())
    names = [_split(tag, ":") for tag in item.get("RepoTags") or ()]
    names = names or [(repository, NONE) for repository in digests] or [(NONE, NONE)]
    for repository, tag in names:
        yield {
            "Repository": repository,
            "Tag": tag,
            "Digest": digests.get(repository, NONE),
            "ID": short_id(item["Id"], full=full),
            "CreatedAt": date_and_time(item["Created"]),
            "CreatedSince": f"{human_duration(time.time() - item['Created'])} ago",
            "Size": human_size(item["Size"]),
            "VirtualSize": human_size(item["Size"]),
            **dict.fromkeys(("SharedSize", "UniqueSize", "Containers"), UNKNOWN),
        }


def _split(reference: str, separator: str) -> tuple[str, str]:
    repository, _, rest = reference.rpartition(separator)
    return repository, rest
