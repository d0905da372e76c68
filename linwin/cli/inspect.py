"""``linwin inspect`` and its narrower forms: everything about containers, images and the rest, as JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import click

from linwin.cli import failures
from linwin.cli.connect import connect
from linwin.cli.options import arguments, object_format
from linwin.cli.output import show_objects
from linwin.client import Client, quote
from linwin.errors import NotFound

PATHS = {
    "container": "/containers/{}/json",
    "image": "/images/{}/json",
    "network": "/networks/{}",
    "volume": "/volumes/{}",
}

_size = click.option("-s", "--size", is_flag=True, help="Tell also what a container's files take.")


@click.command()
@object_format()
@_size
@click.option(
    "--type",
    "kind",
    type=click.Choice(list(PATHS)),
    metavar="TYPE",
    help="container, image, network or volume only.",
)
@arguments(1, None, "NAME|ID [NAME|ID...]")
def inspect(form: str | None, size: bool, kind: str | None, names: tuple[str, ...]) -> int:
    """Show everything about containers, images, networks and volumes."""
    return _show(names, [kind] if kind else list(PATHS), form, size=size)


@click.command("inspect")
@object_format()
@_size
@arguments(1, None, "CONTAINER [CONTAINER...]")
def container_inspect(form: str | None, size: bool, names: tuple[str, ...]) -> int:
    """Show everything about containers."""
    return _show(names, ["container"], form, size=size)


@click.command("inspect")
@object_format()
@arguments(1, None, "IMAGE [IMAGE...]")
def image_inspect(form: str | None, names: tuple[str, ...]) -> int:
    """Show everything about images."""
    return _show(names, ["image"], form)


@click.command("inspect")
@object_format()
@arguments(1, None, "NETWORK [NETWORK...]")
def network_inspect(form: str | None, names: tuple[str, ...]) -> int:
    """Show everything about networks."""
    return _show(names, ["network"], form)


def _show(names: tuple[str, ...], kinds: list[str], form: str | None, *, size: bool = False) -> int:
    client = connect()
    return show_each(names, lambda name: _look_up(client, name, kinds, size=size), form)


def show_each(names: Iterable[str], look_up: Callable[[str], Any], form: str | None) -> int:
    """Show what is found, then what is missing; the exit code."""
    found: list[Any] = []
    missing: list[NotFound] = []
    for name in names:
        try:
            found.append(look_up(name))
        except NotFound as error:
            missing.append(error)
    if found or not form:
        show_objects(found, form)
    for absent in missing:
        failures.show(absent)
    return failures.FAILED if missing else 0


def _look_up(client: Client, name: str, kinds: list[str], *, size: bool) -> Any:
    for kind in kinds:
        try:
            return client.get(PATHS[kind].format(quote(name)), size=size or None)
        except NotFound:
            if len(kinds) == 1:
                raise
    raise NotFound(f"No such object: {name}")
