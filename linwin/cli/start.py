"""``linwin start``: start containers that do not run."""

from __future__ import annotations

import click

from linwin.cli.connect import connect
from linwin.cli.each import for_each
from linwin.cli.failures import WrongArguments
from linwin.cli.options import arguments, detach_keys_option
from linwin.cli.session import run_attached
from linwin.cli.starting import start_container
from linwin.cli.template_notice import tell_template
from linwin.client import quote


@click.command()
@click.option("-a", "--attach", is_flag=True, help="Connect to its output and forward signals.")
@click.option("-i", "--interactive", is_flag=True, help="Connect standard input too.")
@detach_keys_option()
@arguments(1, None, "CONTAINER [CONTAINER...]")
@click.pass_context
def start(
    ctx: click.Context, attach: bool, interactive: bool, detach_keys: str | None, names: tuple[str, ...]
) -> int:
    """Start stopped containers. With -a or -i the exit code is the container's."""
    client = connect()

    def start_one(name: str) -> None:
        tell_template(client, name)
        start_container(client, name)

    def start_and_name(name: str) -> str:
        start_one(name)
        return name

    if not attach and not interactive:
        return for_each(names, start_and_name)
    if len(names) > 1:
        raise WrongArguments("you cannot start and attach multiple containers at once", ctx)
    (name,) = names
    container = client.get(f"/containers/{quote(name)}/json")
    streams = {"stdout", "stderr"} | (
        {"stdin"} if interactive and container["Config"]["OpenStdin"] else set()
    )
    condition = "removed" if container["HostConfig"].get("AutoRemove") else "next-exit"
    tty = container["Config"]["Tty"]
    if tty and "stdin" in streams:
        from linwin.cli import terminal

        terminal.require("Leave out -t: start -i passes standard input on as it is.")
    return run_attached(
        client,
        container["Id"],
        frozenset(streams),
        condition=condition,
        start=lambda: start_one(name),
        tty=tty,
        detach_keys=detach_keys,
    )
