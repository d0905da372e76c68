"""``linwin save``: images as an archive."""

from __future__ import annotations

import sys

import click

from linwin.cli.connect import connect
from linwin.cli.options import arguments
from linwin.cli.streams import write_all
from linwin.cli.whole_file import whole_file
from linwin.client import Response
from linwin.errors import InvalidRequest

STDOUT = 1


@click.command()
@click.option("-o", "--output", metavar="FILE", help="Write this file instead of standard output.")
@arguments(1, None, "IMAGE [IMAGE...]")
def save(output: str | None, names: tuple[str, ...]) -> None:
    """Save images to a tar archive that load and docker read."""
    if output is None:
        if sys.stdout.isatty():
            raise InvalidRequest("cowardly refusing to save to a terminal. Use the -o flag or redirect")
        with _archive(names) as response:
            for piece in iter(response.read1, b""):
                write_all(STDOUT, piece)
        return
    with whole_file(output) as path, _archive(names) as response, path.open("wb") as file:
        for piece in iter(response.read1, b""):
            file.write(piece)


def _archive(names: tuple[str, ...]) -> Response:
    return connect().request("GET", "/images/get", {"names": names})
