"""The host's links, addresses and routes, through netlink, and kernel settings under /proc/sys.

All of it blocks, for milliseconds; the room calls it in a thread. Netlink's errors leave as
OSError's do, for the room to translate.
"""

from __future__ import annotations

import errno
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from ipaddress import ip_interface
from pathlib import Path
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from linwin.model.ip import Range
from linwin.network import taps
from linwin.network.names import SPARES, HostNames
from linwin.network.plan import (
    INOTIFY_INSTANCES,
    IPV4_FORWARDING,
    IPV6_FORWARDING,
    AddAddress,
    AddBridge,
    AddTap,
    DeleteAddress,
    DeleteLink,
    Enslave,
    Link,
    SetMtu,
    SetSysctl,
    SetUp,
)

SETTINGS = Path("/proc/sys")

LinkOperation = (
    AddAddress | AddBridge | AddTap | DeleteAddress | DeleteLink | Enslave | SetMtu | SetSysctl | SetUp
)

_IFF_UP = 1
_IFF_LOWER_UP = 1 << 16
_IFA_F_NODAD = 0x02
_RTN_UNICAST = 1
_MAIN_TABLE = 254


class HostLinks:
    """An open netlink socket. Use :func:`opened`."""

    def __init__(self, route: IPRoute) -> None:
        self._route = route
        self._indexes: dict[str, int] = {}

    def links(self, names: HostNames) -> dict[str, Link]:
        """This root's links by name."""
        found = {message.get_attr("IFLA_IFNAME"): message for message in self._route.get_links()}
        called = {message["index"]: name for name, message in found.items()}
        have = self._addresses()
        return {
            name: _link(message, called, have[message["index"]])
            for name, message in found.items()
            if names.owns(name)
        }

    def ranges(self, besides: HostNames | None = None) -> list[tuple[Range, str]]:
        """What the host's own addresses and routes take up, each with the link it is on.

        Without those on the links of the root that ``besides`` names, and without default routes.
        """
        called = {m["index"]: m.get_attr("IFLA_IFNAME") for m in self._route.get_links()}
        found = [
            (ip_interface(text).network, called.get(index, "a link"))
            for index, texts in self._addresses().items()
            for text in texts
        ]
        for message in self._route.get_routes(table=_MAIN_TABLE):
            goal = message.get_attr("RTA_DST")
            if goal and message["type"] == _RTN_UNICAST:
                link = called.get(message.get_attr("RTA_OIF"), "a route")
                found.append((ip_interface(f"{goal}/{message['dst_len']}").network, link))
        return [(range_, link) for range_, link in found if besides is None or not besides.owns(link)]

    def carry_out(self, operation: LinkOperation) -> None:
        """Do one operation of a plan. What is so already stays so."""
        match operation:
            case AddBridge(name, mac):
                # No spanning tree, so a port forwards at once; no snooping, so neighbours are found
                # although nobody here asks who listens.
                self._route.link(
                    "add",
                    ifname=name,
                    kind="bridge",
                    address=mac,
                    br_stp_state=0,
                    br_forward_delay=0,
                    br_mcast_snooping=0,
                )
            case AddTap(name, uid):
                taps.create(name, uid)
            case AddAddress(link, address):
                self._change_address("replace", link, address)
            case DeleteAddress(link, address):
                self._change_address("del", link, address)
            case Enslave(tap, bridge):
                self._route.link("set", index=self._index(tap), master=self._index(bridge))
            case SetMtu(link, mtu):
                self._route.link("set", index=self._index(link), mtu=mtu)
            case SetUp(link):
                self._route.link("set", index=self._index(link), state="up")
            case DeleteLink(name):
                self._delete(name)
            case SetSysctl(path, value):
                self._set(path, value)

    def rename(self, name: str, new: str) -> None:
        """Call a link something else, and take it down for that; there may be one that is called so."""
        self._delete(new)
        self._route.link("set", index=self._index(name), state="down")
        self._route.link("set", index=self._index(name), ifname=new)
        self._indexes.pop(name)

    def _delete(self, name: str) -> None:
        """Delete a link, unless somebody else has done it since it was seen."""
        for index in self._route.link_lookup(ifname=name):
            try:
                self._route.link("del", index=index)
            except NetlinkError as error:
                if error.code != errno.ENODEV:
                    raise
        self._indexes.pop(name, None)

    def _set(self, path: str, value: str) -> None:
        if path.endswith("/disable_ipv6") and value == "1" and not (SETTINGS / "net/ipv6").is_dir():
            return  # a kernel without IPv6 has nothing to turn off
        (SETTINGS / path).write_text(value)

    def _index(self, name: str) -> int:
        if name not in self._indexes:
            found = self._route.link_lookup(ifname=name)
            if not found:
                raise FileNotFoundError(f"the link {name} is gone")
            self._indexes[name] = found[0]
        return self._indexes[name]

    def _change_address(self, command: str, link: str, text: str) -> None:
        interface = ip_interface(text)
        flags = {"flags": _IFA_F_NODAD} if interface.version == 6 and command != "del" else {}
        self._route.addr(
            command,
            index=self._index(link),
            address=str(interface.ip),
            prefixlen=interface.network.prefixlen,
            **flags,
        )

    def _addresses(self) -> defaultdict[int, set[str]]:
        """Every address with its prefix length, by the index of its link; none of IPv6's link-local ones."""
        found: defaultdict[int, set[str]] = defaultdict(set)
        for message in self._route.get_addr():
            text = message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")
            interface = ip_interface(f"{text}/{message['prefixlen']}")
            if not (interface.version == 6 and interface.is_link_local):
                found[message["index"]].add(str(interface))
        return found


