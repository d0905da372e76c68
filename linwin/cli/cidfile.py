"""``--cidfile``: a file that tells a script which container it has made."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from linwin.errors import Conflict, InvalidRequest


@contextmanager
def id_file(path: str | None) -> Iterator[Callable[[str], None]]:
    """A function that writes the id. The file is new, and is gone again when no id was written.

    Raises Conflict, in docker's words, when it is there already.
    """
    if path is None:
        yield lambda identity: None
        return
    try:
        file = open(path, "x", encoding="ascii")  # noqa: SIM115 closed below, before it may be removed
    except FileExistsError as error:
        raise Conflict(
            f"container ID file found, make sure the other container isn't running or delete {path}"
        ) from error
    except OSError as error:
        raise InvalidRequest(f"cannot create the container ID file {path}: {error.strerror}") from error
    written = False

    def write(identity: str) -> None:
        nonlocal written
        file.write(identity)
        written = True

    try:
        with file:
            yield write
    finally:
        if not written:
            os.unlink(path)
