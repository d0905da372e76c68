"""Options and arguments that several commands share."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

import click

from linwin.cli.failures import WrongArguments
from linwin.model.detach import DEFAULT_KEYS, SPELLING, parse_keys

F = TypeVar("F", bound=Callable[..., Any])

LISTING_FORMATS = "'json', a Go template such as '{{.ID}}', or 'table TEMPLATE'."
OBJECT_FORMATS = "'json', or a Go template such as '{{json .}}'."


def setting(*names: str, variable: str, help: str, **more: Any) -> Callable[[F], F]:
    """An option that is an environment variable given by hand: the daemon and the client read those."""

    def remember(ctx: click.Context, param: click.Parameter, value: Any) -> None:
        if isinstance(value, tuple):
            value = ",".join(value)
        if value:
            os.environ[variable] = "1" if value is True else str(value)

    return click.option(*names, help=help, expose_value=False, callback=remember, **more)


def tls_settings(command: F) -> F:
    """The options about certificates, which both ends of a connection show."""
    for option in (
        setting("--tlskey", metavar="FILE", variable="LINWIN_TLS_KEY", help="Its key."),
        setting("--tlscert", metavar="FILE", variable="LINWIN_TLS_CERT", help="The certificate to show."),
        setting(
            "--tlscacert",
            metavar="FILE",
            variable="LINWIN_TLS_CACERT",
            help="Trust the other side if this certificate's owner signed its.",
        ),
        setting(
            "--tlsverify",
            is_flag=True,
            variable="LINWIN_TLS_VERIFY",
            help="TCP carries TLS, and both sides show certificates.",
        ),
    ):
        command = option(command)
    return command


def listing_format() -> Callable[[F], F]:
    """``--format`` of commands that print a table by default."""
    return click.option("--format", "form", metavar="FORMAT", help=LISTING_FORMATS)


def object_format() -> Callable[[F], F]:
    """``-f, --format`` of commands that print objects."""
    return click.option("-f", "--format", "form", metavar="FORMAT", help=OBJECT_FORMATS)


def filter_option(help: str, *, short: bool = True) -> Callable[[F], F]:
    """``-f, --filter NAME=VALUE``, repeatable: arrives as docker's filter JSON, None when not given.

    ``short`` is False where ``-f`` means another thing.
    """
    names = ("-f", "--filter", "filters") if short else ("--filter", "filters")
    return click.option(*names, multiple=True, metavar="NAME=VALUE", callback=_filters, help=help)


def _filters(
    ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> dict[str, list[str]] | None:
    filters: dict[str, list[str]] = {}
    for value in values:
        name, separator, wanted = value.partition("=")
        if not separator:
            raise click.BadParameter(f'"{value}" is not NAME=VALUE', ctx, param)
        filters.setdefault(name.strip().lower(), []).append(wanted.strip())
    return filters or None


def detach_keys_option() -> Callable[[F], F]:
    """``--detach-keys``: checked here, looked for by the daemon; None when not given."""
    help = f"Keys that let go of a terminal and leave the program running (default {DEFAULT_KEYS})."
    return click.option("--detach-keys", metavar="KEYS", callback=_detach_keys, help=help)


def _detach_keys(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    try:
        parse_keys(value or "")
    except ValueError as error:
        raise click.BadParameter(f'"{value}": {error}. {SPELLING}', ctx, param) from error
    return value


def complete_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
    """What a shell may offer for an argument."""
    from linwin.cli.completion import names

    return names(ctx, param, incomplete)


def arguments(least: int, most: int | None, metavar: str) -> Callable[[F], F]:
    """The positional arguments as one tuple ``names``, their number checked in docker's words."""

    def check(ctx: click.Context, param: click.Parameter, names: tuple[str, ...]) -> tuple[str, ...]:
        if ctx.resilient_parsing:  # a shell completes it
            return names
        if len(names) < least or (most is not None and len(names) > most):
            raise WrongArguments(f"'{ctx.command_path}' {_requirement(least, most)}", ctx)
        return names

    return click.argument("names", nargs=-1, metavar=metavar, callback=check, shell_complete=complete_names)


def _requirement(least: int, most: int | None) -> str:
    if most == 0:
        return "accepts no arguments"
    if most == 1 and least == 0:
        return "requires at most 1 argument"
    plural = "" if least == 1 else "s"
    return f"requires {'at least ' if most is None else ''}{least} argument{plural}"
