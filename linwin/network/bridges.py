"""The network room: what the engine wants, made so on this host."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
from collections.abc import Iterable, Sequence
from functools import partial

from linwin.errors import LinwinError, Unavailable
from linwin.host import programs
from linwin.host.taps import name_of
from linwin.host.turns import Turns
from linwin.model.ip import Range
from linwin.model.network import Attachment, HostNetworks, PortBinding, Subnet
from linwin.network import firewall, flows, host_links, rules, subnets, taps
from linwin.network.apply import Host, in_thread, load_rules
from linwin.network.names import HostNames
from linwin.network.plan import plan, removal
from linwin.network.ports import FreePorts
from linwin.network.published import PublishedPorts
from linwin.network.reserved import ReservedRanges
from linwin.paths import Paths

logger = logging.getLogger(__name__)


class BridgeNetworks:
    """Implements :class:`linwin.engine.network_interface.Networks`.

    One Linux bridge a network, one tap a NIC, two nftables tables and a dnsmasq for each network.
    """

    def __init__(self, paths: Paths) -> None:
        self._names = HostNames(paths.tag, paths.file_server)
        self._folder = paths.networks
        self._host = Host(self._names, paths.networks)
        self._reserved = ReservedRanges()
        self._free_ports = FreePorts()
        self._published = PublishedPorts()
        self._applied = HostNetworks()
        self._turns = Turns()
        self._able = False
        self._looked_for_trouble = False
        self._watch = self._host.watch(self._mend)

    async def unavailable(self) -> str:
        # Asked at every start of a container. What can, goes on to; what cannot may be mended meanwhile.
        why = "" if self._able else await self._inability()
        self._able = not why
        return why

    async def free_subnet(self, taken: Sequence[Subnet], *, ipv6: bool) -> Subnet:
        passed_over = list(taken)
        while True:
            found = await self._free_subnet(passed_over, ipv6=ipv6)
            if self._reserved.take(found):
                # Whoever had it reserved until now may have made its bridge since we looked.
                if found == await self._free_subnet(passed_over, ipv6=ipv6):
                    return found
                self._reserved.release([found])
            passed_over.append(found)

    async def _free_subnet(self, taken: Sequence[Subnet], *, ipv6: bool) -> Subnet:
        used = [found for found, _ in await self._used()]
        return subnets.free(taken, used, ipv6=ipv6, tag=self._names.tag)

    async def check_subnet(self, subnet: Subnet) -> None:
        subnets.check(subnet, await self._used(besides=self._names))

    async def free_ports(self, bindings: Sequence[PortBinding]) -> Sequence[PortBinding]:
        published = (binding for one in self._applied.attachments for binding in one.ports)
        return self._free_ports.choose(bindings, published)

    async def apply(self, desired: HostNetworks) -> None:
        await self._turns.take(self._apply(desired))

    async def open_tap(self, attachment: Attachment) -> int:
        name = self._names.tap(attachment.id)
        try:
            return taps.open_tap(name)
        except OSError as error:
            if error.errno == errno.ENODEV:
                raise Unavailable(f"there is no tap {name}") from error
            raise Unavailable(f"cannot open the tap {name}: {os.strerror(error.errno or 0)}") from error

    async def spare_tap(self) -> int:
        making = asyncio.create_task(in_thread(partial(taps.create_open, self._names.spare_taps)))
        try:
            return await asyncio.shield(making)
        except asyncio.CancelledError:
            making.add_done_callback(_close)
            raise

    async def name_tap(self, tap: int, attachment: Attachment) -> None:
        # Its own file, since it is finished also where its caller has closed the one it gave.
        await self._turns.take(self._name_tap(os.dup(tap), attachment))

    async def purge(self) -> None:
        await self._turns.take(self._purge())

    async def close(self) -> None:
        self._watch.keep(())
        self._reserved.close()

    async def machines(self) -> int:
        """How many NICs of machines that run are plugged in here, of a daemon's that was killed too."""
        links = (await self._host.observe()).links.values()
        return sum(link.kind == "tun" and link.carrier for link in links)

    async def _inability(self) -> str:
        try:
            os.close(os.open(taps.DEVICE, os.O_RDWR | os.O_CLOEXEC))
            programs.find_program("dnsmasq")
            await load_rules(rules.ruleset(self._names, HostNetworks()), only_check=True)
        except OSError as error:
            return _tun_trouble(error)
        except Unavailable as error:
            if os.geteuid() != 0:
                return "networks need root: linwin's daemon does not run as root"
            hint = f" ({error.hint})" if error.hint else ""
            return f"this host cannot have networks: {error.message}{hint}"
        return ""

    async def _apply(self, desired: HostNetworks) -> None:
        text = rules.ruleset(self._names, desired)
        # nft takes as long as all the rest, mostly waiting for the kernel: they go on side by side.
        loading = asyncio.create_task(load_rules(text))
        try:
            operations = plan(self._names, desired, await self._host.observe(), self._folder)
            await self._host.carry_out(operations)
        finally:
            await loading
        if changed := _udp_ports(desired) ^ _udp_ports(self._applied):
            await in_thread(partial(flows.forget_udp, {port for port, _ in changed}))
        self._applied = desired
        self._reserved.release(subnet for network in desired.networks for subnet in network.subnets)
        self._watch.keep(_served(desired))
        await self._published.become(_published(desired))
        if not self._looked_for_trouble and any(not network.internal for network in desired.networks):
            self._looked_for_trouble = True
            await _tell_of_trouble()

    async def _mend(self) -> None:
        """Start again what ended by itself; what a change ended is running again, or wanted no more."""
        try:
            await self._turns.take(self._apply_again())
        except LinwinError as error:  # the next change tries again
            logger.error("the host's networks are not as they should be: %s", error)

    async def _apply_again(self) -> None:
        served = _served(self._applied)
        if await self._host.running(served) != served:
            logger.warning("a dnsmasq ended; it is started again")
            await self._apply(self._applied)
        self._watch.keep(served)  # what ended may have been started again before it was heard of

    async def _name_tap(self, tap: int, attachment: Attachment) -> None:
        def name() -> None:
            # An apply that came in between has made one of that name, which nobody has opened.
            with host_links.opened() as host:
                host.rename(name_of(tap), self._names.tap(attachment.id))
            taps.keep(tap, attachment.uid)

        try:
            await in_thread(name)
        finally:
            os.close(tap)

    async def _purge(self) -> None:
        self._watch.keep(())
        self._reserved.close()
        await self._published.become(())
        await self._host.carry_out(removal(self._names, await self._host.observe()))
        self._applied = HostNetworks()

    async def _used(self, besides: HostNames | None = None) -> list[tuple[Range, str]]:
        def look() -> list[tuple[Range, str]]:
            with host_links.opened() as host:
                return host.ranges(besides)

        return await in_thread(look)


