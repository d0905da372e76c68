"""The daemon's unix socket: one of a service manager's, or one of our own."""

from __future__ import annotations

import grp
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from linwin.errors import Conflict, InvalidRequest, Unavailable
from linwin.paths import socket_address

SOCKET_GROUP = "linwin"
SOCKET_MODE = 0o660
FIRST_PASSED = 3
"""The first descriptor that a service manager passes (sd_listen_fds(3))."""


@contextmanager
def unix_socket(path: Path) -> Iterator[socket.socket]:
    """A socket to listen on, gone again when the context ends.

    One that was passed stays its service manager's. Of our own only root and, where
    it exists, the group ``linwin`` may connect; what is at the path is replaced: see
    :func:`check_unused`.
    """
    if (passed := _passed()) is not None:
        yield passed
        return
    sock = _bind(path)
    ours = path.lstat().st_ino
    try:
        yield sock
    finally:
        with suppress(FileNotFoundError):
            if path.lstat().st_ino == ours:
                path.unlink()


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


def check_unused(path: Path) -> None:
    """To be asked before anything is done that a daemon without a socket would have to undo.

    Raises Conflict where somebody listens, as the daemon of another root, and Unavailable where
    something has the name that is no socket of this kind. What a killed daemon left is neither, nor is the
    socket that a service manager passed.
    """
    if os.environ.get("LISTEN_PID") == str(os.getpid()):
        return
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise Unavailable(
                f"cannot listen on {path}: something that is no socket has this name",
                hint="Remove it, or choose another place: LINWIN_HOST, or hosts in linwin.toml.",
            )
        served = _is_served(path)
    except FileNotFoundError:
        return
    except OSError as error:  # such as EPROTOTYPE: somebody's datagram socket
        raise Unavailable(
            f"cannot listen on {path}: {error.strerror}",
            hint="Choose another place: LINWIN_HOST, or hosts in linwin.toml.",
        ) from error
    if served:
        raise Conflict(
            f"another program already listens on {path}",
            hint="The daemon of another LINWIN_ROOT needs a socket of its own: LINWIN_HOST=unix:///PATH.",
        )


def _is_served(path: Path) -> bool:
    """Whether somebody listens there; a full queue refuses too, and has somebody who should take from it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client, socket_address(path) as address:
        client.setblocking(False)
        try:
            client.connect(address)
        except BlockingIOError:
            return True
        except ConnectionRefusedError:
            return False
    return True


def _bind(path: Path) -> socket.socket:
    """A bound socket that nobody can connect to before its mode is right, since it does not listen yet."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.unlink(missing_ok=True)
        with socket_address(path) as address:
            sock.bind(address)
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
