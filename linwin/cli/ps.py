"""``linwin ps``: list containers."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import click

from linwin.cli.connect import connect
from linwin.cli.options import arguments, filter_option, listing_format
from linwin.cli.output import Listing, ellipsis, quoted, short_id
from linwin.cli.ports import displayed
from linwin.cli.units import date_and_time, human_duration, human_size

COMMAND_WIDTH = 20

# docker's columns stay where its users' scripts expect them; ours comes last.
HEADERS = {
    "ID": "CONTAINER ID",
    "Image": "IMAGE",
    "Command": "COMMAND",
    "CreatedAt": "CREATED AT",
    "RunningFor": "CREATED",
    "State": "STATE",
    "Status": "STATUS",
    "Ports": "PORTS",
    "Names": "NAMES",
    "Labels": "LABELS",
    "Mounts": "MOUNTS",
    "LocalVolumes": "LOCAL VOLUMES",
    "Networks": "NETWORKS",
    "Size": "SIZE",
    "Template": "TEMPLATE",
}
_COLUMNS = ("ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names")
LISTING = Listing(HEADERS, (*_COLUMNS, "Template"), "ID")
WITH_SIZE = Listing(HEADERS, (*_COLUMNS, "Size", "Template"), "ID")


@click.command()
@click.option("-a", "--all", "everything", is_flag=True, help="Show all containers, not only running ones.")
@filter_option("Show only containers that match, such as status=exited or name=web.")
@listing_format()
@click.option(
    "-n",
    "--last",
    type=int,
    default=-1,
    metavar="NUMBER",
    help="Show the last so many created containers, in all states.",
)
@click.option("-l", "--latest", is_flag=True, help="Show the latest created container, in all states.")
@click.option("--no-trunc", is_flag=True, help="Do not cut long values.")
@click.option("-q", "--quiet", is_flag=True, help="Show container ids only.")
@click.option("-s", "--size", is_flag=True, help="Show what their files take.")
@arguments(0, 0, "")
def ps(
    everything: bool,
    filters: dict[str, list[str]] | None,
    form: str | None,
    last: int,
    latest: bool,
    no_trunc: bool,
    quiet: bool,
    size: bool,
    names: tuple[str, ...],
) -> None:
    """List containers."""
    limit = 1 if latest and last < 0 else last
    containers = connect().get(
        "/containers/json",
        all=everything or None,
        limit=limit if limit > 0 else None,
        filters=filters,
        size=(not quiet and (size or _asks_for_size(form))) or None,
    )
    (WITH_SIZE if size else LISTING).show([_row(item, no_trunc) for item in containers], form, quiet=quiet)


def _asks_for_size(form: str | None) -> bool:
    """As docker's client: measured for those who show it only, since it takes time, and not for ``json``."""
    if not form:
        return False
    from linwin.cli.gotemplate import may_show

    return may_show(form, "Size")


def _row(item: Mapping[str, Any], full: bool) -> dict[str, Any]:
    labels: Mapping[str, str] = item.get("Labels") or {}
    return {
        "ID": short_id(item["Id"], full=full),
        "Image": _image(item, full),
        "Command": quoted(item["Command"] if full else ellipsis(item["Command"], COMMAND_WIDTH)),
        "CreatedAt": date_and_time(item["Created"]),
        "RunningFor": f"{human_duration(time.time() - item['Created'])} ago",
        "State": item["State"],
        "Status": item["Status"],
        "Ports": displayed(item.get("Ports") or ()),
        "Names": ",".join(name.removeprefix("/") for name in item["Names"]),
        "Labels": ",".join(f"{name}={labels[name]}" for name in sorted(labels)),
        "Label": lambda name: labels.get(name, ""),
        "Mounts": ",".join(
            mount.get("Name") or mount.get("Source", "") for mount in item.get("Mounts") or ()
        ),
        "Networks": ",".join((item.get("NetworkSettings") or {}).get("Networks") or ()),
        "LocalVolumes": str(sum(mount.get("Driver") == "local" for mount in item.get("Mounts") or ())),
        "Size": _size(item),
        "Template": (item.get("Linwin") or {}).get("Template", ""),
    }


def _size(item: Mapping[str, Any]) -> str:
    own, whole = item.get("SizeRw") or 0, item.get("SizeRootFs") or 0
    return f"{human_size(own)} (virtual {human_size(whole)})" if whole else human_size(own)


def _image(item: Mapping[str, Any], full: bool) -> str:
    """The image as given; an id, which stands there when no name is left, is cut as ids are."""
    image: str = item["Image"]
    return short_id(image, full=full) if image.startswith("sha256:") else image
