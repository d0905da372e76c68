"""Networks by docker-py, by linwin's own command line and by docker's description of its API."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from docker import errors, types

from linwin.errors import NotFound
from linwin.model.container import ContainerSpec
from linwin.model.network import EndpointSpec, NetworkSpec
from tests.scenario.docker_py import off_loop
from tests.scenario.harness import IMAGE, Daemon, Docker
from tests.scenario.networking import attached
from tests.scenario.raw_http import RawConnection
from tests.scenario.test_api_description import Checked, checked
from tests.scenario.test_linwin_cli import Linwin

__all__ = ["checked"]

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # docker-py's, as in its own tests


async def test_docker_py(python: Any, daemon: Daemon) -> None:
    def work() -> list[str]:
        pool = types.IPAMPool(subnet="10.8.0.0/16", gateway="10.8.0.254")
        network = python.networks.create(
            "mine", ipam=types.IPAMConfig(pool_configs=[pool]), labels={"a": "b"}
        )
        container = python.containers.run(
            IMAGE, "hang", detach=True, name="box", network="mine", ports={"80/tcp": 8080, "53/udp": None}
        )
        container.reload()
        network.reload()
        assert [one.name for one in network.containers] == ["box"]
        assert container.ports["80/tcp"] == [{"HostIp": "0.0.0.0", "HostPort": "8080"}]
        with pytest.raises(errors.APIError, match="has active endpoints") as refused:
            network.remove()
        assert refused.value.status_code == 403
        nat = python.networks.get("nat")
        nat.connect(container, aliases=["db"])
        nat.disconnect(container)
        container.remove(force=True)
        network.remove()
        with pytest.raises(errors.NotFound):
            python.networks.get("mine")
        return [one.name for one in python.networks.list()]

    assert await off_loop(work) == ["nat", "none"]
    assert attached(daemon) == ()


async def test_docker_py_in_several_networks(python: Any, daemon: Daemon) -> None:
    def work() -> Any:
        for name in ("back", "front"):
            python.networks.create(name)
        config = {
            "back": python.api.create_endpoint_config(aliases=["db"], ipv4_address="10.1.0.9"),
            "front": python.api.create_endpoint_config(),
        }
        container = python.containers.create(
            IMAGE, "hang", name="box", network="back", networking_config=config
        )
        container.start()
        container.reload()
        return container.attrs["NetworkSettings"]["Networks"]

    shown = await off_loop(work)
    assert sorted(shown) == ["back", "front"]
    assert (shown["back"]["IPAddress"], shown["back"]["Aliases"]) == ("10.1.0.9", ["db"])
    assert "db" in shown["back"]["DNSNames"]


@pytest.fixture
def linwin(daemon: Daemon, tmp_path: Path) -> Linwin:
    return Linwin(daemon.host, tmp_path)


async def test_linwin(linwin: Linwin, daemon: Daemon) -> None:
    made = await linwin("network", "create", "--subnet", "10.8.0.0/24", "mine")
    assert (made.code, len(made.out)) == (0, 65)
    words = ["--network", "name=mine,alias=db,ip=10.8.0.7", "-p", "8080:80"]
    assert (await linwin("run", "-d", "--name", "box", *words, IMAGE, "hang")).code == 0
    (attachment,) = attached(daemon)
    assert (attachment.ipv4, attachment.names[:2]) == ("10.8.0.7", ("box", "db"))
    assert (await linwin("port", "box")).out == b"80/tcp -> 0.0.0.0:8080\n"
    listed = await linwin("ps", "--format", "{{.Names}} {{.Ports}} {{.Networks}}")
    assert listed.out == b"box 0.0.0.0:8080->80/tcp mine\n"
    assert (await linwin("network", "connect", "nat", "box")).code == 0
    assert (await linwin("network", "disconnect", "mine", "box")).code == 0
    form = "{{range .Containers}}{{.Name}}{{end}}"
    assert (await linwin("network", "inspect", "-f", form, "nat")).out == b"box\n"
    inspected = json.loads((await linwin("inspect", "mine")).out)
    assert inspected[0]["Name"] == "mine"
    assert (await linwin("network", "rm", "mine")).out == b"mine\n"
    gone = await linwin("network", "rm", "mine")
    assert (gone.code, gone.err) == (
        1,
        b"linwin: network mine not found\nList those that exist: linwin network ls\n",
    )
    assert (await linwin("network", "rm", "-f", "mine")).code == 0
    pruned = await linwin("network", "prune", "-f")
    assert (pruned.code, pruned.out) == (0, b"")


async def test_answers_fit_dockers_description(
    checked: Checked, daemon: Daemon, connection: RawConnection
) -> None:
    body = {
        "Name": "mine",
        "CheckDuplicate": True,
        "EnableIPv6": True,
        "Labels": {"a": "b"},
        "IPAM": {"Config": [{"Subnet": "10.8.0.0/24"}]},
    }
    created = await checked("POST", "/networks/create", 201, body=body)
    assert created["Warning"] == ""
    await checked("POST", "/networks/create", 403, body={"Name": "bridge"})
    await checked("POST", "/networks/create", 404, body={"Name": "x", "Driver": "macvlan"})
    await checked("POST", "/networks/create", 400, body={"Name": ""})
    made = {
        "Image": IMAGE,
        "Cmd": ["hang"],
        "ExposedPorts": {"90/tcp": {}},
        "HostConfig": {"NetworkMode": "mine", "PortBindings": {"80/tcp": [{"HostPort": "8080"}]}},
        "NetworkingConfig": {"EndpointsConfig": {"mine": {"Aliases": ["db"]}, "nat": {}}},
    }
    await checked("POST", "/containers/create", 201, query="name=box", body=made)
    await daemon.engine.start("box")
    shown = await checked("GET", "/containers/{id}/json", 200, name="box")
    assert shown["NetworkSettings"]["Ports"] == {
        "80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}],
        "90/tcp": None,
    }
    assert shown["NetworkSettings"]["Networks"]["mine"]["GlobalIPv6Address"] == "fd00:0:0:1::2"
    assert shown["HostConfig"]["PortBindings"] == {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}
    (listed,) = await checked("GET", "/containers/json", 200)
    assert len(listed["Ports"]) == 2
    network = await checked("GET", "/networks/{id}", 200, name=created["Id"])
    assert list(network["Containers"]) == [shown["Id"]]
    await checked("GET", "/networks", 200)
    wanted = {"Container": "box", "EndpointConfig": {"Aliases": ["db"]}}
    for verb in ("disconnect", "connect"):
        answer = await connection.request("POST", f"/networks/mine/{verb}", wanted)
        assert (answer.status, answer.body) == (200, b"")
    await checked("POST", "/networks/{id}/connect", 403, name="mine", body=wanted)
    await checked("POST", "/networks/{id}/connect", 404, name="mine", body={"Container": "nobody"})
    await checked("POST", "/networks/{id}/connect", 404, name="nowhere", body=wanted)
    await checked("POST", "/networks/{id}/disconnect", 404, name="nowhere", body={"Container": "box"})
    await checked("DELETE", "/networks/{id}", 403, name="mine")
    await checked("DELETE", "/networks/{id}", 403, name="nat")
    await checked("DELETE", "/networks/{id}", 404, name="nowhere")
    await checked("GET", "/networks/{id}", 404, name="nowhere")
    await daemon.engine.remove("box", force=True)
    pruned = await checked("POST", "/networks/prune", 200)
    assert pruned["NetworksDeleted"] == ["mine"]


async def test_a_duplicate_is_a_conflict(connection: RawConnection) -> None:
    for status in (201, 409):
        answer = await connection.request("POST", "/networks/create", {"Name": "mine"})
        assert answer.status == status
    assert answer.json == {"message": "network with name mine already exists"}


@pytest.mark.parametrize(("version", "aliases"), [("v1.44", 2), ("v1.45", 1)])
async def test_older_clients_look_for_the_short_id_among_the_aliases(
    connection: RawConnection, daemon: Daemon, version: str, aliases: int
) -> None:
    await daemon.engine.networks.create(NetworkSpec("mine"))
    spec = ContainerSpec(IMAGE, cmd=("hang",), endpoints=(EndpointSpec("mine", ("db",)),))
    made = await daemon.engine.create(spec, "box")
    answer = await connection.request("GET", f"/{version}/containers/box/json")
    shown = answer.json["NetworkSettings"]["Networks"]["mine"]["Aliases"]
    assert shown == ["db", made.id[:12]][:aliases]


async def test_a_check_tells_of_networks_that_are_missing(daemon: Daemon) -> None:
    spec = ContainerSpec(IMAGE, endpoints=(EndpointSpec("mine"),))
    await daemon.engine.create(spec, "box")
    (finding,) = await daemon.engine.check(daemon.engine.unreported, repair=False)
    assert (finding.subject, finding.problem) == (
        "container box",
        "is in the network mine, which does not exist",
    )
    with pytest.raises(NotFound, match="network yours not found"):
        await daemon.engine.networks.disconnect("yours", "box", force=False)
    await daemon.engine.networks.disconnect("mine", "box", force=False)  # as the finding says
    assert await daemon.engine.check(daemon.engine.unreported, repair=False) == []
    await daemon.engine.networks.create(NetworkSpec("real"))
    daemon.fakes.networks.why_not = "this is a fake"
    (finding,) = await daemon.engine.check(daemon.engine.unreported, repair=False)
    assert (finding.subject, finding.problem) == ("networks", "are not on the host: this is a fake")


COMPOSE = """\
version: "2.4"
services:
  db:
    image: microsoft/nanoserver
    command: ["hang"]
    networks:
      back: {aliases: [store], ipv4_address: 10.30.0.9}
  web:
    image: microsoft/nanoserver
    command: ["hang"]
    ports: ["8080:80", "127.0.0.1:53:53/udp"]
    networks: [back, front]
