"""The daemon's unix socket: one of a service manager's, or one of our own."""

from __future__ import annotations

import grp
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from linwin.errors import InvalidRequest

SOCKET_GROUP = "linwin"
SOCKET_MODE = 0o660
MAX_SOCKET_PATH: Final = 107  # sun_path holds 108 bytes with its terminating zero (unix(7))
FIRST_PASSED = 3
"""The first descriptor that a service manager passes (sd_listen_fds(3))."""


@contextmanager
def unix_socket(path: Path) -> Iterator[socket.socket]:
    """A socket to listen on, gone again when the context ends.

    One that was passed stays its service manager's. Of our own only root and, where
    it exists, the group ``linwin`` may connect; a stale one is replaced: the caller
    holds the root's lock, so a socket that exists has no owner.
    """
    if (passed := _passed()) is not None:
        yield passed
        return
    sock = _bind(path)
    try:
        yield sock
    finally:
        _unbind(path)


def _passed() -> socket.socket | None:
    """The listening socket that came with the process (sd_listen_fds(3)), taken once."""
    pid, count = os.environ.pop("LISTEN_PID", ""), os.environ.pop("LISTEN_FDS", "")
    os.environ.pop("LISTEN_FDNAMES", None)
    if pid != str(os.getpid()):
        return None  # meant for a process that ran us
    if count != "1":
        raise InvalidRequest(
            f"the service manager passed {count or 'no'} sockets",
            hint="Give the unit linwin.socket one ListenStream, a unix socket.",
        )
    os.set_inheritable(FIRST_PASSED, False)
    sock = socket.socket(fileno=FIRST_PASSED)
    if sock.family != socket.AF_UNIX or sock.type != socket.SOCK_STREAM:
        raise InvalidRequest(
            "the service manager passed a socket that is no unix stream socket",
            hint="TCP is served with --tlsverify and -H tcp://HOST:PORT.",
        )
    return sock


def _unbind(path: Path) -> None:
    path.unlink(missing_ok=True)


def _bind(path: Path) -> socket.socket:
    """A bound socket that nobody can connect to before its mode is right, since it does not listen yet."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _unbind(path)
        if len(os.fsencode(path)) <= MAX_SOCKET_PATH:
            sock.bind(os.fspath(path))
        else:  # reach a path that does not fit into an address through its folder
            folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                sock.bind(f"/proc/self/fd/{folder}/{path.name}")
            finally:
                os.close(folder)
        if (group := _socket_group()) is not None:
            os.chown(path, -1, group)
        path.chmod(SOCKET_MODE)
    except BaseException:
        sock.close()
        raise
    return sock


def _socket_group() -> int | None:
    try:
        return grp.getgrnam(SOCKET_GROUP).gr_gid if os.geteuid() == 0 else None
    except KeyError:
        return None
