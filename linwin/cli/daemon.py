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


def log_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say what containers log to which do not say; the daemon reads its environment."""
    command = click.option(
        "--log-opt",
        "log_opts",
        metavar="NAME=VALUE",
        multiple=True,
        help="Default option of containers' logs, such as max-size=10m. Repeatable.",
    )(command)
    return click.option(
        "--log-driver", metavar="NAME", help="Default log driver of containers: json-file, local or none."
    )(command)


def _remember(log_driver: str | None, log_opts: tuple[str, ...]) -> None:
    if log_driver is not None:
        os.environ["LINWIN_LOG_DRIVER"] = log_driver
    if log_opts:
        os.environ["LINWIN_LOG_OPTS"] = ",".join(log_opts)


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
@click.option(
    "-H",
    "--host",
    "hosts",
    multiple=True,
    metavar="ADDRESS",
    help="Listen there: unix:///PATH, or tcp://HOST:PORT, which needs --tlsverify. May be repeated.",
)
@click.option("--tlsverify", is_flag=True, help="Serve TCP clients that show a certificate.")
@click.option("--tlscacert", metavar="FILE", help="Trust clients whose certificate this one signed.")
@click.option("--tlscert", metavar="FILE", help="The daemon's certificate.")
@click.option("--tlskey", metavar="FILE", help="Its key.")
@config_option
@log_options
def run(
    hosts: tuple[str, ...],
    tlsverify: bool,
    tlscacert: str | None,
    tlscert: str | None,
    tlskey: str | None,
    file: Path | None,
    log_driver: str | None,
    log_opts: tuple[str, ...],
) -> None:
    """Run the daemon in the foreground, as service managers want it.

    Sockets that a service manager passes (systemd's socket activation) are used
    instead of a socket of its own.
    """
    settings = {
        **_addresses(hosts),
        "LINWIN_TLS_VERIFY": "1" if tlsverify else None,
        "LINWIN_TLS_CACERT": tlscacert,
        "LINWIN_TLS_CERT": tlscert,
        "LINWIN_TLS_KEY": tlskey,
    }
    os.environ.update({name: value for name, value in settings.items() if value is not None})
    use_config(file)
    _remember(log_driver, log_opts)
    program, *arguments = daemon_process.ENTRY_POINT
    os.execv(program, [program, *arguments])


def _addresses(hosts: tuple[str, ...]) -> dict[str, str | None]:
    """``-H`` as the settings that the daemon reads: at most one address of each kind."""
    settings: dict[str, str | None] = {}
    for host in hosts:
        name = "LINWIN_HOST" if host.startswith("unix://") else "LINWIN_LISTEN"
        if name in settings or not host.startswith(("unix://", "tcp://")):
            raise click.BadParameter(f'"{host}": give one unix:///PATH and one tcp://HOST:PORT at most')
        settings[name] = host
    return settings


@daemon.command()
@config_option
@log_options
def start(file: Path | None, log_driver: str | None, log_opts: tuple[str, ...]) -> None:
    """Start the daemon in the background unless it runs."""
    _remember(log_driver, log_opts)
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
