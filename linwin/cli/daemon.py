"""``linwin daemon``: run, start, stop and look at the daemon."""

from __future__ import annotations

import os
from pathlib import Path

import click

from linwin.cli import daemon_process, failures
from linwin.cli.groups import Group
from linwin.cli.options import F, setting, tls_settings
from linwin.paths import Paths


@click.group(cls=Group)
def daemon() -> None:
    """Manage the daemon."""


def daemon_settings(command: F) -> F:
    """The options of a daemon that is about to be started, which reads its environment."""
    for option in (
        setting(
            "--metrics-addr",
            metavar="HOST:PORT",
            variable="LINWIN_METRICS_LISTEN",
            help="Serve metrics there, to anybody who reaches it.",
        ),
        setting(
            "--log-format",
            metavar="FORMAT",
            variable="LINWIN_LOG_FORMAT",
            help="Form of the daemon's own log: text or json.",
        ),
        setting(
            "--log-level",
            metavar="LEVEL",
            variable="LINWIN_LOG_LEVEL",
            help="What the daemon's own log tells: debug, info, warning or error.",
        ),
        setting(
            "--log-opt",
            metavar="NAME=VALUE",
            multiple=True,
            variable="LINWIN_LOG_OPTS",
            help="Default option of containers' logs, such as max-size=10m. Repeatable.",
        ),
        setting(
            "--log-driver",
            metavar="NAME",
            variable="LINWIN_LOG_DRIVER",
            help="Default log driver of containers: json-file, local or none.",
        ),
        setting(
            "--config",
            metavar="FILE",
            type=click.Path(path_type=Path, resolve_path=True),
            variable="LINWIN_CONFIG",
            help="Read settings from FILE (default /etc/linwin/linwin.toml).",
        ),
    ):
        command = option(command)
    return command


@daemon.command()
@click.option(
    "-H",
    "--host",
    "hosts",
    multiple=True,
    metavar="ADDRESS",
    help="Listen there: unix:///PATH, or tcp://HOST:PORT, which needs --tlsverify. May be repeated.",
)
@tls_settings
@daemon_settings
def run(hosts: tuple[str, ...]) -> None:
    """Run the daemon in the foreground, as service managers want it.

    Sockets that a service manager passes (systemd's socket activation) are used
    instead of a socket of its own.
    """
    os.environ.update(_addresses(hosts))
    program, *arguments = daemon_process.ENTRY_POINT
    os.execv(program, [program, *arguments])


def _addresses(hosts: tuple[str, ...]) -> dict[str, str]:
    """``-H`` as the settings that the daemon reads: at most one address of each kind."""
    settings: dict[str, str] = {}
    for host in hosts:
        name = "LINWIN_HOST" if host.startswith("unix://") else "LINWIN_LISTEN"
        if name in settings or not host.startswith(("unix://", "tcp://")):
            raise click.BadParameter(f'"{host}": give one unix:///PATH and one tcp://HOST:PORT at most')
        settings[name] = host
    return settings


@daemon.command()
@daemon_settings
def start() -> None:
    """Start the daemon in the background unless it runs."""
    daemon_process.start_daemon()


@daemon.command()
@click.option(
    "--purge-network",
    is_flag=True,
    help="Remove its bridges, rules and name servers from the host too; its next start makes them anew.",
)
def stop(purge_network: bool) -> None:
    """Stop the daemon and wait for its end."""
    paths = Paths.from_environment()
    if daemon_process.stop_daemon(paths) is None:
        failures.say(f"no daemon runs in {paths.root}")
    if purge_network and not paths.root.exists():
        failures.say(f"there is no {paths.root}: no networks were removed")
    elif purge_network:
        daemon_process.purge_network(paths)


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
