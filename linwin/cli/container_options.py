"""The options that ``run`` and ``create`` share. What they mean is :mod:`linwin.cli.container_body`.

Only what works is offered: an option that linwin does not have is an unknown
flag, not a silent no-op. Of those that many scripts have, the daemon says why not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from linwin.cli.failures import WrongArguments
from linwin.cli.mount_options import mounts
from linwin.cli.options import complete_names
from linwin.cli.units import parse_size
from linwin.errors import InvalidRequest

F = TypeVar("F", bound=Callable[..., Any])


def container_options(command: F) -> F:
    """Add the options that describe a container, and the arguments ``IMAGE [COMMAND] [ARG...]``."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def _size(ctx: click.Context, param: click.Parameter, value: str | None) -> int:
    if value is None:
        return 0
    try:
        return parse_size(value)
    except InvalidRequest as error:
        raise click.BadParameter(f"{error.message} ({error.hint})", ctx, param) from error


def _attached(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> frozenset[str]:
    streams = frozenset(value.lower() for value in values)
    if unknown := streams - {"stdin", "stdout", "stderr"}:
        raise click.BadParameter(f'"{min(unknown)}" is none of stdin, stdout and stderr', ctx, param)
    return streams


def _log_opts(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    for value in values:
        if "=" not in value:
            raise click.UsageError(f"invalid log option '{value}': write NAME=VALUE", ctx)
    return dict(value.split("=", 1) for value in values)


def _image_and_command(ctx: click.Context, param: click.Parameter, words: tuple[str, ...]) -> tuple[str, ...]:
    if not words:
        raise WrongArguments(f"'{ctx.command_path}' requires at least 1 argument", ctx)
    return words


def _pull_policy(ctx: click.Context, param: click.Parameter, value: str) -> str:
    if value not in ("always", "missing", "never"):
        raise click.UsageError(
            f'invalid pull option: \'{value}\': must be one of "always", "missing" or "never"', ctx
        )
    return value


def _value(names: str, metavar: str, help: str, **more: Any) -> Callable[[Any], Any]:
    """An option with a value; ``names`` are its spellings and, last, its Python name where that differs."""
    return click.option(*names.split(), metavar=metavar, help=help, **more)


def _list(names: str, metavar: str, help: str, **more: Any) -> Callable[[Any], Any]:
    return _value(names, metavar, f"{help} Repeatable.", multiple=True, **more)


def _flag(names: str, help: str, **more: Any) -> Callable[[Any], Any]:
    return click.option(*names.split(), is_flag=True, help=help, **more)


def size_option(names: str, help: str) -> Callable[[Any], Any]:
    """An option whose value is a size in bytes, 0 where it is not given."""
    return _value(names, "SIZE", help, callback=_size)


_REFUSED = "Refused by the daemon, in a sentence."
_PULL: dict[str, Any] = {"callback": _pull_policy, "default": "missing"}
_WORDS: dict[str, Any] = {
    "nargs": -1,
    "type": click.UNPROCESSED,
    "callback": _image_and_command,
    "shell_complete": complete_names,
}

_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    _list("-a --attach attached", "STREAM", "Attach only to stdin, stdout or stderr.", callback=_attached),
    _list("--add-host", "NAME:ADDRESS", "Give a name an address, or that of the host: host-gateway."),
    _flag("--cold --no-checkpoint cold", "Boot the guest, and restore it from no checkpoint."),
    _value("--cidfile", "FILE", "Write the container's id to a new file."),
    _value("--cpus", "NUMBER", "Number of CPUs.", type=click.FloatRange(min=0), default=0.0),
    _list("--dns", "ADDRESS", "Ask this DNS server, and not the network's own."),
    _list("--dns-search", "DOMAIN", "Complete names with this domain."),
    _value("--domainname", "NAME", "The domain behind the container's host name.", default=""),
    _value("--entrypoint", "PROGRAM", "Run this instead of the image's entrypoint."),
    _list("-e --env", "NAME[=VALUE]", "Set an environment variable, a name alone to our own value."),
    _list("--env-file env_files", "FILE", "Read environment variables from a file."),
    _list("--expose", "PORT[/PROTOCOL]", "A port, or range of ports, that -P publishes."),
    _value("-h --hostname", "NAME", "The container's host name.", default=""),
    _value("--health-cmd", "COMMAND", "Run this in the container, by its shell, to see whether it works."),
    _value("--health-interval", "DURATION", "Time between two checks, 30s by default."),
    _value("--health-retries", "NUMBER", "So many failures in a row are unhealthy, 3 by default.", type=int),
    _value("--health-start-interval", "DURATION", "Time between checks in the start period, 5s by default."),
    _value("--health-start-period", "DURATION", "Time after the start in which failures do not count."),
    _value("--health-timeout", "DURATION", "Time that one check may take, 30s by default."),
    _flag("-i --interactive", "Keep standard input open and connect ours to it."),
    _value("--ip", "ADDRESS", "Its IPv4 address in the network.", default=""),
    _value("--ip6", "ADDRESS", "Its IPv6 address in the network.", default=""),
    _value("--isolation", "NAME", "hyperv or default; every container is a guest of its own.", default=""),
    _list("-l --label labels", "NAME=VALUE", "Set a label."),
    _list("--label-file label_files", "FILE", "Read labels from a file."),
    _value("--log-driver", "NAME", "Where output is kept: json-file, local or none.", default=""),
    _list("--log-opt log_opts", "NAME=VALUE", "Option of the log, such as max-size=10m.", callback=_log_opts),
    _value("--mac-address", "MAC", "Its MAC address in the network.", default=""),
    size_option("-m --memory", "Memory of the guest, such as 512m or 2g."),
    _list(
        "--mount mounts",
        "KEY=VALUE[,...]",
        "Mount something: type=bind, volume or tmpfs, source=, target=, readonly.",
        callback=mounts,
    ),
    _value("--name", "NAME", "The container's name."),
    _list(
        "--network --net networks", "NAME", "Its network: a name, none, or name=NAME,alias=ALIAS,ip=ADDRESS."
    ),
    _list("--network-alias --net-alias network_aliases", "NAME", "Further name in the network."),
    _flag("--no-healthcheck", "Run no health check, not even the image's."),
    _value("--platform", "OS[/ARCH]", "Refuse an image of another platform."),
    _list("-p --publish", "[[ADDRESS:]HOST:]PORT[/PROTOCOL]", "Publish a port, or a range, on the host."),
    _flag("-P --publish-all", "Publish every exposed port on a port of the host that is free."),
    _value("--pull", "POLICY", "When to pull: always, missing (the default) or never.", **_PULL),
    _flag("--privileged", _REFUSED, hidden=True),
    _flag("-q --quiet", "Do not show the progress of a pull."),
    _flag("--read-only", _REFUSED, hidden=True),
    _value("--restart", "POLICY", "Start it again: no, always, unless-stopped or on-failure[:COUNT]."),
    _flag("--rm auto_remove", "Remove the container when it has ended."),
    _value("--stop-signal", "NAME", "Signal that stop sends first."),
    _value("--stop-timeout", "SECONDS", "How long stop waits before it kills.", type=int),
    _list("--tmpfs", "TARGET[:OPTIONS]", "Mount memory of the guest, such as C:\\x:size=64m."),
    _value("--template", "NAME", "Start its guest from this template, and not the one that suits best."),
    _flag("-t --tty", "Give it a terminal: ours, with -i."),
    _value("-u --user", "NAME", "User to run as.", default=""),
    _list(
        "-v --volume volumes",
        "[SOURCE:]TARGET[:MODE]",
        "Mount a folder or file of the host, or a volume, at a Windows path; MODE is ro, nocopy, uid=NUMBER, "
        "gid=NUMBER or several.",
    ),
    _value("--volume-driver", "NAME", "The driver of new volumes: local.", default=""),
    _list("--volumes-from", "CONTAINER[:MODE]", "Mount what another container has mounted."),
    _value("-w --workdir", "DIRECTORY", "Working directory, a Windows path.", default=""),
    click.argument("words", metavar="IMAGE [COMMAND] [ARG...]", **_WORDS),
)
