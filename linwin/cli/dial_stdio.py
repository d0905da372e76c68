"""``linwin system dial-stdio``: what ``ssh://`` runs on the daemon's host."""

from __future__ import annotations

import os
import socket
import sys
import threading

import click

from linwin.cli.connect import connect as starting_client
from linwin.cli.options import arguments
from linwin.client.http import PIECE, connect, default_host


@click.command("dial-stdio")
@arguments(0, 0, "")
def dial_stdio(names: tuple[str, ...]) -> None:
    """Carry stdin and stdout to and from the daemon, as ssh:// hosts need it."""
    starting_client().ping()
    with connect(default_host()) as daemon:
        threading.Thread(target=_send, args=(daemon,), name="stdin", daemon=True).start()
        while data := daemon.recv(PIECE):
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()


def _send(daemon: socket.socket) -> None:
    """Carry stdin; its end ends our half of the connection only."""
    try:
        while data := os.read(sys.stdin.fileno(), PIECE):
            daemon.sendall(data)
        daemon.shutdown(socket.SHUT_WR)
    except OSError:  # the daemon hung up, which the other direction sees too
        return
