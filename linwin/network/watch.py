"""A network's dnsmasq is started again when it ends, by whomever it was ended."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection

from linwin.network.servers import NameServers


class ServiceWatch:
    """Waits for the ends of dnsmasqs, and has ``mend`` called after each."""

    def __init__(self, servers: NameServers, mend: Callable[[], Awaitable[None]]) -> None:
        self._servers = servers
        self._mend = mend
        self._watching: dict[str, asyncio.Task[None]] = {}
        self._mending: set[asyncio.Task[None]] = set()

    def keep(self, network_ids: Collection[str]) -> None:
        """Watch those of these networks, which were just seen to run, and of no others."""
        for network_id in self._watching.keys() - set(network_ids):
            self._watching.pop(network_id).cancel()
        for network_id in network_ids:
            if network_id not in self._watching:
                name = f"watching dnsmasq {network_id[:12]}"
                self._watching[network_id] = asyncio.create_task(self._watch(network_id), name=name)

    async def _watch(self, network_id: str) -> None:
        await self._servers.ended(network_id)
        # From here on this task watches nothing: the change that it makes must not cancel it.
        task = self._watching.pop(network_id)
        self._mending.add(task)
        task.add_done_callback(self._mending.discard)
        await self._mend()
