"""Disks that appear under their name whole, or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from linwin.host.files import sync_folder


def publish(unfinished: Path, path: Path) -> None:
    """Give a finished file its name: its content is on disk before, the name itself after.

    Raises OSError.
    """
    sync(unfinished)
    unfinished.rename(path)
    sync_folder(path.parent)


def sync(path: Path) -> None:
    """Bring a file's content to disk, whoever wrote it. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
