"""``linwin import``: an image of a file system that is a tar archive."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from typing import Any, BinaryIO

import click

from linwin.cli.commit import changes_option
from linwin.cli.connect import connect
from linwin.cli.options import arguments
from linwin.cli.progress import Progress
from linwin.errors import InvalidRequest

STDIN = "-"


@click.command("import")
@changes_option
@click.option("-m", "--message", metavar="TEXT", help="A line for its history.")
@click.option("--platform", metavar="OS[/ARCH]", help="Refuse any but windows/amd64.")
@arguments(1, 2, "FILE|URL|- [REPOSITORY[:TAG]]")
def import_(
    changes: tuple[str, ...], message: str | None, platform: str | None, names: tuple[str, ...]
) -> None:
    """Make an image of the files in a tar archive, which may be compressed.

    The archive is a file, standard input (-), or fetched by the daemon from an address.
    """
    source, target = names[0], names[1] if len(names) > 1 else None
    remote = source.startswith(("http://", "https://"))
    query: dict[str, Any] = {
        "fromSrc": source if remote else STDIN,
        "repo": target,
        "message": message,
        "changes": changes,
        "platform": platform,
    }
    opened = nullcontext(None) if remote else _archive(source)
    with opened as archive, Progress(sys.stdout) as progress:
        for line in connect().lines("POST", "/images/create", body=archive, **query):
            progress.show(line)


def _archive(path: str) -> BinaryIO:
    if path == STDIN:
        if sys.stdin.isatty():
            raise InvalidRequest(
                "import reads an archive from standard input", hint="linwin import FILE, or - < FILE"
            )
        return sys.stdin.buffer
    try:
        return open(path, "rb")
    except OSError as error:
        raise InvalidRequest(f"cannot open {path}: {error.strerror}") from error
