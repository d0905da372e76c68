"""``linwin update``: change what containers may use, and when they are restarted."""

from __future__ import annotations

from typing import Any

import click

from linwin.cli.connect import connect
from linwin.cli.container_options import size_option
from linwin.cli.each import for_each
from linwin.cli.failures import WrongArguments
from linwin.cli.lifetime_options import restart_policy
from linwin.cli.options import arguments
from linwin.client import quote


@click.command()
@click.option(
    "--cpus",
    metavar="NUMBER",
    help="Number of CPUs, of a container that does not run.",
    type=click.FloatRange(min=0),
    default=0.0,
)
@size_option("-m --memory", "Memory of the guest, such as 512m or 2g, of a container that does not run.")
@click.option(
    "--restart",
    metavar="POLICY",
    help="When to start it again: no, always, unless-stopped or on-failure[:COUNT].",
)
@arguments(1, None, "CONTAINER [CONTAINER...]")
@click.pass_context
def update(ctx: click.Context, cpus: float, memory: int, restart: str | None, names: tuple[str, ...]) -> int:
    """Change the memory, the CPUs or the restart policy of containers."""
    if not (cpus or memory or restart is not None):
        raise WrongArguments("you must provide one or more flags when using this command", ctx)
    body: dict[str, Any] = {"Memory": memory, "NanoCpus": round(cpus * 1e9)}
    if restart is not None:
        body["RestartPolicy"] = restart_policy(restart)
    client = connect()

    def update_one(name: str) -> str:
        answer = client.post(f"/containers/{quote(name)}/update", body=body)
        for warning in answer.get("Warnings") or ():
            click.echo(f"WARNING: {warning}", err=True)
        return name

    return for_each(names, update_one)
