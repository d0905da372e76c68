"""What inspect and ps show of a container's networks and ports."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import ip_network
from typing import Any

from linwin.engine import attach, network_names
from linwin.engine.addresses import dns_names
from linwin.model.container import Container
from linwin.model.network import NO_NETWORK, Attachment, EndpointSpec, Network, PortBinding

ANYWHERE = "0.0.0.0"


def mode(container: Container) -> str:
    """``NetworkMode``; ``nat`` is what docker on Windows calls the default."""
    return network_names.plain(str(container.spec.host_config.get("NetworkMode") or ""))


def settings(container: Container, known: Sequence[Network]) -> dict[str, Any]:
    """``NetworkSettings``. ``known`` are all networks that exist."""
    return {
        "Bridge": "",
        "SandboxID": "",
        "SandboxKey": "",
        "Ports": ports(container),
        "Networks": networks(container, known),
    }


def networks(container: Container, known: Sequence[Network]) -> dict[str, Any]:
    """The networks that a container is in, by name, with what it was allotted there while it runs."""
    by_name = {network.name: network for network in known}
    attached = {one.network_id: one for one in container.attachments}
    shown: dict[str, Any] = {}
    for endpoint in attach.endpoints(container.spec) or (EndpointSpec(NO_NETWORK),):
        network = by_name.get(endpoint.network)
        attachment = attached.get(network.id) if network else None
        shown[endpoint.network] = {
            "IPAMConfig": _ipam_config(endpoint),
            "Links": None,
            "Aliases": list(endpoint.aliases) or None,
            "MacAddress": attachment.mac if attachment else "",
            "DriverOpts": None,
            "GwPriority": endpoint.gateway_priority,
            "NetworkID": network.id if network else "",
            "EndpointID": attachment.id if attachment else "",
            **_addresses(network, attachment),
            "DNSNames": list(dns_names(container, endpoint)) if attachment else None,
        }
    return shown


def _ipam_config(endpoint: EndpointSpec) -> dict[str, str] | None:
    chosen = {"IPv4Address": endpoint.ipv4, "IPv6Address": endpoint.ipv6}
    return {name: address for name, address in chosen.items() if address} or None


def _addresses(network: Network | None, attachment: Attachment | None) -> dict[str, Any]:
    gateways, prefixes = {4: "", 6: ""}, {4: 0, 6: 0}
    if network is not None and attachment is not None:
        for subnet in network.subnets:
            whole = ip_network(subnet.subnet)
            gateways[whole.version], prefixes[whole.version] = subnet.gateway, whole.prefixlen
    return {
        "Gateway": gateways[4],
        "IPAddress": attachment.ipv4 if attachment else "",
        "IPPrefixLen": prefixes[4],
        "IPv6Gateway": gateways[6],
        "GlobalIPv6Address": attachment.ipv6 if attachment else "",
        "GlobalIPv6PrefixLen": prefixes[6],
    }


# Ports


def ports(container: Container) -> dict[str, list[dict[str, str]] | None]:
    """``NetworkSettings.Ports`` of a container that runs: null for what is exposed and not published."""
    if not container.attachments:
        return {}
    shown: dict[str, list[dict[str, str]] | None] = dict.fromkeys(container.exposed_ports)
    for binding in _published(container):
        key = f"{binding.container_port}/{binding.protocol}"
        pair = {"HostIp": binding.host_ip or ANYWHERE, "HostPort": str(binding.host_port)}
        shown[key] = [*(shown.get(key) or ()), pair]
    return shown


def port_list(container: Container) -> list[dict[str, Any]]:
    """The same as ``/containers/json`` lists it."""
    shown: list[dict[str, Any]] = []
    for key, bindings in ports(container).items():
        number, _, protocol = key.partition("/")
        port = {"PrivatePort": int(number), "Type": protocol}
        shown += [
            {"IP": binding["HostIp"], **port, "PublicPort": int(binding["HostPort"])}
            for binding in bindings or ()
        ] or [port]
    return shown


def requested(container: Container) -> dict[str, list[dict[str, str]]]:
    """``HostConfig.PortBindings``: what was asked for."""
    shown: dict[str, list[dict[str, str]]] = {}
    for one in container.spec.ports:
        number = (
            "" if not one.first else str(one.first) if one.first == one.last else f"{one.first}-{one.last}"
        )
        pair = {"HostIp": one.host_ip, "HostPort": number}
        shown.setdefault(f"{one.container_port}/{one.protocol}", []).append(pair)
    return shown


def _published(container: Container) -> Iterator[PortBinding]:
    for attachment in container.attachments:
        yield from attachment.ports
