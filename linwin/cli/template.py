"""``linwin template``: the guests that stand in for base images."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import click

from linwin.cli.connect import connect
from linwin.cli.each import for_each
from linwin.cli.groups import Group
from linwin.cli.options import arguments, listing_format, object_format
from linwin.cli.output import Listing, short_id, show_objects
from linwin.cli.progress import Progress
from linwin.cli.units import human_size
from linwin.cli.verify import verify
from linwin.client import quote

LISTING = Listing(
    headers={
        "Name": "NAME",
        "Kind": "KIND",
        "Digest": "DIGEST",
        "Size": "SIZE",
        "Provides": "PROVIDES",
        "Created": "CREATED AT",
        "Summary": "SUMMARY",
    },
    columns=("Name", "Kind", "Digest", "Size", "Summary"),
    quiet="Name",
)


@click.group(cls=Group)
def template() -> None:
    """Manage templates, the guests that containers run in."""


@template.command()
@click.option("--iso", metavar="FILE", help="The ISO of Windows that a windows template is made from.")
@click.option("--virtio", metavar="FILE", help="The virtio-win ISO, which has the drivers for it.")
@click.option(
    "--index",
    type=click.IntRange(min=1),
    metavar="N",
    help="Which image of the ISO to take, if not the recipe's choice.",
)
@click.option("--product-key", metavar="KEY", help="The key that Windows' Setup is given, if it wants one.")
@click.option("-q", "--quiet", is_flag=True, help="Do not show progress.")
@arguments(1, 1, "NAME")
def build(
    iso: str | None,
    virtio: str | None,
    index: int | None,
    product_key: str | None,
    quiet: bool,
    names: tuple[str, ...],
) -> None:
    """Build and install a template from its recipe, and print its name.

    A windows template is made from ISOs that you bring; the daemon reads them where they lie.
    """
    (name,) = names
    given = {
        "Iso": iso and os.path.abspath(iso),
        "Virtio": virtio and os.path.abspath(virtio),
        "Index": index,
        "ProductKey": product_key,
    }
    body = {field: value for field, value in given.items() if value} or None
    with Progress(quiet=quiet) as progress:
        for line in connect().lines("POST", f"/linwin/templates/{quote(name)}/build", body=body):
            progress.show(line)
    click.echo(name)


@template.command(name="import")
@click.option("--name", required=True, metavar="NAME", help="What the template is to be called.")
@click.option(
    "--virtio", metavar="FILE", help="The virtio-win ISO, which has the drivers that the disk lacks."
)
@click.option("-q", "--quiet", is_flag=True, help="Do not show progress.")
@arguments(1, 1, "DISK")
def import_(name: str, virtio: str | None, quiet: bool, names: tuple[str, ...]) -> None:
    """Make a windows template of a disk that you have, and print its name.

    DISK is a file with a Windows that starts by UEFI: VHDX, VHD, VMDK, qcow2 or raw, shut down, best
    after sysprep. The daemon reads it where it lies and never writes to it.
    """
    (disk,) = names
    body = {"Disk": os.path.abspath(disk)}
    if virtio:
        body["Virtio"] = os.path.abspath(virtio)
    with Progress(quiet=quiet) as progress:
        for line in connect().lines("POST", f"/linwin/templates/{quote(name)}/import", body=body):
            progress.show(line)
    click.echo(name)


@template.command()
@listing_format()
@click.option("--no-trunc", is_flag=True, help="Do not cut long values.")
@click.option("-q", "--quiet", is_flag=True, help="Show names only.")
@arguments(0, 0, "")
def ls(form: str | None, no_trunc: bool, quiet: bool, names: tuple[str, ...]) -> None:
    """List installed templates."""
    LISTING.show([_row(item, no_trunc) for item in connect().get("/linwin/templates")], form, quiet=quiet)


def _row(item: Mapping[str, Any], full: bool) -> dict[str, Any]:
    provided = [reference for base in item["Provides"] for reference in base["References"]]
    return {
        "Name": item["Name"],
        "Kind": item["Kind"],
        "Digest": short_id(item["Digest"], full=full),
        "Size": human_size(item["Size"]),
        "Provides": ", ".join(provided),
        "Created": item["Created"],
        "Summary": f"CANNOT BE USED: {item['Problem']}" if item["Problem"] else item["Summary"],
    }


@template.command()
@object_format()
@arguments(1, None, "NAME [NAME...]")
def inspect(form: str | None, names: tuple[str, ...]) -> None:
    """Show everything about templates."""
    client = connect()
    show_objects([client.get(f"/linwin/templates/{quote(name)}") for name in names], form)


@template.command()
@arguments(1, None, "NAME [NAME...]")
def rm(names: tuple[str, ...]) -> int:
    """Remove installed templates that no container uses."""
    client = connect()

    def remove(name: str) -> str:
        client.delete(f"/linwin/templates/{quote(name)}")
        return name

    return for_each(names, remove)


template.add_command(verify)
