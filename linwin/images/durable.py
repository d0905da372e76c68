"""Files that are whole or absent, whatever happens while they are written."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from linwin.errors import Internal, Unavailable

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


@contextmanager
def storing(what: str) -> Iterator[None]:
    """Translate what the file system refuses while ``what`` is stored.

    Raises Unavailable for a full disk, Internal for anything else.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise Unavailable(
                f"no space left on device while storing {what}",
                hint="Free some space, or remove images with: linwin rmi IMAGE",
            ) from error
        raise Internal(f"cannot store {what}: {error.strerror or error}") from error


def write_file(path: Path, data: bytes) -> None:
    """Put ``data`` at ``path`` by rename after fsync; the rename is on disk when this returns."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(name)
        raise
    sync_folder(path.parent)


def make_folders(*folders: Path) -> None:
    """Create folders, and see to it that they and the way to them outlast a loss of power."""
    way = {parent for folder in folders for parent in (folder, *folder.parents)}
    created = [folder for folder in way if not folder.exists()]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    for parent in {folder.parent for folder in created}:
        sync_folder(parent)


def sync_folder(folder: Path) -> None:
    """Make the renames and deletions in ``folder`` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
