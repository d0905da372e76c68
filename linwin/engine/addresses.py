"""What a container is given in a network: addresses, a MAC, names, a way out. Pure."""

from __future__ import annotations

import ipaddress
import itertools
import re
from collections.abc import Collection, Iterable, Iterator, Sequence

from linwin.engine import names, subnets
from linwin.errors import Forbidden, InvalidRequest, Unavailable
from linwin.model.container import Container
from linwin.model.ip import Address, address_of
from linwin.model.network import USER_RESOLVER, Attachment, EndpointSpec, Interface, Network, Subnet

MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


def check(wanted: EndpointSpec, network: Network | None) -> None:
    """Raise InvalidRequest, in docker's words, for an endpoint that cannot be.

    A network that is not there yet is not compared with.
    """
    errors = [
        f"invalid IPv{version} address: {text}"
        for version, text in ((4, wanted.ipv4), (6, wanted.ipv6))
        if text and not _is_address(text, version)
    ]
    if network is not None and network.subnets and not errors:
        errors += [
            f"no configured subnet or ip-range contain the IP address {text}"
            for text in (wanted.ipv4, wanted.ipv6)
            if text and not any(address_of(text) in subnets.range_of(one) for one in network.subnets)
        ]
    if errors:
        raise InvalidRequest(f"invalid endpoint settings:\n{subnets.joined(errors)}")
    if wanted.mac and not (MAC.fullmatch(wanted.mac) and not int(wanted.mac[:2], 16) & 1):
        raise InvalidRequest(
            f"invalid MAC address: {wanted.mac}", hint="Use six bytes, the first even, as 02:42:ac:11:00:02."
        )


def check_user(wanted: EndpointSpec) -> None:
    """Raise InvalidRequest for what the network user has nobody to do."""
    if wanted.ipv4 or wanted.ipv6 or wanted.aliases:
        raise InvalidRequest(
            "the network user has no addresses and names to choose",
            hint="Leave out --ip and --network-alias.",
        )


def allot(
    container: Container,
    wanted: EndpointSpec,
    network: Network,
    *,
    taken: Collection[str],
    reserved: Collection[str],
) -> Attachment:
    """Addresses for a container that are neither ``taken`` nor ``reserved`` for others in the network.

    One that its user chose may only not be taken. Raises Forbidden in docker's words when it is,
    Unavailable when there is none left.
    """
    ipv4 = _address(4, wanted.ipv4, network, taken, reserved)
    return Attachment(
        id=names.new_id(),
        network_id=network.id,
        container_id=container.id,
        mac=wanted.mac or _mac(ipv4),
        ipv4=ipv4,
        ipv6=_address(6, wanted.ipv6, network, taken, reserved) if network.ipv6 else "",
        names=dns_names(container, wanted),
        uid=container.uid,
    )


def chosen(wanted: EndpointSpec) -> Iterator[str]:
    """The addresses that a user chose, as they are compared; they were checked."""
    yield from (str(address_of(text)) for text in (wanted.ipv4, wanted.ipv6) if text)


def dns_names(container: Container, wanted: EndpointSpec) -> tuple[str, ...]:
    """What a container is called in a network: its name, aliases, short id and host name."""
    all_names = (container.name, *wanted.aliases, container.short_id, container.spec.hostname)
    return tuple(dict.fromkeys(name for name in all_names if name))


def way_out(attachments: Iterable[Attachment], networks: Sequence[Network]) -> Attachment | None:
    """The attachment by which a container reaches the world, and is reached; None where there is none."""
    internal = {network.id for network in networks if network.internal}
    return next((one for one in attachments if one.network_id not in internal), None)


def interface(
    attachment: Attachment, network: Network, container: Container, *, leads_out: bool
) -> Interface:
    """The NIC of an attachment as the guest configures it."""
    spec = container.spec
    ranges: dict[int, Subnet] = {subnets.range_of(one).version: one for one in network.subnets}
    gateways = {version: one.gateway for version, one in ranges.items()}
    addresses = [
        f"{address}/{subnets.range_of(ranges[version]).prefixlen}"
        for version, address in ((4, attachment.ipv4), (6, attachment.ipv6))
        if address
    ]
    return Interface(
        mac=attachment.mac,
        addresses=tuple(addresses),
        gateway4=gateways.get(4, "") if leads_out else "",
        gateway6=gateways.get(6, "") if leads_out and attachment.ipv6 else "",
        dns=spec.dns or _resolvers(network, gateways[4]),
        search=spec.dns_search,
        mtu=network.mtu,
    )


def _resolvers(network: Network, gateway: str) -> tuple[str, ...]:
    """Who knows names in a network: its dnsmasq at its gateway, where it has one."""
    if network.isolated:
        return ()
    return (USER_RESOLVER,) if network.emulated else (gateway,)


def _address(
    version: int, chosen: str, network: Network, taken: Collection[str], reserved: Collection[str]
) -> str:
    if chosen:
        address = str(address_of(chosen))
        if address in taken or address in _own(network):
            raise Forbidden("Address already in use")
        return address
    for subnet in network.subnets:
        fits = subnets.range_of(subnet).version == version
        if fits and (free := _free(subnet, {*taken, *reserved, *_own(network)})):
            return free
    raise Unavailable(
        f"no available IPv{version} addresses on this network's address pools: {network.name} ({network.id})",
        hint="Stop or disconnect containers, or use a network with a larger subnet.",
    )


def _own(network: Network) -> set[str]:
    """Addresses of the network's that are no container's."""
    unusable = (str(address) for subnet in network.subnets for address in _unusable(subnet))
    reserved = (address for subnet in network.subnets for address in subnet.reserved.values())
    return {
        *unusable,
        *(subnet.gateway for subnet in network.subnets),
        *(str(address_of(text)) for text in reserved),
    }


def _unusable(subnet: Subnet) -> set[Address]:
    """That of the network itself, and IPv4's of everybody in it."""
    whole = subnets.range_of(subnet)
    return {whole.network_address} | ({whole.broadcast_address} if whole.version == 4 else set())


def _free(subnet: Subnet, taken: Collection[str]) -> str:
    """The lowest free address, as docker's; empty where there is none."""
    # No more than these can be in the way, however large the range.
    candidates = map(str, itertools.islice(subnets.pool_of(subnet), len(taken) + 1))
    return next((one for one in candidates if one not in taken), "")


def _mac(ipv4: str) -> str:
    """docker's: no two containers of a network have the same, and a neighbour's cache stays right."""
    return "02:42:" + ipaddress.IPv4Address(ipv4).packed.hex(":")


def _is_address(text: str, version: int) -> bool:
    try:
        return address_of(text).version == version
    except ValueError:
        return False
