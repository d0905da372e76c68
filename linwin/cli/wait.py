"""``linwin wait``: wait for containers to end."""

from __future__ import annotations

import click

from linwin.cli.connect import connect
from linwin.cli.each import for_each
from linwin.cli.options import arguments


@click.command()
@arguments(1, None, "CONTAINER [CONTAINER...]")
def wait(names: tuple[str, ...]) -> int:
    """Wait until containers have stopped and print their exit codes.

    The codes are the programs' own, of 32 bits on Windows.
    """
    client = connect()

    def exit_code(name: str) -> str:
        with client.wait(name) as waiting:
            code, _ = waiting.result()
            return str(code)

    return for_each(names, exit_code)
