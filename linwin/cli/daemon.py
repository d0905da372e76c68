"""``linwin daemon``: run, start, stop and look at the daemon."""

from __future__ import annotations

import os

import click

from linwin.cli import daemon_process, failures
from linwin.cli.groups import Group
from linwin.paths import Paths


@click.group(cls=Group)
def daemon() -> None:
    """Manage the daemon."""


@daemon.command()
def run() -> None:
    """Run the daemon in the foreground, as service managers want it."""
    program, *arguments = daemon_process.ENTRY_POINT
    os.execv(program, [program, *arguments])


@daemon.command()
def start() -> None:
    """Start the daemon in the background unless it runs."""
    daemon_process.start_daemon()


@daemon.command()
def stop() -> None:
    """Stop the daemon and wait for its end."""
    paths = Paths.from_environment()
    if daemon_process.stop_daemon(paths) is None:
        failures.say(f"no daemon runs in {paths.root}")


@daemon.command()
def status() -> int:
    """Tell whether the daemon runs: exit code 0, or 1 when it does not."""
    paths = Paths.from_environment()
    pid = daemon_process.running_pid(paths)
    click.echo(f"pid:    {'none, it does not run' if pid is None else pid}")
    click.echo(f"socket: unix://{paths.socket}")
    click.echo(f"root:   {paths.root}")
    click.echo(f"log:    {paths.daemon_log}")
    return failures.FAILED if pid is None else 0
