"""Groups of commands, with docker's manners: alone they print their help, and a wrong word is named."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

from linwin.cli.failures import UnknownCommand
from linwin.cli.flags import plain_flags


class Group(click.Group):
    """A command that has commands."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args and not ctx.resilient_parsing:
            click.echo(ctx.get_help())
            ctx.exit()
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            raise UnknownCommand(f"unknown command: {ctx.command_path} {args[0]}", ctx)
        name, command, rest = super().resolve_command(ctx, args)
        return name, command, plain_flags(command, rest) if command else rest


class LazyGroup(Group):
    """A group whose commands are imported when they are asked for.

    ``members`` maps a command's name to ``module:function`` within
    :mod:`linwin.cli`; ``aliases`` maps other names, which help leaves out, to
    members.
    """

    def __init__(
        self,
        *arguments: Any,
        members: Mapping[str, str],
        aliases: Mapping[str, str] | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(*arguments, **settings)
        self._members = members
        self._aliases = aliases or {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._members)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        name = self._aliases.get(name, name)
        place = self._members.get(name)
        if place is None:
            return None
        module, _, function = place.partition(":")
        command = getattr(import_module(f"linwin.cli.{module}"), function)
        assert isinstance(command, click.Command)
        return command
