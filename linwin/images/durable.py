"""What the file system refuses, in words for people."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

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
