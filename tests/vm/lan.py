"""A network in a namespace of its own: a bridge with taps for guests, names, and sockets of the host's."""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_CLONE_NEWNET = 0x40000000
_TUNSETIFF = 0x400454CA
_IFF_TAP, _IFF_NO_PI, _IFF_VNET_HDR = 0x0002, 0x1000, 0x4000
_libc = ctypes.CDLL(None, use_errno=True)


class Lan:
    """One bridge with ``addresses`` (with prefix lengths), in the network namespace ``name``.

    The addresses need no waiting for: nobody else can have them.
    """

    def __init__(self, name: str, addresses: tuple[str, ...]) -> None:
        self.name = name
        self.addresses = tuple(address.partition("/")[0] for address in addresses)
        self._taps = 0
        self.ip("link", "add", "lan", "type", "bridge")
        for address in addresses:
            self.ip("address", "add", address, "dev", "lan", *(["nodad"] if ":" in address else []))
        self.ip("link", "set", "lan", "up")
        self.ip("link", "set", "lo", "up")

    def ip(self, *words: str) -> None:
        subprocess.run(["ip", "-n", self.name, *words], check=True)

    @contextmanager
    def tap(self) -> Iterator[int]:
        """A tap on the bridge, for a machine; it goes when nobody has it open."""
        self._taps += 1
        name = f"tap{self._taps}"
        file = self.inside(lambda: _open_tap(name))
        try:
            self.ip("link", "set", name, "master", "lan", "up")
            yield file
        finally:
            os.close(file)

    def inside(self, make: Callable[[], T]) -> T:
        """What ``make`` makes of sockets and taps belongs to the namespace. A thread of its own enters it."""
        made: list[T] = []

        def enter() -> None:
            with Path("/run/netns", self.name).open("rb") as namespace:
                if _libc.setns(namespace.fileno(), _CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), "setns")
            made.append(make())

        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        return made[0]

    def socket(self, family: socket.AddressFamily) -> socket.socket:
        return self.inside(lambda: socket.socket(family, socket.SOCK_STREAM))

    @contextmanager
    def names(self, records: Mapping[str, str]) -> Iterator[None]:
        """A name server on all addresses that knows ``{name: "address[,address]"}`` and nothing else."""
        words = ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts"]
        words += ["--user=root", "--pid-file=", "--log-facility=-", "--bind-interfaces", "--interface=lan"]
        words += [f"--host-record={name},{addresses}" for name, addresses in records.items()]
        with subprocess.Popen(["ip", "netns", "exec", self.name, *words], stderr=subprocess.PIPE) as server:
            try:
                assert server.stderr is not None
                while b"started" not in (line := server.stderr.readline()):
                    assert line, "dnsmasq ended"
                yield
            finally:
                server.terminate()


@contextmanager
def lan(name: str, *addresses: str) -> Iterator[Lan]:
    """A network whose namespace, and all that is in it, is gone afterwards."""
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        yield Lan(name, addresses)
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=True)
    assert not Path("/run/netns", name).exists()


def _open_tap(name: str) -> int:
    file = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    fcntl.ioctl(file, _TUNSETIFF, struct.pack("16sH", name.encode(), _IFF_TAP | _IFF_NO_PI | _IFF_VNET_HDR))
    return file
