"""What one network's dnsmasq is told: its configuration, the names and the leases.

One dnsmasq a network, so that no network learns another's names. It answers on the bridge alone,
gives each container the address that linwin chose for it, and no name that a guest asks for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

from linwin.model.network import HOST_NAME, Attachment, Network
from linwin.network import addresses
from linwin.network.names import HostNames

CONFIGURATION = "dnsmasq.conf"
HOSTS = "hosts"
RESERVATIONS = "dhcp"
LEASES = "leases"
PID = "pid"

DOMAIN = HOST_NAME.partition(".")[2]

# As docker's container names, and the underscore that DNS carries although hosts may not have it.
_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_-])?")
_LONGEST_LABEL = 63


@dataclass(frozen=True, slots=True)
class Reservation:
    """An IPv4 address that is for one NIC alone."""

    mac: str
    address: str


@dataclass(frozen=True, slots=True)
class Service:
    """One dnsmasq: what it is started with, and what it reads again at a SIGHUP."""

    network_id: str
    configuration: str
    hosts: str
    reservations: str

    def reserved(self) -> list[Reservation]:
        """The reservations, as dnsmasq reads them."""
        return [Reservation(*line.split(",")[:2]) for line in self.reservations.splitlines()]


def service(names: HostNames, network: Network, attachments: Iterable[Attachment], folder: Path) -> Service:
    """What the dnsmasq of ``network`` is told, and finds in ``folder``. Raises InvalidRequest."""
    members = [one for one in attachments if one.network_id == network.id]
    return Service(
        network.id,
        _configuration(names.bridge(network.id), network, folder),
        _hosts(network, members),
        "".join(f"{addresses.mac(one.mac)},{addresses.address(one.ipv4)},infinite\n" for one in members),
    )


def _configuration(bridge: str, network: Network, folder: Path) -> str:
    ranges = [addresses.subnet_range(subnet) for subnet in network.subnets]
    lines = [
        # Bound to the bridge's addresses: other networks and the world outside find nobody listening.
        f"interface={bridge}",
        "except-interface=lo",
        "bind-dynamic",
        "user=nobody",
        f"pid-file={folder / PID}",
        "no-hosts",
        f"addn-hosts={folder / HOSTS}",
        f"domain={DOMAIN}",
        "expand-hosts",
        f"local=/{DOMAIN}/",
        "domain-needed",
        *(f"rev-server={found}" for found in ranges),
        # The host's own resolver, a stub at 127.0.0.53 too; an internal network has no way out here either.
        "no-resolv" if network.internal else "resolv-file=/etc/resolv.conf",
        "cache-size=1000",
        *(
            f"dhcp-range={found.network_address},static,{found.netmask},infinite"
            for found in ranges
            if isinstance(found, IPv4Network)
        ),
        f"dhcp-hostsfile={folder / RESERVATIONS}",
        f"dhcp-leasefile={folder / LEASES}",
        "dhcp-authoritative",
        "dhcp-ignore=tag:!known",
        # What a guest calls itself must not become a name that others trust.
        "dhcp-ignore-names",
        f"dhcp-option=option:domain-search,{DOMAIN}",
        *(["dhcp-option=option:router"] if network.internal else []),
        "no-ping",
        "quiet-dhcp",
    ]
    return "".join(f"{line}\n" for line in lines)


def _hosts(network: Network, members: Iterable[Attachment]) -> str:
    """The hosts file: each address with its names, the first of which a reverse look-up answers."""
    lines = [f"{interface.ip} {HOST_NAME}" for interface in addresses.gateways(network)]
    for one in members:
        if called := " ".join(dict.fromkeys(filter(_is_name, one.names))):
            lines += [f"{addresses.address(text)} {called}" for text in (one.ipv4, one.ipv6) if text]
    return "".join(f"{line}\n" for line in lines)


def _is_name(name: str) -> bool:
    """Can DNS carry it? What cannot is left out: it would spoil the names of others."""
    return bool(_NAME.fullmatch(name)) and all(0 < len(label) <= _LONGEST_LABEL for label in name.split("."))
