"""Unix sockets whose path may be longer than the kernel lets one name."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from linwin.paths import socket_address


def listen(path: Path, *, mode: int = 0o600) -> socket.socket:
    """Return a listening socket at ``path``, in place of what a dead owner left there.

    Clients can connect from now on, whoever accepts them later: the socket can
    be handed to a program that is yet to start. Raises OSError.
    """
    path.unlink(missing_ok=True)
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # bind() gives the file the mode of the socket, so there is no moment with a wider one.
        os.fchmod(server.fileno(), mode)
        with socket_address(path) as address:
            server.bind(address)
        server.listen()
    except BaseException:
        server.close()
        raise
    return server


def connect(path: Path) -> socket.socket:
    """Return a non-blocking socket connected to the listener at ``path``.

    Never waits: raises BlockingIOError when the listener's queue is full, and
    OSError when nobody listens.
    """
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        client.setblocking(False)
        with socket_address(path) as address:
            client.connect(address)
    except BaseException:
        client.close()
        raise
    return client
