"""``linwin load``: images from an archive."""

from __future__ import annotations

import sys
from typing import BinaryIO

import click

from linwin.cli.connect import connect
from linwin.cli.options import arguments
from linwin.cli.progress import Progress
from linwin.errors import InvalidRequest


@click.command()
@click.option("-i", "--input", "path", metavar="FILE", help="Read this archive instead of standard input.")
@click.option("-q", "--quiet", is_flag=True, help="Do not show progress.")
@arguments(0, 0, "")
def load(path: str | None, quiet: bool, names: tuple[str, ...]) -> None:
    """Load images from a docker-archive or OCI archive."""
    with _archive(path) as archive, Progress(quiet=quiet) as progress:
        for line in connect().load(archive):
            progress.show(line)
            if stream := line.get("stream"):
                click.echo(stream, nl=False)


def _archive(path: str | None) -> BinaryIO:
    if path is None:
        if sys.stdin.isatty():
            raise InvalidRequest(
                "load reads an archive from standard input", hint="linwin load -i FILE, or < FILE"
            )
        return sys.stdin.buffer
    try:
        return open(path, "rb")
    except OSError as error:
        raise InvalidRequest(f"cannot open {path}: {error.strerror}") from error
