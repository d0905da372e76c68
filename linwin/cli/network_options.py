"""The options of ``run`` and ``create`` about networks and ports, as parts of the API's request body."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from linwin.cli import ports
from linwin.errors import InvalidRequest

_OPTIONS = (
    ("ip", "--ip", "IPv4 address"),
    ("ip6", "--ip6", "IPv6 address"),
    ("mac_address", "--mac-address", "MAC address"),
    ("network_aliases", "--network-alias", "alias"),
)


def networking(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Fields of the body, and of its HostConfig, where there is something to say. Raises InvalidRequest."""
    endpoints = _endpoints(options)
    published = ports.published(options["publish"])
    inside = [*ports.exposed(options["expose"]), *published]
    body = {
        **({"NetworkingConfig": {"EndpointsConfig": endpoints}} if endpoints else {}),
        **({"ExposedPorts": {port: {} for port in inside}} if inside else {}),
    }
    fields = {
        "NetworkMode": next(iter(endpoints), ""),
        "PortBindings": published,
        "PublishAllPorts": options["publish_all"],
        "Dns": list(options["dns"]),
        "DnsSearch": list(options["dns_search"]),
        "ExtraHosts": [text.replace("=", ":", 1) for text in options["add_host"]],
    }
    return body, {name: value for name, value in fields.items() if value}


def endpoint(
    *, aliases: list[str], ip: str = "", ip6: str = "", mac: str = "", priority: int = 0
) -> dict[str, Any]:
    """Docker's EndpointSettings, without what is not asked for."""
    addresses = {"IPv4Address": ip, "IPv6Address": ip6}
    fields: dict[str, Any] = {
        "IPAMConfig": {name: value for name, value in addresses.items() if value},
        "Aliases": aliases,
        "MacAddress": mac,
        "GwPriority": priority,
    }
    return {name: value for name, value in fields.items() if value}


def _endpoints(options: Mapping[str, Any]) -> dict[str, Any]:
    """Each network with what is wanted of it; the options beside ``--network`` are about the first."""
    asked = [_network(text) for text in options["networks"]]
    if not asked and any(options[name] for name, _, _ in _OPTIONS):
        asked = [("default", {})]
    found: dict[str, Any] = {}
    for index, (name, fields) in enumerate(asked):
        if name in found:
            raise InvalidRequest(f'network "{name}" is specified multiple times')
        found[name] = _settings(fields if index else _with_options(fields, options))
    return found


def _with_options(fields: dict[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(fields)
    for name, flag, what in _OPTIONS:
        if options[name]:
            if fields.get(name):
                raise InvalidRequest(
                    f"conflicting options: cannot specify both {flag} and per-network {what}"
                )
            merged[name] = options[name]
    return merged


def _settings(fields: Mapping[str, Any]) -> dict[str, Any]:
    return endpoint(
        aliases=list(fields.get("network_aliases", ())),
        ip=fields.get("ip", ""),
        ip6=fields.get("ip6", ""),
        mac=fields.get("mac_address", ""),
        priority=fields.get("priority", 0),
    )


def _network(text: str) -> tuple[str, dict[str, Any]]:
    """A name, or ``name=NAME,alias=ALIAS,ip=ADDRESS,…``, as a name and fields named as the options are."""
    if not ports.LONG_FORM.match(text):
        return text, {}
    name, fields = "", dict[str, Any]()
    for field in text.split(","):
        key, equals, value = (part.strip() for part in field.partition("="))
        if not equals or not key:
            raise InvalidRequest(f"invalid field {field}", hint="write name=NAME,alias=ALIAS,ip=ADDRESS")
        match key:
            case "name":
                name = value
            case "alias":
                fields.setdefault("network_aliases", []).append(value)
            case "ip" | "ip6":
                fields[key] = value
            case "mac-address":
                fields["mac_address"] = value
            case "gw-priority":
                fields["priority"] = _priority(value)
            case _:
                raise InvalidRequest(
                    f"invalid field key {key}", hint="write name=NAME,alias=ALIAS,ip=ADDRESS"
                )
    if not name:
        raise InvalidRequest("network name/id is not specified")
    return name, fields


def _priority(text: str) -> int:
    if not re.fullmatch(r"-?\d{1,9}", text):
        raise InvalidRequest(f"invalid gw-priority: {text}", hint="write a whole number")
    return int(text)
