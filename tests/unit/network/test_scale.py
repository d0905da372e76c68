"""As many networks and ports as a host of many projects has."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from linwin.model.network import PortBinding
from linwin.network.host_links import SETTINGS
from linwin.network.plan import INOTIFY_INSTANCES
from tests.unit.network.namespaces import Namespace
from tests.unit.network.probes import answering, ask
from tests.unit.network.test_name_service import dnsmasqs, look_up
from tests.unit.network.world import World, attachment, network

pytestmark = [pytest.mark.root, pytest.mark.slow]

NETWORKS = 200
PORTS = 500


@pytest.fixture
def instances() -> Iterator[None]:
    """The limit is all namespaces', and set back."""
    path = SETTINGS / INOTIFY_INSTANCES
    before = path.read_text()
    yield
    path.write_text(before)


@pytest.mark.usefixtures("instances")
async def test_two_hundred_networks_serve_and_go(world: World) -> None:
    networks = [network(f"n{number}", f"10.{number}.0.0/24") for number in range(NETWORKS)]
    webs = [attachment(one, 2, "web") for one in (networks[0], networks[-1])]
    shells = [attachment(one, 3, "shell") for one in (networks[0], networks[-1])]
    await world.apply(networks, (*webs, *shells))
    assert len(dnsmasqs(world)) == NETWORKS
    for web, shell in zip(webs, shells, strict=True):
        guest = await world.guest(shell)
        gateway = shell.ipv4.rpartition(".")[0] + ".1"
        assert await look_up(guest, gateway, "web") == [web.ipv4]
    world.leave()
    await world.apply(())
    assert dnsmasqs(world) == []
    assert "lw" not in world.host.run("ip -br link")


async def test_five_hundred_ports_lead_where_they_should(world: World, elsewhere: Namespace) -> None:
    nat = network("nat", "172.20.0.0/16")
    ports = tuple(PortBinding(80, "tcp", "", 10_000 + number) for number in range(PORTS))
    web = attachment(nat, 2, "web", ports=ports)
    await world.apply((nat,), (web,))
    async with answering(await world.guest(web), "web", 80, "172.20.0.2"):
        for number in (0, 1, PORTS // 2, PORTS - 1):
            assert await ask(elsewhere, "192.0.2.1", 10_000 + number) == "web 192.0.2.9"
        assert await ask(elsewhere, "192.0.2.1", 10_000 + PORTS) == "refused"
    world.leave()
    await world.apply((nat,))
    assert await ask(elsewhere, "192.0.2.1", 10_000) == "refused"
