"""A port of this host at which the user's own VNC viewers find a guest's screen.

VNC has no protection of its own here, and every user of this host can connect to
its loopback address. So the kernel is asked whose a connection is.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

import click

from linwin.cli import failures
from linwin.client import Attachment, Client
from linwin.errors import LinwinError, Unavailable

ADDRESS = "127.0.0.1"
_PIECE = 256 * 1024
# proc(5), /proc/net/tcp: local and remote address, each as HEX:HEX, and the user, by column.
_TABLE = Path("/proc/net/tcp")
_LOCAL, _REMOTE, _USER = 1, 2, 7


def serve(client: Client, container: str, port: int) -> None:
    """Print where the screen is found, and serve viewers until the container ends.

    ``port`` 0 is for any that is free. Raises the daemon's error for a container without a screen.
    """
    client.screen(container).close()
    try:
        listener = socket.create_server((ADDRESS, port))
    except OSError as error:
        raise Unavailable(
            f"viewers cannot be let in at {ADDRESS}:{port}: {os.strerror(error.errno or 0)}",
            hint="Name another --port, or none.",
        ) from error
    with listener, client.wait(container) as waiting:
        click.echo(f"vnc://{ADDRESS}:{listener.getsockname()[1]}")
        sys.stdout.flush()
        failures.say(f"this is the screen of {container}; end it with Ctrl-C")
        threading.Thread(
            target=_accept, args=(listener, client, container), name="viewers", daemon=True
        ).start()
        waiting.result()


def _accept(listener: socket.socket, client: Client, container: str) -> None:
    while True:
        try:
            viewer, _ = listener.accept()
        except OSError:  # closed: the container has ended
            return
        threading.Thread(target=_show, args=(viewer, client, container), name="viewer", daemon=True).start()


def _show(viewer: socket.socket, client: Client, container: str) -> None:
    with viewer:
        if (user := owner(viewer)) not in (os.geteuid(), 0):
            failures.say(f"a viewer of {'another user' if user is None else f'user {user}'} was turned away")
            return
        try:
            with client.screen(container) as screen:
                threading.Thread(target=_feed, args=(viewer, screen), name="input", daemon=True).start()
                for _, data in screen:
                    viewer.sendall(data)
        except LinwinError as error:
            failures.show(error)
        except OSError:  # the viewer was closed
            return


def _feed(viewer: socket.socket, screen: Attachment) -> None:
    with ExitStack() as ending:
        ending.callback(screen.close_stdin)
        try:
            while (data := viewer.recv(_PIECE)) and screen.write(data):
                pass
        except OSError:  # the viewer was closed
            return


def owner(connection: socket.socket, table: Path = _TABLE) -> int | None:
    """The user whose program is at the other end of a connection within this host; None if unknown."""
    theirs, ours = (_entry(*address) for address in (connection.getpeername(), connection.getsockname()))
    for line in table.read_text().splitlines()[1:]:
        columns = line.split()
        if (columns[_LOCAL], columns[_REMOTE]) == (theirs, ours):
            return int(columns[_USER])
    return None


def _entry(address: str, port: int) -> str:
    """An IPv4 address as the kernel's table has it: a number of the host's byte order, and the port."""
    return f"{int.from_bytes(socket.inet_aton(address), sys.byteorder):08X}:{port:04X}"
