"""``linwin volume``: volumes, which outlive the containers that use them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from linwin.cli.connect import connect
from linwin.cli.each import for_each
from linwin.cli.groups import LazyGroup
from linwin.cli.inspect import show_each
from linwin.cli.key_values import labels as label_pairs
from linwin.cli.options import arguments, filter_option, listing_format, object_format
from linwin.cli.output import Listing
from linwin.cli.units import human_size
from linwin.client import quote

MEMBERS = {
    "create": "volume:create",
    "inspect": "volume:inspect",
    "ls": "volume:ls",
    "prune": "prune:volume_prune",
    "rm": "volume:rm",
}

UNKNOWN = "N/A"
_DIGITS = 4  # docker's for volumes
LISTING = Listing(
    headers={
        "Driver": "DRIVER",
        "Name": "VOLUME NAME",
        "Scope": "SCOPE",
        "Mountpoint": "MOUNTPOINT",
        "Labels": "LABELS",
        "Links": "LINKS",
        "Size": "SIZE",
        "Availability": "AVAILABILITY",
        "Group": "GROUP",
        "Status": "STATUS",
    },
    columns=("Driver", "Name"),
    quiet="Name",
)


@click.group(cls=LazyGroup, members=MEMBERS, aliases={"list": "ls", "remove": "rm"})
def volume() -> None:
    """Manage volumes."""


@click.command()
@click.option(
    "-d", "--driver", metavar="NAME", default="local", help="Driver of the volume: local, the default."
)
@click.option("--label", "labels", metavar="NAME=VALUE", multiple=True, help="Set a label. Repeatable.")
@click.option(
    "-o", "--opt", "options", metavar="NAME=VALUE", multiple=True, help="Option of the driver. Repeatable."
)
@arguments(0, 1, "[VOLUME]")
def create(driver: str, labels: tuple[str, ...], options: tuple[str, ...], names: tuple[str, ...]) -> None:
    """Create a volume and print its name, which linwin chooses where none is given."""
    body = {
        "Name": names[0] if names else "",
        "Driver": driver,
        "DriverOpts": label_pairs((), options),
        "Labels": label_pairs((), labels),
    }
    click.echo(connect().post("/volumes/create", body=body)["Name"])


@click.command()
@filter_option("Show only volumes that match, such as dangling=true.")
@listing_format()
@click.option("-q", "--quiet", is_flag=True, help="Show names only.")
@arguments(0, 0, "")
def ls(filters: dict[str, list[str]] | None, form: str | None, quiet: bool, names: tuple[str, ...]) -> None:
    """List volumes."""
    found = connect().get("/volumes", filters=filters)["Volumes"] or ()
    LISTING.show(map(_row, found), form, quiet=quiet)


def _row(item: Mapping[str, Any]) -> dict[str, Any]:
    labels: Mapping[str, str] = item.get("Labels") or {}
    use: Mapping[str, int] = item.get("UsageData") or {}
    return {
        "Driver": item["Driver"],
        "Name": item["Name"],
        "Scope": item.get("Scope", ""),
        "Mountpoint": item.get("Mountpoint", ""),
        "Labels": ",".join(f"{name}={labels[name]}" for name in sorted(labels)),
        "Label": lambda name: labels.get(name, ""),
        "Links": str(use["RefCount"]) if use else UNKNOWN,
        "Size": human_size(use["Size"], digits=_DIGITS) if use else UNKNOWN,
        "Availability": UNKNOWN,
        "Group": UNKNOWN,
        "Status": UNKNOWN,
    }


@click.command()
@object_format()
@arguments(1, None, "VOLUME [VOLUME...]")
def inspect(form: str | None, names: tuple[str, ...]) -> int:
    """Show everything about volumes."""
    client = connect()
    return show_each(names, lambda name: client.get(f"/volumes/{quote(name)}"), form)


@click.command()
@click.option("-f", "--force", is_flag=True, help="Say nothing of volumes that do not exist.")
@arguments(1, None, "VOLUME [VOLUME...]")
def rm(force: bool, names: tuple[str, ...]) -> int:
    """Remove volumes that no container uses, and the files in them."""
    client = connect()

    def remove(name: str) -> str:
        client.delete(f"/volumes/{quote(name)}", force=force or None)
        return name

    return for_each(names, remove)
