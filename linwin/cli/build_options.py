"""The options of ``build``. Only what works is offered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from linwin.cli.build_progress import MODES
from linwin.cli.container_options import size_option
from linwin.cli.options import arguments

F = TypeVar("F", bound=Callable[..., Any])


def build_options(command: F) -> F:
    """Add the options of a build, and its argument."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def _mode(ctx: click.Context, param: click.Parameter, value: str) -> str:
    if value not in MODES:
        raise click.BadParameter(f'"{value}" is none of {", ".join(MODES[:-1])} and {MODES[-1]}', ctx, param)
    return value


def _value(names: str, metavar: str, help: str, **more: Any) -> Callable[[Any], Any]:
    return click.option(*names.split(), metavar=metavar, help=help, **more)


def _list(names: str, metavar: str, help: str) -> Callable[[Any], Any]:
    return _value(names, metavar, f"{help} Repeatable.", multiple=True)


def _flag(names: str, help: str, **more: Any) -> Callable[[Any], Any]:
    return click.option(*names.split(), is_flag=True, help=help, **more)


_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    _list("--add-host hosts", "NAME:ADDRESS", "Give a name an address while commands run."),
    _list("--build-arg build_args", "NAME[=VALUE]", "Set an ARG, a name alone to our own variable's value."),
    _list("--cache-from", "IMAGE", "Take steps that are done already from this image too."),
    _value(
        "-f --file dockerfile", "FILE", "The Dockerfile, PATH/Dockerfile by default; - is standard input."
    ),
    _flag("--force-rm force_remove", "Remove the containers of commands also when one fails."),
    _value("--iidfile id_path", "FILE", "Write the image's id to this file."),
    _list("--label labels", "NAME=VALUE", "Set a label of the image."),
    size_option("-m --memory", "Memory of the guests that run commands, such as 512m or 2g."),
    _value("--network networkmode", "NAME", "The network that commands have: a name, or none.", default=None),
    _flag("--no-cache", "Do every step anew."),
    _value("--platform", "OS[/ARCH]", "Refuse any but windows/amd64."),
    _value(
        "--progress",
        "MODE",
        "How the build is shown: auto, plain, tty or rawjson.",
        callback=_mode,
        default="auto",
        show_default=True,
    ),
    _flag("--pull", "Ask the registry for a newer base image."),
    _flag("-q --quiet", "Print the image's id only."),
    click.option(
        "--rm/--no-rm",
        "remove",
        default=True,
        show_default=True,
        help="Remove the containers of commands when the build has succeeded.",
    ),
    _list("-t --tag tags", "NAME[:TAG]", "Name the image."),
    _value("--target", "STAGE", "Build this stage, and those that it needs."),
    _value(
        "--timestamp",
        "SECONDS",
        "Date nothing in the image later than this, in seconds since 1970: equal input makes an equal image.",
        type=click.IntRange(min=0),
    ),
    arguments(1, 1, "PATH|URL|-"),
)
