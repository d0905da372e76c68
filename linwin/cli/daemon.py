"""``linwin daemon``: run, start, stop and look at the daemon."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import click

from linwin.cli import daemon_process, failures
from linwin.cli.groups import Group
from linwin.paths import Paths


@click.group(cls=Group)
def daemon() -> None:
    """Manage the daemon."""


def config_option(command: Callable[..., None]) -> Callable[..., None]:
    return click.option(
        "--config",
        "file",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="Read settings from FILE (default /etc/linwin/linwin.toml).",
    )(command)


def use_config(file: Path | None) -> None:
    """Have the daemon that is about to be started read ``file``."""
    if file is not None:
        os.environ["LINWIN_CONFIG"] = str(file.absolute())


@daemon.command()
@config_option
def run(file: Path | None) -> None:
    """Run the daemon in the foreground, as service managers want it."""
    use_config(file)
    program, *arguments = daemon_process.ENTRY_POINT
    os.execv(program, [program, *arguments])


@daemon.command()
@config_option
def start(file: Path | None) -> None:
    """Start the daemon in the background unless it runs."""
    use_config(file)
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