def _close(made: asyncio.Task[int]) -> None:
    """Close what was opened for somebody who waits for it no more."""
    if not made.cancelled() and made.exception() is None:
        os.close(made.result())


async def _tell_of_trouble() -> None:
    """Warn of others' rules that are in the way; not to know of them fails nothing."""
    try:
        found = await firewall.trouble()
    except Unavailable as error:
        found = f"this host's firewall was not looked at: {error.message}"
    if found:
        logger.warning(found)


def _served(desired: HostNetworks) -> frozenset[str]:
    """The networks that have a dnsmasq."""
    return frozenset(network.id for network in desired.networks if not network.isolated)


def _published(desired: HostNetworks) -> Iterable[Attachment]:
    """Those whose ports lead anywhere: an internal network is reached from nowhere."""
    internal = {network.id for network in desired.networks if network.internal}
    return (one for one in desired.attachments if one.network_id not in internal)


def _udp_ports(desired: HostNetworks) -> set[tuple[int, str]]:
    """Host ports of UDP, each with the container that it leads to."""
    return {
        (binding.host_port, one.id)
        for one in desired.attachments
        for binding in one.ports
        if binding.protocol == "udp"
    }


def _tun_trouble(error: OSError) -> str:
    if error.errno == errno.ENOENT:
        return f"this host has no {taps.DEVICE}; load it with: modprobe tun"
    return f"cannot open {taps.DEVICE}: {os.strerror(error.errno or 0)}"
