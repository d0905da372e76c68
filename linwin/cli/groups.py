"""Groups of commands, with docker's manners: alone they print their help, and a wrong word is named."""

from __future__ import annotations

import click

from linwin.cli.failures import UnknownCommand


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
        return super().resolve_command(ctx, args)
