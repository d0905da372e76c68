"""What the engine says to a guest's agent, and hears from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from linwin.model.network import HostName, Interface

StreamName = Literal["stdout", "stderr"]


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """A process to start in a guest.

    A Windows program gets ``command_line`` as it stands, a Linux program gets
    ``argv``. ``env`` overlays the
    registry's environment, which the agent reads afresh. ``cwd`` is a Windows
    path. ``stdin`` false means the process reads end-of-file at once.
    ``terminal`` is the size (rows, columns) of a terminal that is to be its
    standard handles; then all that it prints is stdout. ``transient`` is for one that
    is of no use to a later session, and ends with this one.
    """

    argv: tuple[str, ...]
    command_line: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str = "C:\\"
    user: str = ""
    stdin: bool = False
    terminal: tuple[int, int] | None = None
    transient: bool = False


@dataclass(frozen=True, slots=True)
class Chunk:
    """Bytes a process printed; ``end`` is the stream offset just behind them."""

    stream: StreamName
    data: bytes
    end: int


@dataclass(frozen=True, slots=True)
class Agent:
    """What a guest's agent says of itself.

    ``kind`` is that of its guest, as a template's. ``version`` names the sources that it was built
    of, and is empty where it says none. ``capabilities`` are the requests that it knows.
    """

    kind: str
    version: str
    protocol: int
    capabilities: frozenset[str]


@dataclass(frozen=True, slots=True)
class Preparation:
    """What makes a booted guest *this* container, sent once C: is plugged in.

    ``c_serial`` is the serial number of the plugged disk, ``time_ns`` the
    host's wall clock in nanoseconds since the epoch, ``entropy`` random bytes that
    no other guest gets: a clone remembers the random numbers of all its siblings.
    ``interfaces`` are the NICs that are plugged in, to be up when this is answered. ``hosts`` are
    names that need no server.
    """

    hostname: str
    c_serial: str
    time_ns: int
    entropy: bytes = b""
    interfaces: tuple[Interface, ...] = ()
    hosts: tuple[HostName, ...] = ()