networks:
  back:
    ipam: {config: [{subnet: 10.30.0.0/24}]}
  front: {}
"""


@pytest.mark.skipif(not shutil.which("docker-compose"), reason="docker-compose is not here")
async def test_compose(daemon: Daemon, short_folder: Path) -> None:
    folder = short_folder / "site"
    folder.mkdir()
    (folder / "docker-compose.yml").write_text(COMPOSE)
    compose = Docker("docker-compose", daemon.host, short_folder)
    file = ["--project-directory", str(folder), "-f", str(folder / "docker-compose.yml")]
    up = await compose(*file, "up", "-d", timeout=60)
    assert up.code == 0, up.err
    back = {one.ipv4: one for one in attached(daemon)}["10.30.0.9"]
    assert {"db", "store"} <= set(back.names)
    assert len(attached(daemon)) == 3
    again = await compose(*file, "up", "-d", timeout=60)
    assert again.err.count(b"up-to-date") == 2
    assert (await compose(*file, "port", "web", "80")).out == b"0.0.0.0:8080\n"
    down = await compose(*file, "down", timeout=60)
    assert down.code == 0, down.err
    assert daemon.fakes.networks.applied.attachments == ()
    assert [network.name for network in await daemon.engine.networks.list()] == ["nat", "none"]