@contextmanager
def opened() -> Iterator[HostLinks]:
    """Netlink for the time of one apply: opening it takes a millisecond, and nothing is left open."""
    with IPRoute() as route:
        yield HostLinks(route)


def settings(names: HostNames, links: Mapping[str, Link]) -> dict[str, str]:
    """The kernel settings that plans look at; those that this kernel lacks are left out."""
    paths = [IPV4_FORWARDING, IPV6_FORWARDING, INOTIFY_INSTANCES]
    for name, link in links.items():
        paths.append(f"net/ipv6/conf/{name}/disable_ipv6")
        if link.kind == "bridge":
            paths += [f"net/ipv6/conf/{name}/{setting}" for setting in ("accept_ra", "accept_dad")]
            paths.append(f"net/ipv4/conf/{name}/route_localnet")
    others = SETTINGS / "net/ipv6/conf"
    if others.is_dir():
        paths += [
            f"net/ipv6/conf/{entry.name}/accept_ra"
            for entry in others.iterdir()
            if entry.name not in ("all", "default", "lo")
            and not names.owns(entry.name)
            and not entry.name.startswith(SPARES)  # which come and go, and hear no router
        ]
    read = {path: _read(SETTINGS / path) for path in paths}
    return {path: value for path, value in read.items() if value is not None}


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        return None


def _link(message: Any, called: dict[int, str], have: set[str]) -> Link:
    information = message.get_attr("IFLA_LINKINFO")
    data = information.get_attr("IFLA_INFO_DATA") if information else None
    kind = information.get_attr("IFLA_INFO_KIND") if information else ""
    return Link(
        kind=kind or "",
        mac=message.get_attr("IFLA_ADDRESS") or "",
        up=bool(message["flags"] & _IFF_UP),
        owner=(data.get_attr("IFLA_TUN_OWNER") or 0) if data and kind == "tun" else 0,
        mtu=message.get_attr("IFLA_MTU") or 0,
        bridge=called.get(message.get_attr("IFLA_MASTER"), ""),
        addresses=frozenset(have),
        carrier=bool(message["flags"] & _IFF_LOWER_UP),
    )
