"""Failures that more than one process of this room can meet."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from linwin.errors import LinwinError, Unavailable


def no_space() -> Unavailable:
    """The host's own disk is full."""
    return Unavailable(
        "no space left on device while a disk was being written",
        hint="free space below LINWIN_ROOT, for example with: linwin image prune",
    )


@contextmanager
def translated() -> Iterator[None]:
    """Turn this room's foreign exceptions into linwin's."""
    try:
        yield
    except LinwinError as error:
        if isinstance(error, Unavailable) and os.strerror(errno.ENOSPC) in error.message:
            raise no_space() from error
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise no_space() from error
        raise Unavailable(f"a disk cannot be read or written: {error}") from error
