"""``linwin attach``: connect to a running container."""

from __future__ import annotations

import click

from linwin.cli.connect import connect
from linwin.cli.options import arguments, detach_keys_option
from linwin.cli.session import run_attached
from linwin.client import quote
from linwin.errors import Conflict


@click.command()
@click.option("--no-stdin", is_flag=True, help="Do not connect standard input.")
@click.option(
    "--sig-proxy/--no-sig-proxy", default=True, show_default=True, help="Forward SIGINT, SIGTERM and SIGQUIT."
)
@detach_keys_option()
@arguments(1, 1, "CONTAINER")
def attach(no_stdin: bool, sig_proxy: bool, detach_keys: str | None, names: tuple[str, ...]) -> int:
    """Connect to a running container's streams. The exit code is the container's."""
    client = connect()
    container = client.get(f"/containers/{quote(names[0])}/json")
    if not container["State"]["Running"]:
        raise Conflict(
            "You cannot attach to a stopped container, start it first", hint=f"linwin start -a {names[0]}"
        )
    if container["State"].get("Paused"):
        raise Conflict(
            "You cannot attach to a paused container, unpause it first", hint=f"linwin unpause {names[0]}"
        )
    if container["State"].get("Restarting"):
        raise Conflict(
            "You cannot attach to a restarting container, wait until it is running",
            hint=f"Its end is why it restarts: linwin logs {names[0]}",
        )
    streams = {"stdout", "stderr"}
    if container["Config"]["OpenStdin"] and not no_stdin:
        streams.add("stdin")
    tty = container["Config"]["Tty"]
    if tty and "stdin" in streams:
        from linwin.cli import terminal

        terminal.require(f"Attach to its output only: linwin attach --no-stdin {names[0]}")
    return run_attached(
        client,
        container["Id"],
        frozenset(streams),
        condition="not-running",
        forward=sig_proxy,
        tty=tty,
        detach_keys=detach_keys,
    )
