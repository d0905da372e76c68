"""Carries plans out: links through netlink, rules through nft, names through dnsmasq."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TypeVar

from pyroute2.netlink.exceptions import NetlinkError

from linwin.errors import Unavailable
from linwin.host import process
from linwin.network import host_links
from linwin.network.host_links import LinkOperation
from linwin.network.names import HostNames
from linwin.network.plan import (
    INOTIFY_INSTANCES,
    IPV4_FORWARDING,
    IPV6_FORWARDING,
    HostState,
    LoadRules,
    Operation,
    ReloadService,
    SetSysctl,
    StartService,
    StopService,
)
from linwin.network.servers import NameServers
from linwin.network.watch import ServiceWatch

logger = logging.getLogger(__name__)

T = TypeVar("T")

_NFT_TIMEOUT = 30.0


class Host:
    """This host as one root sees and changes it."""

    def __init__(self, names: HostNames, folder: Path) -> None:
        self._names = names
        self._servers = NameServers(folder)

    def watch(self, mend: Callable[[], Awaitable[None]]) -> ServiceWatch:
        """Has ``mend`` called when a dnsmasq ends."""
        return ServiceWatch(self._servers, mend)

    async def observe(self) -> HostState:
        """What there is of this root. Raises Unavailable."""
        return await in_thread(self._observe)

    async def running(self, network_ids: Iterable[str]) -> frozenset[str]:
        """Those of some networks whose dnsmasq runs. Raises Unavailable."""
        return await in_thread(partial(self._servers.running, network_ids))

    async def carry_out(self, operations: Iterable[Operation]) -> None:
        """Do a plan's operations, one after the other. Raises Unavailable at the first that fails."""
        for programs, batch in groupby(operations, key=_runs_a_program):
            if programs:
                for operation in batch:
                    await self._run_program(operation)
            else:
                together = [operation for operation in batch if isinstance(operation, LinkOperation)]
                await in_thread(partial(_change_links, together))

    async def _run_program(self, operation: Operation) -> None:
        try:
            match operation:
                case LoadRules(text):
                    await load_rules(text)
                case StartService(service):
                    await self._servers.start(service)
                case ReloadService(service):
                    await self._servers.reload(service)
                case StopService(network_id):
                    await self._servers.stop(network_id)
                    self._servers.forget(network_id)
        except OSError as error:
            raise Unavailable(f"cannot set up networks: {error}") from error

    def _observe(self) -> HostState:
        with host_links.opened() as host:
            links = host.links(self._names)
        services = self._servers.services()
        return HostState(
            links=links,
            settings=host_links.settings(self._names, links),
            services=services,
            running=self._servers.running(services),
        )


async def load_rules(text: str, *, only_check: bool = False) -> None:
    """Have nft do one transaction: all of it or nothing. Raises Unavailable."""
    argv = ["nft", *(["--check"] if only_check else []), "-f", "-"]
    await process.run(argv, input=text.encode(), timeout=_NFT_TIMEOUT, check=True)


async def in_thread(work: Callable[[], T]) -> T:
    """Do what blocks elsewhere; what the kernel refuses is Unavailable."""
    try:
        return await asyncio.to_thread(work)
    except NetlinkError as error:
        raise Unavailable(f"cannot set up networks: {error.args[-1]}") from error
    except OSError as error:
        raise Unavailable(f"cannot set up networks: {error}") from error


def _runs_a_program(operation: Operation) -> bool:
    return not isinstance(operation, LinkOperation)


def _change_links(operations: Iterable[LinkOperation]) -> None:
    with host_links.opened() as host:
        for operation in operations:
            host.carry_out(operation)
            if isinstance(operation, SetSysctl) and operation.path in (IPV4_FORWARDING, IPV6_FORWARDING):
                logger.warning(
                    "turned on %s: networks of containers need this host to forward", operation.path
                )
            if isinstance(operation, SetSysctl) and operation.path == INOTIFY_INSTANCES:
                logger.warning("set %s to %s: each network has a dnsmasq", operation.path, operation.value)
