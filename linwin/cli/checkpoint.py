"""``linwin checkpoint``: the frozen guests that containers are restored from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from linwin.cli.connect import connect
from linwin.cli.container_options import size_option
from linwin.cli.each import for_each
from linwin.cli.groups import Group
from linwin.cli.options import arguments, listing_format
from linwin.cli.output import Listing, short_id
from linwin.cli.progress import Progress
from linwin.cli.units import human_size
from linwin.client import quote

LISTING = Listing(
    headers={
        "Id": "CHECKPOINT ID",
        "Template": "TEMPLATE",
        "Memory": "MEMORY",
        "Cpus": "CPUS",
        "Size": "SIZE",
        "Created": "CREATED AT",
        "Used": "USED AT",
    },
    columns=("Id", "Template", "Memory", "Cpus", "Size", "Used"),
    quiet="Id",
)


@click.group(cls=Group)
def checkpoint() -> None:
    """Manage checkpoints, the frozen guests that containers are restored from."""


@checkpoint.command()
@listing_format()
@click.option("--no-trunc", is_flag=True, help="Do not cut long values.")
@click.option("-q", "--quiet", is_flag=True, help="Show ids only.")
@arguments(0, 0, "")
def ls(form: str | None, no_trunc: bool, quiet: bool, names: tuple[str, ...]) -> None:
    """List checkpoints, the most recently used first."""
    LISTING.show([_row(item, no_trunc) for item in connect().get("/linwin/checkpoints")], form, quiet=quiet)


def _row(item: Mapping[str, Any], full: bool) -> dict[str, Any]:
    return {
        "Id": short_id(item["Id"], full=full),
        "Template": item["Template"] or "<gone>",
        "Memory": f"{item['Memory'] >> 20}MiB",
        "Cpus": str(item["Cpus"]),
        "Size": human_size(item["Size"]),
        "Created": item["Created"],
        "Used": item["Used"],
    }


@checkpoint.command()
@click.option("--cpus", metavar="NUMBER", help="Number of CPUs of the guests.", type=int, default=0)
@size_option("-m --memory", "Memory of the guests, such as 512m or 2g.")
@click.option("-q", "--quiet", is_flag=True, help="Do not show progress.")
@arguments(0, 1, "[TEMPLATE]")
def create(cpus: int, memory: int, quiet: bool, names: tuple[str, ...]) -> None:
    """Make the checkpoint of a template, wine by default, for guests of one size, and print its id.

    Where there is one already, nothing is printed.
    """
    body = {"Template": "".join(names), "Memory": memory, "Cpus": cpus}
    made = ""
    with Progress(quiet=quiet) as progress:
        for line in connect().lines("POST", "/linwin/checkpoints", body=body):
            progress.show(line)
            made = line.get("aux", {}).get("ID", made)
    if made:
        click.echo(made)


@checkpoint.command()
@arguments(1, None, "CHECKPOINT [CHECKPOINT...]")
def rm(names: tuple[str, ...]) -> int:
    """Remove checkpoints. Running containers go on."""
    client = connect()

    def remove(name: str) -> str:
        client.delete(f"/linwin/checkpoints/{quote(name)}")
        return name

    return for_each(names, remove)


@checkpoint.command()
@click.option("-a", "--all", "everything", is_flag=True, help="Remove all, not only those of no use.")
@arguments(0, 0, "")
def prune(everything: bool, names: tuple[str, ...]) -> None:
    """Remove the checkpoints of templates that are no longer installed."""
    gone = connect().post("/linwin/checkpoints/prune", all=everything)
    for key in gone["Deleted"]:
        click.echo(f"Deleted: {key}")
    click.echo(f"Total reclaimed space: {human_size(gone['SpaceReclaimed'])}")
