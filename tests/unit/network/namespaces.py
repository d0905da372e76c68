"""Network namespaces without names: a host of our own, other hosts, and guests behind taps.

A namespace lives as long as a file of it is open, so nothing can be left behind. Threads enter
one; sockets and programs that they make there stay there, whoever uses them afterwards.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from linwin.model.network import Attachment
from linwin.network import taps

T = TypeVar("T")

CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)
_FRAME = 1 << 17


class Namespace:
    """A new, empty network namespace, with its loopback up."""

    def __init__(self) -> None:
        self.fd = -1
        _in_own_thread(self._create)
        self.run("ip link set lo up")

    def do(self, work: Callable[[], T]) -> T:
        """Run ``work`` in the namespace, to its end."""

        def inside() -> T:
            enter(self.fd)
            return work()

        return _in_own_thread(inside)

    def run(self, command: str, text: str = "") -> str:
        """Run a program there, which reads ``text``; its words are separated by spaces."""
        words = command.split()
        found = self.do(
            lambda: subprocess.run(words, input=text, check=False, capture_output=True, text=True)
        )
        assert found.returncode == 0, f"{command}: {found.stderr}"
        return found.stdout

    def socket(self, family: int, kind: int) -> socket.socket:
        return self.do(lambda: socket.socket(family, kind | socket.SOCK_NONBLOCK))

    def close(self) -> None:
        os.close(self.fd)

    def _create(self) -> None:
        if _LIBC.unshare(CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "unshare")
        self.fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def enter(namespace: int) -> None:
    """Move this thread into a network namespace."""
    if _LIBC.setns(namespace, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


@contextmanager
def own_host() -> Iterator[Namespace]:
    """Live in a network namespace of our own: all that the room does, it does there."""
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    host = Namespace()
    enter(host.fd)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("0")  # a namespace begins as the machine is
    try:
        yield host
    finally:
        enter(before)
        os.close(before)
        host.close()


class Guest(Namespace):
    """What is behind a tap: ``eth0`` in a namespace, as a machine's NIC would be.

    A pump carries frames, with their virtio-net headers, between the tap and ``eth0``, which is a
    tap too.
    """

    def __init__(self, tap: int, attachment: Attachment) -> None:
        super().__init__()
        self._tap = tap
        self.do(lambda: taps.create("eth0", 0))
        self._nic = self.do(lambda: taps.open_tap("eth0"))
        self.run(f"ip link set eth0 address {attachment.mac} up")
        loop = asyncio.get_running_loop()
        self._loop = loop
        loop.add_reader(self._tap, _pump, self._tap, self._nic)
        loop.add_reader(self._nic, _pump, self._nic, self._tap)

    def configure(self, address: str, gateway: str = "") -> None:
        nodad = " nodad" if ":" in address else ""
        self.run(f"ip addr add {address} dev eth0{nodad}")
        if gateway:
            self.run(f"ip {'-6 ' if ':' in gateway else ''}route add default via {gateway}")

    def close(self) -> None:
        for fd in (self._tap, self._nic):
            self._loop.remove_reader(fd)
            os.close(fd)
        super().close()


def wire(one: Namespace, name: str, other: Namespace, other_name: str) -> None:
    """Lay a cable between two namespaces."""
    path = f"/proc/{os.getpid()}/fd/{other.fd}"
    one.run(f"ip link add {name} type veth peer name {other_name} netns {path}")
    one.run(f"ip link set {name} up")
    other.run(f"ip link set {other_name} up")


def setting(path: str) -> str:
    return Path("/proc/sys", path).read_text().strip()


def _pump(source: int, sink: int) -> None:
    """Carry one frame; one that the other end cannot take is lost, as on any wire."""
    try:
        frame = os.read(source, _FRAME)
        os.write(sink, frame)
    except OSError:
        return


def _in_own_thread(work: Callable[[], T]) -> T:
    """A thread that changed its namespace is of no use for anything else."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(work).result()
