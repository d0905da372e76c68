"""What a create request says of networks and ports → values of the engine's."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv6Address

from linwin.api.fields import Fields
from linwin.engine.network_names import plain
from linwin.engine.publish import MOST_PORTS, PORT
from linwin.errors import InvalidRequest, Unsupported
from linwin.model.ip import address_of
from linwin.model.network import DEFAULT_NETWORK, HOST_GATEWAY, NO_NETWORK, EndpointSpec, PortRequest

_HOST_PORT = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?")
_DOMAIN = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?")
_NO_DOMAIN = "."
"""What docker's clients send for not to search."""
_MOST_NAMES = 32
"""Servers, and domains, that a guest's agent takes."""
_MOST_HOSTS = 256
"""Extra hosts that a guest's agent takes."""
_REFUSED = {
    "Links": "links between containers",
    "DriverOpts": "options of a network's driver for one container",
}


@dataclass(frozen=True, slots=True)
class Networking:
    """The fields of a ContainerSpec of the same names."""

    endpoints: tuple[EndpointSpec, ...] | None
    ports: tuple[PortRequest, ...]
    publish_all: bool
    dns: tuple[str, ...]
    dns_search: tuple[str, ...]
    extra_hosts: tuple[str, ...]


def parse(body: Fields) -> Networking:
    """Read what a body says. Raises InvalidRequest in docker's words, Unsupported naming the mode."""
    host = body.object("HostConfig")
    return Networking(
        _endpoints(body, host.text("NetworkMode")),
        _bindings(host.object("PortBindings")),
        host.flag("PublishAllPorts"),
        _servers(host),
        _domains(host),
        extra_hosts(host),
    )


def endpoint(network: str, fields: Fields) -> EndpointSpec:
    """Docker's EndpointSettings: what a client may ask for of a container in a network."""
    for name, what in _REFUSED.items():
        if fields.given(name):
            raise Unsupported(f"linwin does not support {what} ({name})", hint="Leave them out.")
    ipam = fields.object("IPAMConfig")
    if ipam.given("LinkLocalIPs"):
        raise Unsupported("linwin does not support link-local addresses (LinkLocalIPs)")
    return EndpointSpec(
        network,
        fields.texts("Aliases") or (),
        ipam.text("IPv4Address"),
        ipam.text("IPv6Address"),
        fields.text("MacAddress").lower().replace("-", ":"),
        fields.integer("GwPriority") or 0,
    )


def check_mode(mode: str) -> None:
    """Refuse to share the network of the host or of a container. Raises Unsupported."""
    if mode == "host" or mode.startswith("container:"):
        raise Unsupported(
            f"linwin does not support the network mode {mode}",
            hint="Every container is a VM of its own: use a network, or none.",
        )


def _endpoints(body: Fields, mode: str) -> tuple[EndpointSpec, ...] | None:
    """The networks asked for, that of the mode first; None for the default one."""
    check_mode(mode)
    settings = body.object("NetworkingConfig").object("EndpointsConfig")
    found: dict[str, EndpointSpec] = {}
    for name in settings.names():
        network = plain(name)
        found[network] = endpoint(network, settings.object(name))
    main = plain(mode)
    if main not in found and (not found or main != DEFAULT_NETWORK):
        found = {main: EndpointSpec(main), **found}
    main = main if main in found else next(iter(found))
    found = {main: _with_mac(found.pop(main), body.text("MacAddress")), **found}
    if tuple(found) == (NO_NETWORK,):
        return ()
    asked = tuple(found.values())
    return None if asked == (EndpointSpec(DEFAULT_NETWORK),) else asked


def _with_mac(main: EndpointSpec, mac: str) -> EndpointSpec:
    """The endpoint with the MAC address that older clients send for the whole container."""
    mac = mac.lower().replace("-", ":")
    if not mac:
        return main
    if main.mac not in ("", mac):
        raise InvalidRequest(
            "the container-wide MAC address must match the endpoint-specific MAC address for the main "
            "network, or should be left empty"
        )
    return EndpointSpec(main.network, main.aliases, main.ipv4, main.ipv6, mac, main.gateway_priority)


def _servers(host: Fields) -> tuple[str, ...]:
    servers = _few(host, "Dns")
    for server in servers:
        try:
            found = address_of(server)
        except ValueError as error:
            raise InvalidRequest(
                f"invalid IP address: {server}", hint="Name DNS servers by address."
            ) from error
        local = found.is_loopback or found.is_unspecified or found.is_multicast
        if local or (isinstance(found, IPv6Address) and found.ipv4_mapped):
            raise InvalidRequest(
                f"a container cannot ask a DNS server at {server}",
                hint="Name one by an address that is the same for every container.",
            )
    return servers


