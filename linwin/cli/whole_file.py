"""A file that appears under its name when it is complete, or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from linwin.errors import InvalidRequest, LinwinError, Unavailable


@contextmanager
def whole_file(name: str) -> Iterator[Path]:
    """An empty file beside ``name``, for its owner only, which takes that name when the block ends.

    It is synced before, and goes away when the block raises. An existing
    regular file is replaced; a link stays one. Raises InvalidRequest for a name that cannot be such a file.
    OSErrors of the block count as failures to write.
    """
    target = Path(os.path.realpath(name))
    _check(name, target)
    try:
        descriptor, unfinished = tempfile.mkstemp(prefix=f".{target.name[:64]}.", dir=target.parent)
    except OSError as error:
        raise _cannot_write(name, error) from error
    os.close(descriptor)
    try:
        yield Path(unfinished)
        _sync(unfinished)
        os.replace(unfinished, target)
    except OSError as error:
        raise _cannot_write(name, error) from error
    finally:
        with suppress(FileNotFoundError):
            os.unlink(unfinished)


def _check(name: str, target: Path) -> None:
    if not name or target.is_dir():
        raise InvalidRequest(f"cannot write to a directory: {name or '.'}")
    if not target.parent.is_dir():
        raise InvalidRequest(f"there is no directory {target.parent}", hint="create it, or name another")
    if target.exists() and not target.is_file():
        raise InvalidRequest(f"{name} is not a regular file")


def _sync(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _cannot_write(name: str, error: OSError) -> LinwinError:
    return Unavailable(f"cannot write {name}: {error.strerror}")
