"""Ranges that a daemon has chosen and that no bridge has yet: other daemons of the host choose others."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable

from linwin.model.network import Subnet


class ReservedRanges:
    """Holds each range by an abstract Unix socket's name.

    Such a name belongs to the network namespace, as a bridge and its addresses do, and goes with
    the process that has it. So nothing is left of a daemon that was killed.
    """

    def __init__(self) -> None:
        self._sockets: dict[str, socket.socket] = {}

    def take(self, subnet: Subnet) -> bool:
        """Reserve a range, unless another daemon has; what is ours already stays so. Raises OSError."""
        if subnet.subnet in self._sockets:
            return True
        held = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            held.bind(f"\0linwin subnet {subnet.subnet}")
        except OSError as error:
            held.close()
            if error.errno != errno.EADDRINUSE:
                raise
            return False
        self._sockets[subnet.subnet] = held
        return True

    def release(self, subnets: Iterable[Subnet]) -> None:
        """For ranges that the host shows to be in use, or that are needed no more."""
        for subnet in subnets:
            if held := self._sockets.pop(subnet.subnet, None):
                held.close()

    def close(self) -> None:
        """Release all. Idempotent."""
        while self._sockets:
            self._sockets.popitem()[1].close()