def _domains(host: Fields) -> tuple[str, ...]:
    domains = tuple(name for name in _few(host, "DnsSearch") if name != _NO_DOMAIN)
    for name in domains:
        if not _DOMAIN.fullmatch(name):
            raise InvalidRequest(f"{name} is not a valid domain")
    return domains


def extra_hosts(host: Fields) -> tuple[str, ...]:
    """``NAME:ADDRESS`` as the engine has it: without the brackets that an IPv6 address may be in."""
    texts = host.texts("ExtraHosts") or ()
    if len(texts) > _MOST_HOSTS:
        raise InvalidRequest(f"ExtraHosts has {len(texts)} entries", hint=f"Leave it at {_MOST_HOSTS}.")
    return tuple(map(_extra_host, texts))


def _extra_host(text: str) -> str:
    name, _, address = text.partition(":")
    if not _DOMAIN.fullmatch(name):
        raise InvalidRequest(f'bad format for add-host: "{text}"', hint="Write it as NAME:ADDRESS.")
    if address.startswith("[") and address.endswith("]"):
        address = address[1:-1]
    if address == HOST_GATEWAY:
        return f"{name}:{address}"
    try:
        return f"{name}:{address_of(address)}"
    except ValueError as error:
        raise InvalidRequest(
            f'invalid IP address in add-host: "{address}"',
            hint=f"Give an IPv4 or IPv6 address, or {HOST_GATEWAY}.",
        ) from error


def _few(host: Fields, name: str) -> tuple[str, ...]:
    texts = host.texts(name) or ()
    if len(texts) > _MOST_NAMES:
        raise InvalidRequest(f"{name} has {len(texts)} entries", hint=f"Leave it at {_MOST_NAMES}.")
    return texts


# Ports


def exposed(body: Fields) -> tuple[str, ...]:
    """``ExposedPorts``, each as NUMBER/PROTOCOL."""
    return tuple(_exposed(text) for text in body.keys("ExposedPorts"))


def _exposed(text: str) -> str:
    numbers, protocol = port_range(text, "ExposedPorts")
    first, last = numbers
    return f"{first}/{protocol}" if first == last else f"{first}-{last}/{protocol}"


def port_range(text: str, where: str) -> tuple[tuple[int, int], str]:
    """``80``, ``80/udp`` or ``80-90``: first and last number, and the protocol. Raises InvalidRequest."""
    match = PORT.fullmatch(text)
    if not match or not all(0 < int(number) < 2**16 for number in match.group(1, 2) if number):
        raise InvalidRequest(f"invalid port {text!r} in {where}", hint="Use NUMBER/tcp or NUMBER/udp.")
    first, last = int(match[1]), int(match[2] or match[1])
    if last < first:
        raise InvalidRequest(f"invalid port {text!r} in {where}", hint="Begin with the lower number.")
    return (first, last), (match[3] or "tcp").lower()


def _bindings(bindings: Fields) -> tuple[PortRequest, ...]:
    """``PortBindings``: container port → addresses and ports of the host."""
    found = [_binding(bindings, text) for text in bindings.names()]
    count = sum(len(numbers) * len(wanted) for numbers, _, wanted in found)
    if count > MOST_PORTS:  # before they are made: a body may name millions
        raise InvalidRequest(f"{count} published ports are too many", hint=f"At most {MOST_PORTS}.")
    requests = (
        _request(number, protocol, one)
        for numbers, protocol, wanted in found
        for number in numbers
        for one in wanted
    )
    return tuple(dict.fromkeys(requests))


def _binding(bindings: Fields, text: str) -> tuple[range, str, tuple[Fields, ...]]:
    (first, last), protocol = port_range(text, "PortBindings")
    if protocol == "sctp":
        raise Unsupported("linwin does not publish sctp ports", hint="Use tcp or udp.")
    return range(first, last + 1), protocol, bindings.objects(text) or (Fields({}, text),)


def _request(number: int, protocol: str, binding: Fields) -> PortRequest:
    address, text = binding.text("HostIp"), binding.text("HostPort")
    match = _HOST_PORT.fullmatch(text or "0")
    if not match or any(int(part) >= 2**16 for part in match.groups() if part):
        raise InvalidRequest(f'invalid port specification: "{text}"', hint="Use a number or FIRST-LAST.")
    first, last = int(match[1]), int(match[2] or match[1])
    if last < first:
        raise InvalidRequest(f'invalid port specification: "{text}"', hint="Begin with the lower number.")
    return PortRequest(number, "udp" if protocol == "udp" else "tcp", _address(address), first, last)


def _address(text: str) -> str:
    """An address of the host, empty for all of them."""
    if not text:
        return ""
    try:
        address = address_of(text.strip("[]"))
    except ValueError as error:
        raise InvalidRequest(f"invalid IP address: {text}") from error
    return "" if str(address) == "0.0.0.0" else str(address)
