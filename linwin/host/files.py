"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write_atomically(path: Path, data: bytes, *, mode: int = 0o600, durable: bool = True) -> None:
    """Replace ``path`` by a file holding ``data``; readers see the old file or the new one.

    A ``durable`` one is on disk when this returns, and a crash of the host too
    leaves the old or the new. Others are for what a reboot makes worthless.
    Raises OSError.
    """
    fd, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(fd, mode)
            if durable:
                os.fsync(fd)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    if durable:
        sync_folder(path.parent)


def make_folders(*folders: Path, mode: int = 0o777) -> None:
    """Create folders, and see to it that they and the way to them outlast a loss of power. Raises OSError.

    ``mode`` is for the folders themselves, within the umask; what is there keeps its own.
    """
    way = {parent for folder in folders for parent in (folder, *folder.parents)}
    created = [folder for folder in way if not folder.exists()]
    for folder in folders:
        folder.mkdir(mode=mode, parents=True, exist_ok=True)
    for parent in {folder.parent for folder in created}:
        sync_folder(parent)


def sync_folder(folder: Path) -> None:
    """Bring a folder's entries to disk, as a rename in it needs to last."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def tail(path: Path, limit: int) -> bytes:
    """The last ``limit`` bytes of a file, empty when there is none."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - limit))
            return file.read(limit)
    except FileNotFoundError:
        return b""
