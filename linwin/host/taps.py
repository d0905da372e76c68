"""Open taps as any room may meet them (linux/if_tun.h); the network room makes them."""

from __future__ import annotations

import fcntl
import os
import struct

_TUNGETIFF = 0x800454D2


def name_of(fd: int) -> str:
    """What an open tap is called now. Raises OSError."""
    name: bytes = struct.unpack("16s24x", fcntl.ioctl(fd, _TUNGETIFF, bytes(40)))[0]
    return name.rstrip(b"\0").decode()


def let_go(fd: int) -> None:
    """Free the one queue of an open tap, for another program to open it by its name.

    The number stays open, on nothing, and its owner's to close. Raises OSError.
    """
    nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.dup2(nothing, fd, inheritable=False)
    finally:
        os.close(nothing)
