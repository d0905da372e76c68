"""Taps: the host's end of a guest's NIC, made and opened through /dev/net/tun (linux/if_tun.h)."""

from __future__ import annotations

import errno
import fcntl
import os
import struct

DEVICE = "/dev/net/tun"

_TUNSETIFF = 0x400454CA
_TUNSETPERSIST = 0x400454CB
_TUNSETOWNER = 0x400454CC
_TUNGETIFF = 0x800454D2

_IFF_TAP = 0x0002
_IFF_PERSIST = 0x0800
_IFF_NO_PI = 0x1000
_IFF_VNET_HDR = 0x4000


def create(name: str, uid: int) -> None:
    """Make a tap that stays until it is deleted, for the user ``uid`` to open. Raises OSError."""
    fd = _attach(name)
    try:
        keep(fd, uid)
    finally:
        os.close(fd)


def create_open(pattern: str) -> int:
    """An open file of a new tap, which goes with its last open file, as ``open_tap``'s. Raises OSError.

    The kernel puts a number that is free in place of the ``%d`` in its name.
    """
    return _attach(pattern)


def keep(fd: int, uid: int) -> None:
    """Let an open tap stay until it is deleted, for the user ``uid`` to open. Raises OSError."""
    fcntl.ioctl(fd, _TUNSETOWNER, uid)
    fcntl.ioctl(fd, _TUNSETPERSIST, 1)


def open_tap(name: str) -> int:
    """A new file of the tap's one queue, whose frames carry a virtio-net header.

    The caller closes it. Raises OSError: ENODEV when there is no such tap, EBUSY while a machine
    has it open.
    """
    fd = _attach(name)
    flags = struct.unpack("16xH22x", fcntl.ioctl(fd, _TUNGETIFF, bytes(40)))[0]
    if not flags & _IFF_PERSIST:  # the kernel made it just now, and unmakes it with the file
        os.close(fd)
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV), name)
    return fd


def _attach(name: str) -> int:
    fd = os.open(DEVICE, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        request = struct.pack("16sH22x", name.encode(), _IFF_TAP | _IFF_NO_PI | _IFF_VNET_HDR)
        fcntl.ioctl(fd, _TUNSETIFF, request)
    except BaseException:
        os.close(fd)
        raise
    return fd
