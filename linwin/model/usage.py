"""What a container's programs take of its guest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ProcessInfo:
    """One process in a guest, as its user knows it. ``cpu`` is in units of 100 ns, ``private`` in bytes."""

    pid: int
    name: str
    cpu: int
    private: int


@dataclass(frozen=True, slots=True)
class DiskUsage:
    """Operations and bytes of C: since the guest's boot."""

    reads: int = 0
    read_bytes: int = 0
    writes: int = 0
    written_bytes: int = 0


@dataclass(frozen=True, slots=True)
class NetworkUsage:
    """Bytes and packets of one interface since the guest's boot."""

    rx_bytes: int = 0
    rx_packets: int = 0
    rx_dropped: int = 0
    tx_bytes: int = 0
    tx_packets: int = 0
    tx_dropped: int = 0


@dataclass(frozen=True, slots=True)
class Usage:
    """What a guest has taken since its boot.

    ``cpu`` is the time of all ``processors`` together in units of 100 ns, as
    Windows counts; memory is in bytes and as it is now.
    """

    cpu: int
    processors: int
    private: int
    commit: int
    commit_peak: int
    disk: DiskUsage = DiskUsage()
    networks: Mapping[str, NetworkUsage] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sample:
    """A :class:`Usage` and when it was told, in nanoseconds since the epoch."""

    read_ns: int
    usage: Usage
