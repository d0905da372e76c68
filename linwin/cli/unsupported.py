"""docker's commands for which linwin has nothing: the daemon says so, in one sentence of its own.

Help leaves them out. One that linwin learns gets a module of its own instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from linwin.cli.connect import connect
from linwin.cli.failures import WrongArguments
from linwin.cli.options import arguments
from linwin.client import quote
from linwin.errors import Unsupported

Query = Mapping[str, Any]
_ANYTHING = {"ignore_unknown_options": True, "allow_interspersed_args": True}


def _refused(name: str, method: str, path: str, least: int = 0, query: Query | None = None) -> click.Command:
    """The command ``name``, whatever its options: of its arguments only the number matters."""

    @click.command(name, context_settings=_ANYTHING, hidden=True, add_help_option=False)
    @click.argument("words", nargs=-1, type=click.UNPROCESSED)
    @click.pass_context
    def command(ctx: click.Context, words: tuple[str, ...]) -> None:
        plain = [word for word in words if not word.startswith("-") or word == "-"]
        if len(plain) < least:
            raise WrongArguments(f"'{ctx.command_path}' requires at least {least} argument", ctx)
        connect().request(method, path, query).close()
        raise Unsupported(f"linwin has no command {ctx.command_path}")

    return command


@click.command(hidden=True)
@click.option("-o", "--output", metavar="FILE", help="Write to FILE instead of stdout.")
@arguments(1, 1, "CONTAINER")
@click.pass_context
def export(ctx: click.Context, output: str | None, names: tuple[str, ...]) -> None:
    """Write a container's files as a tar archive, which linwin cannot."""
    connect().request("GET", f"/containers/{quote(names[0])}/export").close()
    raise Unsupported(f"linwin has no command {ctx.command_path}")


build = _refused("build", "POST", "/build")
commit = _refused("commit", "POST", "/commit", 1)
import_ = _refused("import", "POST", "/images/create", 1, {"fromSrc": "-"})
