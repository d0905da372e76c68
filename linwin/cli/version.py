"""``linwin version``: versions of this client and of the daemon."""

from __future__ import annotations

from typing import Any

import click

from linwin import __version__
from linwin.cli.connect import connect
from linwin.cli.options import arguments, object_format
from linwin.cli.output import show_object, write_lines
from linwin.client.http import API_VERSION
from linwin.errors import LinwinError


@click.command()
@object_format()
@arguments(0, 0, "")
def version(form: str | None, names: tuple[str, ...]) -> None:
    """Show the versions of the client and the daemon."""
    client = _client()
    if form:
        show_object({"Client": client, "Server": connect().get("/version")}, form)
        return
    write_lines(["Client:", *_lines(client, " ")])
    try:
        server = connect().get("/version")
    except LinwinError:
        write_lines([""])  # the client's half stands on its own; the error follows on stderr
        raise
    write_lines(["", "Server: linwin", " Engine:", *_lines(server, "  ")])


def _client() -> dict[str, Any]:
    import platform

    return {
        "Version": __version__,
        "ApiVersion": API_VERSION,
        "DefaultAPIVersion": API_VERSION,
        "Os": platform.system().lower(),
        "Arch": "amd64" if platform.machine() == "x86_64" else platform.machine(),
    }


def _lines(side: dict[str, Any], indent: str) -> list[str]:
    least = side.get("MinAPIVersion")
    api = side["ApiVersion"] + (f" (minimum version {least})" if least else "")
    values = [("Version", side["Version"]), ("API version", api), ("OS/Arch", f"{side['Os']}/{side['Arch']}")]
    return [f"{indent}{name + ':':<{20 - len(indent)}}{value}" for name, value in values]
