"""A tar that the daemon sends, in a file or on standard output: what ``save`` and ``export`` end in."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from linwin.cli.connect import connect
from linwin.cli.streams import write_all
from linwin.cli.whole_file import whole_file
from linwin.errors import InvalidRequest

STDOUT = 1


def write_tar(output: str | None, path: str, query: Mapping[str, Any] | None = None) -> None:
    """Ask for ``path`` and write the answer to the file ``output``, which is whole or absent, or to stdout.

    A terminal is refused in docker's words.
    """
    if output is None:
        if sys.stdout.isatty():
            raise InvalidRequest("cowardly refusing to save to a terminal. Use the -o flag or redirect")
        with connect().request("GET", path, query) as response:
            for piece in iter(response.read1, b""):
                write_all(STDOUT, piece)
        return
    with (
        whole_file(output) as target,
        connect().request("GET", path, query) as response,
        target.open("wb") as file,
    ):
        for piece in iter(response.read1, b""):
            file.write(piece)
