"""The way to the file server: for those that have mounts, and nowhere else."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager

import pytest

from linwin.model.network import FILES_NETWORK
from linwin.network.rules import CONNECTIONS
from tests.unit.network.namespaces import Guest, Namespace
from tests.unit.network.probes import SILENCE, answering, ask
from tests.unit.network.world import World, attachment, changed, network

pytestmark = pytest.mark.root

CLOSED = ("refused", "silence")


@asynccontextmanager
async def file_server(world: World) -> AsyncIterator[None]:
    address, port = world.paths.file_server
    async with answering(world.host, "files", port, address):
        yield


async def test_those_with_mounts_reach_the_file_server_at_their_gateway(
    world: World, elsewhere: Namespace
) -> None:
    nat, inner = network("nat", "172.20.0.0/16"), network("inner", "172.21.0.0/16", internal=True)
    has, lacks = changed(attachment(nat, 2), files=True), attachment(nat, 3)
    inside = changed(attachment(inner, 2), files=True)
    await world.apply((nat, inner), (has, lacks, inside))
    with_mounts, without, internal = [await world.guest(one) for one in (has, lacks, inside)]
    address, port = world.paths.file_server
    async with file_server(world):
        assert await ask(with_mounts, "172.20.0.1", 445) == "files 172.20.0.2"
        assert await ask(internal, "172.21.0.1", 445) == "files 172.21.0.2"
        assert await ask(without, "172.20.0.1", 445, patience=SILENCE) in CLOSED
        assert await ask(elsewhere, "192.0.2.1", 445, patience=SILENCE) in CLOSED
        for guest in (with_mounts, without):
            assert await ask(guest, "172.21.0.1", 445, patience=SILENCE) in CLOSED, (
                "another network's gateway"
            )
            assert await ask(guest, "172.20.0.1", port, patience=SILENCE) in CLOSED
            assert await ask(guest, address, port, patience=SILENCE) in CLOSED
    # Its mounts are taken back.
    await world.apply((nat, inner), (changed(has, files=False), lacks, inside))
    async with file_server(world):
        assert await ask(with_mounts, "172.20.0.1", 445, patience=SILENCE) in CLOSED


async def test_the_link_without_a_network_leads_to_the_file_server_alone(
    world: World, elsewhere: Namespace
) -> None:
    link = network(FILES_NETWORK, "172.22.0.0/16", internal=True)
    one, two = changed(attachment(link, 2), files=True), changed(attachment(link, 3), files=True)
    await world.apply((link,), (one, two))
    first, second = await world.guest(one), await world.guest(two)
    async with file_server(world), answering(second, "second", 80), answering(world.host, "host", 80):
        assert await ask(first, "172.22.0.1", 445) == "files 172.22.0.2"
        assert await ask(second, "172.22.0.1", 445) == "files 172.22.0.3"
        assert await ask(first, "172.22.0.3", 80, patience=SILENCE) in CLOSED
        assert await ask(first, "172.22.0.1", 80, patience=SILENCE) in CLOSED
        assert await ask(first, "172.22.0.1", 53, patience=SILENCE) in CLOSED
        assert await ask(first, "172.22.0.1", 53, "udp", patience=SILENCE) in CLOSED
        assert await ask(first, "192.0.2.9", 80, patience=SILENCE) in CLOSED


async def test_a_guest_that_floods_the_file_server_takes_nothing_from_others(world: World) -> None:
    nat = network("nat", "172.20.0.0/16")
    one, two = changed(attachment(nat, 2), files=True), changed(attachment(nat, 3), files=True)
    await world.apply((nat,), (one, two))
    flooding, other = await world.guest(one), await world.guest(two)
    listening = world.host.socket(socket.AF_INET, socket.SOCK_STREAM)
    with listening, ExitStack() as opened:
        listening.bind(world.paths.file_server)
        listening.listen(2 * CONNECTIONS)
        accepted = [await connects(flooding, opened) for _ in range(CONNECTIONS + 10)]
        assert accepted == [True] * CONNECTIONS + [False] * 10
        assert await connects(other, opened)


async def connects(guest: Guest, opened: ExitStack) -> bool:
    """Whether one more connection is accepted, which stays open."""
    asking = opened.enter_context(guest.socket(socket.AF_INET, socket.SOCK_STREAM))
    try:
        async with asyncio.timeout(SILENCE):
            await asyncio.get_running_loop().sock_connect(asking, ("172.20.0.1", 445))
    except TimeoutError:
        return False
    return True
