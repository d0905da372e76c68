"""Flows that the kernel remembers: conntrack entries, through netlink.

A UDP client that goes on sending from one port is one flow, which keeps the goal that its first
packet got: the container that was there before, or none.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable

from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.nfnetlink.nfctsocket import NFCTAttrTuple, NFCTSocket


def forget_udp(ports: Iterable[int]) -> None:
    """Have the next packet to each of these ports of the host find its goal anew. Raises NetlinkError."""
    for family in (socket.AF_INET, socket.AF_INET6):
        with NFCTSocket(nfgen_family=family) as kernel:
            for port in ports:
                _forget(kernel, family, port)


def _forget(kernel: NFCTSocket, family: int, port: int) -> None:
    wanted = NFCTAttrTuple(family=family, proto=socket.IPPROTO_UDP, dport=port)
    for message in list(kernel.dump(tuple_orig=wanted)):
        found = NFCTAttrTuple.from_netlink(family, message.get_attr("CTA_TUPLE_ORIG"))
        # A kernel that cannot choose (before 5.8) lists them all.
        if (found.proto, found.dport) != (wanted.proto, wanted.dport):
            continue
        try:
            kernel.entry("del", tuple_orig=found)
        except NetlinkError as error:
            if error.code != errno.ENOENT:  # it ended by itself
                raise
