"""A process that makes networks and dies at its Nth call of the operating system.

Python's audit events are those calls: files, ioctls, programs, netlink; but for looks at ``/proc``, of
which there are as many as the host has processes. ``ROOT N`` are its arguments; with N 0 it lives, and
prints how many calls there were.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from linwin.model.network import Attachment, HostNetworks, Network, PortBinding, Subnet
from linwin.network import BridgeNetworks
from linwin.paths import Paths

NAT = Network(
    id="1" * 64,
    name="nat",
    created_at=0,
    subnets=(Subnet("172.20.0.0/16", "172.20.0.1"), Subnet("fd00:20::/64", "fd00:20::1")),
    ipv6=True,
)
WEB = Attachment(
    id="a" * 64,
    network_id=NAT.id,
    container_id="c" * 64,
    mac="02:42:ac:14:00:02",
    ipv4="172.20.0.2",
    ipv6="fd00:20::2",
    names=("web",),
    ports=(PortBinding(80, "tcp", "", 8080),),
    uid=1_000_000_002,
)
SHELL = Attachment(
    id="b" * 64,
    network_id=NAT.id,
    container_id="d" * 64,
    mac="02:42:ac:14:00:03",
    ipv4="172.20.0.3",
    ipv6="fd00:20::3",
    names=("shell",),
    uid=1_000_000_003,
)
WHOLE = HostNetworks((NAT,), (WEB, SHELL))

WORDS = ("open", "os.", "shutil.", "fcntl.", "subprocess.", "socket.")


async def live(room: BridgeNetworks) -> None:
    """A short life: networks, one more container, one less, none."""
    for desired in (HostNetworks((NAT,), (SHELL,)), WHOLE, HostNetworks((NAT,), (WEB,)), HostNetworks()):
        await room.apply(desired)


def main() -> None:
    root, death = Path(sys.argv[1]), int(sys.argv[2])
    calls = 0

    def count(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal calls
        if event.startswith(WORDS) and not str(arguments[0] if arguments else "").startswith("/proc"):
            calls += 1
            if calls == death:
                os.kill(os.getpid(), signal.SIGKILL)

    room = BridgeNetworks(Paths(root, root / "socket"))
    sys.addaudithook(count)
    asyncio.run(live(room))
    print(calls)


if __name__ == "__main__":
    main()
