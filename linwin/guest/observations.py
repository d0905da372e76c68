"""What a guest says of its processes and of what they take, parsed strictly: a hostile one may say anything.

Answers that are no such thing fail the request that they answer, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from linwin.guest.messages import Malformed, number, printable
from linwin.model.usage import DiskUsage, NetworkUsage, ProcessInfo, Usage

LARGEST = 2**63 - 1
MAX_PROCESSES = 4096
MAX_NETWORKS = 64
MAX_PROCESSORS = 4096
MAX_NAME = 256


def parse_processes(answer: Mapping[str, Any]) -> list[ProcessInfo]:
    """Raises Malformed."""
    listed = answer.get("processes")
    if not isinstance(listed, list) or len(listed) > MAX_PROCESSES:
        raise Malformed(f"processes is no list of at most {MAX_PROCESSES}")
    return [_process(_object(one, "a process")) for one in listed]


def parse_usage(answer: Mapping[str, Any]) -> Usage:
    """Raises Malformed."""
    disk = _object(answer.get("disk"), "disk")
    networks = _object(answer.get("networks"), "networks")
    if len(networks) > MAX_NETWORKS:
        raise Malformed(f"there are {len(networks)} networks")
    return Usage(
        cpu=number(answer, "cpu_100ns", LARGEST),
        processors=number(answer, "processors", MAX_PROCESSORS),
        private=number(answer, "private_bytes", LARGEST),
        commit=number(answer, "commit_bytes", LARGEST),
        commit_peak=number(answer, "commit_peak_bytes", LARGEST),
        disk=DiskUsage(
            reads=number(disk, "reads", LARGEST),
            read_bytes=number(disk, "read_bytes", LARGEST),
            writes=number(disk, "writes", LARGEST),
            written_bytes=number(disk, "written_bytes", LARGEST),
        ),
        networks={_name(name): _network(_object(one, name)) for name, one in networks.items()},
    )


def _process(fields: Mapping[str, Any]) -> ProcessInfo:
    return ProcessInfo(
        pid=number(fields, "pid", 0xFFFFFFFF),
        name=_name(fields.get("name")),
        cpu=number(fields, "cpu_100ns", LARGEST),
        private=number(fields, "private_bytes", LARGEST),
    )


def _network(fields: Mapping[str, Any]) -> NetworkUsage:
    return NetworkUsage(
        rx_bytes=number(fields, "rx_bytes", LARGEST),
        rx_packets=number(fields, "rx_packets", LARGEST),
        rx_dropped=number(fields, "rx_dropped", LARGEST),
        tx_bytes=number(fields, "tx_bytes", LARGEST),
        tx_packets=number(fields, "tx_packets", LARGEST),
        tx_dropped=number(fields, "tx_dropped", LARGEST),
    )


def _object(value: object, name: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise Malformed(f"{printable(name)} is no object")
    return value


def _name(value: object) -> str:
    if not isinstance(value, str) or len(value) > MAX_NAME:
        raise Malformed(f"a name is no text of at most {MAX_NAME} characters")
    return printable(value)
