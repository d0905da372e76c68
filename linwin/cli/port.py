"""``linwin port``: where a container's ports are published."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from linwin.cli.connect import connect
from linwin.cli.options import arguments
from linwin.cli.output import write_lines
from linwin.client import quote
from linwin.errors import InvalidRequest, NotFound

Bindings = Mapping[str, Sequence[Mapping[str, str]] | None]


@click.command()
@arguments(1, 2, "CONTAINER [PRIVATE_PORT[/PROTO]]")
def port(names: tuple[str, ...]) -> None:
    """List where the ports of a container are published, or one of them."""
    container, *wanted = names
    described = connect().get(f"/containers/{quote(container)}/json")
    bindings: Bindings = described["NetworkSettings"].get("Ports") or {}
    if not wanted:
        write_lines(_all(bindings))
        return
    found = bindings.get(_spelt_out(wanted[0])) or ()
    if not found:
        raise NotFound(f"No public port '{wanted[0]}' published for {container}")
    write_lines(map(_address, found))


def _spelt_out(wanted: str) -> str:
    """``80`` is ``80/tcp``."""
    number, _, protocol = wanted.partition("/")
    if not number.isdecimal() or int(number) > 65535:
        raise InvalidRequest(
            f"Invalid port '{number}'", hint="Write a number and perhaps /udp, such as 53/udp."
        )
    return f"{int(number)}/{protocol or 'tcp'}"


def _all(bindings: Bindings) -> Iterator[str]:
    """By port; docker's own order."""
    for inside in sorted(bindings, key=lambda name: (int(name.partition("/")[0]), name)):
        for binding in bindings[inside] or ():
            yield f"{inside} -> {_address(binding)}"


def _address(binding: Mapping[str, Any]) -> str:
    host = binding.get("HostIp", "")
    return f"[{host}]:{binding['HostPort']}" if ":" in host else f"{host}:{binding['HostPort']}"
