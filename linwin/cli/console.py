"""``linwin console``: what a container's guest writes to its serial console, and its screen."""

from __future__ import annotations

import click

from linwin.cli.connect import connect
from linwin.cli.options import arguments, detach_keys_option
from linwin.cli.streams import write_all
from linwin.client import Client, quote

STDOUT = 1


@click.command()
@detach_keys_option()
@click.option("-f", "--follow", is_flag=True, help="Go on until the guest's machine ends.")
@click.option("-i", "--interactive", is_flag=True, help="Type at it too, where the guest reads from it.")
@click.option(
    "--port", metavar="PORT", type=click.IntRange(0, 65535), help="The port for --vnc (default any free one)."
)
@click.option("-n", "--tail", metavar="LINES", help="Show only so many lines from the end.")
@click.option("--vnc", is_flag=True, help="Serve the guest's screen to your VNC viewers at 127.0.0.1.")
@arguments(1, 1, "CONTAINER")
def console(
    detach_keys: str | None,
    follow: bool,
    interactive: bool,
    port: int | None,
    tail: str | None,
    vnc: bool,
    names: tuple[str, ...],
) -> None:
    """Show what a container's guest wrote to its serial console, as its firmware, kernel and agent do.

    Nothing of it drives your terminal. A guest that is still coming up has a console
    too, before there is any output of its container.
    """
    _check(follow=follow, interactive=interactive, port=port, tail=tail, vnc=vnc)
    client, container = connect(), names[0]
    if vnc:
        from linwin.cli import screen_port

        screen_port.serve(client, container, port or 0)
    elif interactive:
        _type(client, container, detach_keys)
    else:
        _show(client, container, follow=follow, tail=tail)


def _check(*, follow: bool, interactive: bool, port: int | None, tail: str | None, vnc: bool) -> None:
    if vnc and interactive:
        raise click.UsageError("conflicting options: --vnc is the screen, --interactive the serial console")
    if (vnc or interactive) and (follow or tail is not None):
        raise click.UsageError("conflicting options: --follow and --tail are about what is only read")
    if port is not None and not vnc:
        raise click.UsageError("--port says where VNC viewers connect: it needs --vnc")


def _show(client: Client, container: str, *, follow: bool, tail: str | None) -> None:
    path = f"/linwin/containers/{quote(container)}/console"
    with client.request("GET", path, {"follow": follow, "tail": tail}) as response:
        for piece in iter(response.read1, b""):
            write_all(STDOUT, piece)


def _type(client: Client, container: str, detach_keys: str | None) -> None:
    from linwin.cli import terminal

    terminal.require(f"Read it only: linwin console --follow {container}")
    with client.console(container, detach_keys=detach_keys) as attachment:
        terminal.lend(attachment, lambda rows, columns: None, stdin=True)
    click.echo(err=True)
