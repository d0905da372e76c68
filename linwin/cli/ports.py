"""Ports as users write them, and as listings show them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from linwin.errors import InvalidRequest

_LARGEST = 65535
LONG_FORM = re.compile(r"\w+=\w+(,\w+=\w+)*")
"""How docker tells ``NAME=VALUE,…`` from the short form, of ports and of networks."""
Bindings = dict[str, list[dict[str, str]]]


def published(texts: Iterable[str]) -> Bindings:
    """``-p`` as the API's PortBindings: ``[[ADDRESS:][HOSTPORT]:]PORT[/PROTOCOL]``, ports may be ranges.

    Raises InvalidRequest in docker's words.
    """
    found: Bindings = {}
    for text in texts:
        for port, binding in _published(_short_form(text)):
            found.setdefault(port, []).append(binding)
    return found


def exposed(texts: Iterable[str]) -> Iterator[str]:
    """``--expose`` as ports of the API. Raises InvalidRequest in docker's words."""
    for text in texts:
        if ":" in text:
            raise InvalidRequest(f"invalid port format for --expose: {text}", hint="write PORT or FIRST-LAST")
        numbers, protocol = _split(text)
        span = _range(numbers)
        if span is None:
            raise InvalidRequest(
                f"invalid range format for --expose: {text}", hint="write PORT or FIRST-LAST"
            )
        yield from (f"{number}/{protocol}" for number in span)


def _short_form(text: str) -> str:
    """``published=8080,target=80,protocol=udp`` as ``8080:80/udp``."""
    if not LONG_FORM.fullmatch(text):
        return text
    fields = dict(field.split("=", 1) for field in text.split(","))
    if unknown := fields.keys() - {"published", "target", "protocol", "mode"}:
        raise InvalidRequest(f"invalid field key {min(unknown)}", hint="write published=8080,target=80")
    return f"{fields.get('published', '')}:{fields.get('target', '')}/{fields.get('protocol', 'tcp')}"


def _published(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    rest, _, inside = text.rpartition(":")
    address, _, outside = rest.rpartition(":")
    numbers, protocol = _split(inside)
    if not numbers:
        raise InvalidRequest(f"no port specified: {text}<empty>")
    ports, hosts = _range(numbers), _range(outside) if outside else None
    if ports is None:
        raise InvalidRequest(f"invalid containerPort: {numbers}")
    if outside and hosts is None:
        raise InvalidRequest(f"invalid hostPort: {outside}")
    address = _address(address)
    if hosts is not None and len(hosts) != len(ports) and len(ports) > 1:
        raise InvalidRequest(
            f"invalid ranges specified for container and host Ports: {numbers} and {outside}"
        )
    for index, port in enumerate(ports):
        host = "" if hosts is None else outside if len(ports) == 1 else str(hosts[index])
        yield f"{port}/{protocol}", {"HostIp": address, "HostPort": host}


def _split(text: str) -> tuple[str, str]:
    numbers, _, protocol = text.partition("/")
    protocol = protocol.lower() or "tcp"
    if protocol not in ("tcp", "udp", "sctp"):
        raise InvalidRequest(f"invalid proto: {protocol}", hint="write tcp or udp")
    return numbers, protocol


def _address(text: str) -> str:
    if not text:
        return ""
    from ipaddress import ip_address

    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        return str(ip_address(bare))
    except ValueError as error:
        raise InvalidRequest(f"invalid IP address: {bare}", hint="name no host, but its address") from error


def _range(text: str) -> range | None:
    """``8000-8010`` or one port; None for anything else."""
    match = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", text)
    if match is None:
        return None
    first, last = int(match[1]), int(match[2] or match[1])
    return range(first, last + 1) if first <= last <= _LARGEST else None


# Listings


def displayed(ports: Iterable[Mapping[str, Any]]) -> str:
    """The PORTS column: ``0.0.0.0:80-82->80-82/tcp, 90/udp``, by container port.

    As in docker's, neighbours are one range where host and container use the same numbers;
    what is published under another number comes last.
    """
    ordered = sorted(
        ports,
        key=lambda port: (
            port["PrivatePort"],
            port.get("IP") or "",
            port.get("PublicPort") or 0,
            port["Type"],
        ),
    )
    runs: dict[tuple[str, str], list[int]] = {}
    finished, moved = [], []
    for port in ordered:
        number, address, kind = port["PrivatePort"], port.get("IP") or "", port["Type"]
        if address and port.get("PublicPort") != number:
            moved.append(f"{_joined(address, port.get('PublicPort'))}->{number}/{kind}")
            continue
        run = runs.get((address, kind))
        if run is not None and number == run[1] + 1:
            run[1] = number
            continue
        if run is not None:
            finished.append(_run(address, kind, run))
        runs[address, kind] = [number, number]
    return ", ".join([*finished, *(_run(*key, run) for key, run in runs.items()), *moved])


def _run(address: str, kind: str, run: Sequence[int]) -> str:
    numbers = f"{run[0]}-{run[1]}" if run[0] != run[1] else str(run[0])
    return f"{_joined(address, numbers)}->{numbers}/{kind}" if address else f"{numbers}/{kind}"


def _joined(address: str, port: object) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def lines(ports: Mapping[str, Sequence[Mapping[str, str]] | None], wanted: str | None) -> list[str]:
    """What ``port`` prints of an inspection's Ports: all, or where one of them leads from."""
    if wanted is not None:
        bindings = ports.get(wanted if "/" in wanted else f"{wanted}/tcp") or ()
        return [_joined(one["HostIp"], one["HostPort"]) for one in bindings]
    return sorted(
        f"{port} -> {_joined(one['HostIp'], one['HostPort'])}"
        for port, bindings in ports.items()
        for one in bindings or ()
    )
