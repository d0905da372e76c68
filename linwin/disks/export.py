"""Exports a disk as NBD, for this process alone.

qemu-storage-daemon reads through the backing chain and keeps the qcow2 format's
books; nothing is mounted and no root is needed.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from linwin.disks._ntfs import lib
from linwin.errors import LinwinError, Unavailable
from linwin.host.programs import find_program, last_words

SOCKET = "nbd.sock"
NODE = "disk"
STOP_TIMEOUT = 60


def writable_devices(overlay: Path, backing: Path) -> list[str]:
    """The ``--blockdev`` values for an unfinished ``overlay`` on ``backing``.

    The backing file is named here and not read from the overlay's header: the
    header's name holds only where the overlay will end up. The host's cache is
    not flushed on the way, since an unfinished overlay is thrown away.
    """
    file = {"driver": "file", "cache": {"no-flush": True}}
    nodes = [
        {"node-name": "file", "filename": str(overlay), **file},
        {
            "node-name": NODE,
            "driver": "qcow2",
            "file": "file",
            "cache": {"no-flush": True},
            "backing": {
                "driver": "qcow2",
                "read-only": True,
                "file": {"driver": "file", "filename": str(backing), "read-only": True},
            },
        },
    ]
    return [json.dumps(node) for node in nodes]


def read_only_devices(disk: Path) -> list[str]:
    """The ``--blockdev`` value for a finished ``disk`` on what its header names."""
    file = {"driver": "file", "filename": str(disk), "read-only": True}
    return [json.dumps({"node-name": NODE, "driver": "qcow2", "read-only": True, "file": file})]


@contextmanager
def exported(overlay: Path, backing: Path, run_dir: Path) -> Iterator[socket.socket]:
    """Yield a socket connected to an NBD server whose only export is the overlay, to be written.

    The server ends with this process, however that ends. Leaving closes the
    qcow2 file cleanly. Raises Unavailable, in the server's own words, when it
    fails or cannot open the overlay.
    """
    with served(writable_devices(overlay, backing), run_dir, writable=True) as connection:
        yield connection


@contextmanager
def exported_read_only(disk: Path, run_dir: Path) -> Iterator[socket.socket]:
    """As :func:`exported`, for a finished disk that is only looked at."""
    with served(read_only_devices(disk), run_dir, writable=False) as connection:
        yield connection


@contextmanager
def served(devices: list[str], run_dir: Path, *, writable: bool) -> Iterator[socket.socket]:
    server, connection = start(devices, run_dir, writable=writable)
    with server, connection:
        try:
            yield connection
        except Exception as error:
            said = stop(server)
            if said and not isinstance(error, LinwinError):
                raise Unavailable(f"qemu-storage-daemon failed: {said}") from error
            raise
        if said := stop(server):
            raise Unavailable(f"qemu-storage-daemon failed: {said}")


def start(
    devices: list[str], run_dir: Path, *, writable: bool
) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """Start the server on a socket that listens already, so that there is nothing to wait for."""
    program = find_program("qemu-storage-daemon")
    parent = os.getpid()
    # Through the folder's descriptor, since a socket's path is limited to 107 bytes.
    folder = os.open(run_dir, os.O_PATH | os.O_DIRECTORY)
    address = f"/proc/self/fd/{folder}/{SOCKET}"
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(address)
            listener.listen(1)
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(address)
            server = subprocess.Popen(
                [program, *arguments(devices, listener.fileno(), writable=writable)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=(listener.fileno(),),
                preexec_fn=lambda: lib.die_with_parent(parent),
            )
    finally:
        (run_dir / SOCKET).unlink(missing_ok=True)
        os.close(folder)
    return server, connection


def arguments(devices: list[str], listener: int, *, writable: bool) -> list[str]:
    access = "on" if writable else "off"
    return [
        *(word for device in devices for word in ("--blockdev", device)),
        *("--nbd-server", f"addr.type=fd,addr.str={listener},max-connections=1"),
        *("--export", f"type=nbd,id=export,node-name={NODE},name=,writable={access}"),
    ]


def stop(server: subprocess.Popen[bytes]) -> str:
    """End the server in an orderly way; return what it complained about when it failed."""
    server.send_signal(signal.SIGTERM)
    try:
        _, complaint = server.communicate(timeout=STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        server.kill()
        return f"it did not end within {STOP_TIMEOUT} s"
    if server.returncode == 0:
        return ""
    # QEMU repeats the whole --blockdev before it says what is wrong with it.
    return last_words(complaint).rpartition("}: ")[2] or f"it ended with status {server.returncode}"
