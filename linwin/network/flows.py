"""Flows that the kernel remembers: conntrack entries, through netlink.

A UDP client that goes on sending from one port is one flow, which keeps the goal that its first
packet got: the container that was there before, or none.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Collection
from ipaddress import ip_address

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.nfnetlink.nfctsocket import NFCTAttrTuple, NFCTSocket


def forget_udp(ports: Collection[int]) -> None:
    """Have the next packet to each of these ports of the host find its goal anew. Raises NetlinkError.

    Flows that only pass through the host, to the same port of another, are left alone.
    """
    with IPRoute() as route:
        own = {
            message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS") for message in route.get_addr()
        }
    for family in (socket.AF_INET, socket.AF_INET6):
        with NFCTSocket(nfgen_family=family) as kernel:
            udp = NFCTAttrTuple(family=family, proto=socket.IPPROTO_UDP)
            for message in list(kernel.dump(tuple_orig=udp)):
                flow = NFCTAttrTuple.from_netlink(family, message.get_attr("CTA_TUPLE_ORIG"))
                # A kernel that cannot choose (before 5.8) lists those of other protocols too.
                if flow.proto == socket.IPPROTO_UDP and flow.dport in ports and _is_own(flow.daddr, own):
                    _delete(kernel, flow)


def _is_own(address: str, own: Collection[str]) -> bool:
    return address in own or ip_address(address).is_loopback


def _delete(kernel: NFCTSocket, flow: NFCTAttrTuple) -> None:
    try:
        kernel.entry("del", tuple_orig=flow)
    except NetlinkError as error:
        if error.code != errno.ENOENT:  # it ended by itself
            raise
