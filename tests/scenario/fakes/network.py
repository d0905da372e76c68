"""Networks of a host that is not there: what was applied last is what exists."""

from __future__ import annotations

import os
from collections.abc import Sequence
from ipaddress import ip_network
from pathlib import Path

from linwin.errors import Conflict, Unavailable
from linwin.model.network import Attachment, HostNetworks, PortBinding, Subnet

FIRST_PORT = 49153
SPARE_TAP = "linwin-spare-tap"


class FakeNetworks:
    """``taken`` are ports (protocol, number) that others on the host hold."""

    def __init__(self) -> None:
        self.why_not = ""
        self.applied = HostNetworks()
        self.taken: set[tuple[str, int]] = set()
        self.taps: list[Attachment] = []

    async def unavailable(self) -> str:
        return self.why_not

    async def free_subnet(self, taken: Sequence[Subnet], *, ipv6: bool) -> Subnet:
        pattern = "fd00:0:0:{}::/64" if ipv6 else "10.{}.0.0/24"
        used = [ip_network(subnet.subnet) for subnet in taken]
        for number in range(1, 250):
            found = ip_network(pattern.format(number))
            if not any(one.version == found.version and one.overlaps(found) for one in used):
                return Subnet(str(found), str(found[1]))
        raise Unavailable("no private range is left")

    async def check_subnet(self, subnet: Subnet) -> None:
        """Nothing else uses this host's addresses."""

    async def free_ports(self, bindings: Sequence[PortBinding]) -> Sequence[PortBinding]:
        held = self.taken | {
            (port.protocol, port.host_port) for one in self.applied.attachments for port in one.ports
        }
        found: list[PortBinding] = []
        for binding in bindings:
            number = binding.host_port
            if not number:
                number = next(n for n in range(FIRST_PORT, 65536) if (binding.protocol, n) not in held)
            elif (binding.protocol, number) in held:
                address = binding.host_ip or "0.0.0.0"
                raise Conflict(f"Bind for {address}:{number} failed: port is already allocated")
            held.add((binding.protocol, number))
            found.append(PortBinding(binding.container_port, binding.protocol, binding.host_ip, number))
        return found

    async def apply(self, desired: HostNetworks) -> None:
        self.applied = desired

    async def open_tap(self, attachment: Attachment) -> int:
        assert attachment in self.applied.attachments
        self.taps.append(attachment)
        return os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)

    async def spare_tap(self) -> int:
        return os.memfd_create(SPARE_TAP)

    def open_taps(self) -> int:
        """How many files of spare taps nobody has closed; fake machines have none open."""
        files = Path("/proc/self/fd")
        return sum(SPARE_TAP in os.readlink(file) for file in files.iterdir() if file.is_symlink())

    async def name_tap(self, tap: int, attachment: Attachment) -> None:
        os.fstat(tap)
        self.taps.append(attachment)

    async def purge(self) -> None:
        self.applied = HostNetworks()

    async def close(self) -> None:
        """There is nothing to look after."""
