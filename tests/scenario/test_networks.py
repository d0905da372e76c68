"""Networks by docker's own command line: made, looked at, removed, and the ones that are always there."""

from __future__ import annotations

from typing import Any

import pytest

from linwin.errors import Unavailable
from linwin.model.container import ContainerSpec
from linwin.model.machine import FIRST_MAC, FIRST_NIC
from linwin.model.network import PortBinding
from tests.scenario.fakes.machine import FakeMachine
from tests.scenario.fakes.network import FakeNetworks
from tests.scenario.harness import IMAGE, Daemon, Docker
from tests.scenario.networking import attached, complaint, endpoint, inspected, ok
from tests.scenario.test_small_verbs import guest_of

UNAVAILABLE = "networks need root, and this daemon is not root"


# The default network


async def test_a_container_is_in_the_default_network_while_it_runs(docker: Docker, daemon: Daemon) -> None:
    assert daemon.fakes.networks.applied.networks == ()  # nobody has needed one
    await ok(docker, "run", "-d", "--name", "box", "--hostname", "desk", IMAGE, "hang")
    (nat,) = daemon.fakes.networks.applied.networks
    assert (nat.name, nat.subnets[0].subnet) == ("nat", "10.1.0.0/24")
    (attachment,) = attached(daemon)
    container = await daemon.engine.inspect("box")
    assert (attachment.network_id, attachment.container_id) == (nat.id, container.id)
    assert (attachment.ipv4, attachment.mac) == ("10.1.0.2", "02:42:0a:01:00:02")
    assert attachment.names == ("box", container.short_id, "desk")
    machine, guest = guest_of(daemon)
    assert machine.nics == {FIRST_NIC: attachment.mac}
    assert (machine.connected, attachment.nic, daemon.fakes.networks.taps) == (True, FIRST_NIC, [attachment])
    assert [(one.mac, one.found) for one in guest.interfaces.values()] == [(attachment.mac, FIRST_MAC)]
    shown = await endpoint(docker, "box", "nat")
    assert (shown["IPAddress"], shown["Gateway"], shown["IPPrefixLen"]) == ("10.1.0.2", "10.1.0.1", 24)
    assert (shown["NetworkID"], shown["EndpointID"]) == (nat.id, attachment.id)
    await ok(docker, "stop", "box")
    assert attached(daemon) == ()
    assert (await endpoint(docker, "box", "nat"))["IPAddress"] == ""
    assert (await inspected(docker, "box"))["HostConfig"]["NetworkMode"] == "nat"


@pytest.mark.parametrize("name", ["default", "bridge", "nat"])
async def test_the_default_network_has_several_names(docker: Docker, daemon: Daemon, name: str) -> None:
    await ok(docker, "run", "-d", "--network", name, IMAGE, "hang")
    (nat,) = daemon.fakes.networks.applied.networks
    assert nat.name == "nat"
    assert len(attached(daemon)) == 1


async def test_none_is_no_network(docker: Docker, daemon: Daemon) -> None:
    await ok(docker, "run", "-d", "--name", "box", "--network", "none", IMAGE, "hang")
    assert (attached(daemon), daemon.fakes.networks.applied.networks) == ((), ())
    assert guest_of(daemon)[0].nics == {}  # the one that its machine started with was taken out
    assert list((await inspected(docker, "box"))["NetworkSettings"]["Networks"]) == ["none"]
    done = await docker("network", "connect", "nat", "box")
    assert "container cannot be connected to multiple networks with one of the networks" in complaint(done)


async def test_a_guest_that_keeps_its_nic_runs_without_networks_all_the_same(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def keep(machine: FakeMachine, nic_id: str) -> None:
        raise Unavailable(f"the guest did not let go of nic-{nic_id} within 20 s")

    monkeypatch.setattr(FakeMachine, "unplug_nic", keep)
    made = await daemon.engine.create(ContainerSpec(IMAGE, cmd=("hang",), endpoints=()), "box")
    await daemon.engine.start("box")
    assert (await daemon.engine.inspect("box")).status == "running"
    assert f"container {made.id[:12]}: the guest did not let go of nic-first within 20 s" in caplog.text


async def test_a_cable_is_plugged_into_a_network_that_is_there(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before its tap has its name the host would make another; before there are rules all is allowed."""
    done: list[str] = []
    for kind, name in ((FakeNetworks, "name_tap"), (FakeNetworks, "apply"), (FakeMachine, "connect_nic")):
        step = getattr(kind, name)

        async def noted(*args: Any, step: Any = step, name: str = name, **options: Any) -> None:
            done.append(name)
            await step(*args, **options)

        monkeypatch.setattr(kind, name, noted)
    await daemon.engine.create(ContainerSpec(IMAGE, cmd=("hang",)), "box")
    await daemon.engine.start("box")
    assert done == ["name_tap", "apply", "connect_nic"]


async def test_the_predefined_networks(docker: Docker) -> None:
    listed = await ok(docker, "network", "ls", "--format", "{{.Name}} {{.Driver}} {{.Scope}}")
    assert listed.splitlines() == ["nat nat local", "none null local"]
    assert "nat is a pre-defined network and cannot be removed" in complaint(
        await docker("network", "rm", "nat")
    )
    made = await docker("network", "create", "none")
    assert "operation is not permitted on predefined none network" in complaint(made)


# Hosts without networks


async def test_a_host_without_networks_runs_what_needs_none(docker: Docker, daemon: Daemon) -> None:
    daemon.fakes.networks.why_not = UNAVAILABLE
    first = await docker("run", "--rm", IMAGE, "echo", "hi")
    assert (first.code, first.out) == (0, b"hi\n")
    assert f"containers have no network here: {UNAVAILABLE}" in first.err.decode()
    again = await docker("run", "--rm", IMAGE, "echo", "hi")
    assert (again.code, again.err) == (0, b"")  # told once
    for wish in (["-p", "80:80"], ["-P"], ["--network", "mine"], ["--ip", "10.0.0.7", "--network", "nat"]):
        assert UNAVAILABLE in complaint(await docker("run", *wish, IMAGE, "echo", "hi")), wish
    assert UNAVAILABLE in complaint(await docker("network", "create", "mine"))


async def test_a_container_that_needs_a_network_waits_for_a_host_that_has_them(
    docker: Docker, daemon: Daemon
) -> None:
    await ok(docker, "create", "--name", "box", "-p", "80:80", IMAGE, "hang")
    daemon.fakes.networks.why_not = UNAVAILABLE
    assert UNAVAILABLE in complaint(await docker("start", "box"))
    daemon.fakes.networks.why_not = ""
    await ok(docker, "start", "box")
    assert attached(daemon)[0].ports == (PortBinding(80, "tcp", "", 80),)


# Networks of the user's own


async def test_the_life_of_a_network(docker: Docker, daemon: Daemon) -> None:
    options = ["--subnet", "10.9.0.0/16", "--gateway", "10.9.0.254", "--ip-range", "10.9.4.0/24"]
    options += ["--aux-address", "router=10.9.4.0", "--internal", "--label", "team=blue", "-o", "a=b"]
    identity = await ok(docker, "network", "create", *options, "mine")
    shown = await inspected(docker, "mine", "network")
    assert shown["IPAM"]["Config"] == [
        {
            "Subnet": "10.9.0.0/16",
            "IPRange": "10.9.4.0/24",
            "Gateway": "10.9.0.254",
            "AuxiliaryAddresses": {"router": "10.9.4.0"},
        }
    ]
    assert (shown["Id"], shown["Internal"], shown["Labels"], shown["Options"]) == (
        identity, True, {"team": "blue"}, {"a": "b"},
    )  # fmt: skip
    await ok(docker, "run", "-d", "--name", "box", "--network", "mine", IMAGE, "hang")
    shown = await inspected(docker, identity[:8], "network")
    (inside,) = shown["Containers"].values()
    assert (inside["Name"], inside["IPv4Address"]) == ("box", "10.9.4.1/16")
    assert daemon.fakes.networks.applied.networks[0].id == identity
    refused = complaint(await docker("network", "rm", "mine"))
    container = await daemon.engine.inspect("box")
    assert (
        "error while removing network: network mine has active endpoints "
        f'(name:"box" id:"{container.short_id}")'
    ) in refused
    await ok(docker, "rm", "-f", "box")
    assert await ok(docker, "network", "rm", "mine") == "mine"
    assert daemon.fakes.networks.applied.networks == ()
    missing = complaint(await docker("network", "inspect", "mine"))
    assert "network mine not found" in missing or "No such network: mine" in missing  # 20.10's own words


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--subnet", "10.0.0.1/24"], "invalid subnet 10.0.0.1/24: it should be 10.0.0.0/24"),
        (["--subnet", "10.0.0.0/24", "--subnet", "10.2.0.0/24"], "driver doesn't support multiple subnets"),
        (["--subnet", "10.7.0.0/25"], "Pool overlaps with other one on this address space"),
        (["--subnet", "fd00::/64"], "an IPv6 subnet was given for a network without IPv6"),
        (["-d", "overlay"], "This node is not a swarm manager"),
        (["-d", "macvlan"], 'plugin "macvlan" not found'),
        (["-o", "com.docker.network.bridge.enable_icc=false"], "linwin does not support the network option"),
        (["-o", "com.docker.network.driver.mtu=9"], "invalid value '9' for com.docker.network.driver.mtu"),
        (["--ipv6", "-o", "com.docker.network.driver.mtu=1279"], "invalid value '1279' for"),
        (["--config-only"], "linwin does not support ConfigOnly networks"),
        (["--scope", "swarm"], "linwin does not support networks across hosts"),
    ],
)  # fmt: skip
async def test_what_is_no_network(docker: Docker, daemon: Daemon, options: list[str], words: str) -> None:
    await ok(docker, "network", "create", "--subnet", "10.7.0.0/16", "other")
    assert words in complaint(await docker("network", "create", *options, "mine"))
    assert [one.name for one in daemon.fakes.networks.applied.networks] == ["other"]


async def test_a_name_is_taken_once(docker: Docker) -> None:
    await ok(docker, "network", "create", "mine")
    assert "network with name mine already exists" in complaint(await docker("network", "create", "mine"))


async def test_listings_are_filtered(docker: Docker) -> None:
    await ok(docker, "network", "create", "--label", "team=blue", "first")
    second = await ok(docker, "network", "create", "second")
    await ok(docker, "run", "-d", "--network", "second", IMAGE, "hang")
    for text, names in (
        ("name=first", ["first"]),
        ("name=n", ["nat", "none", "second"]),
        (f"id={second[:10]}", ["second"]),
        ("label=team", ["first"]),
        ("label=team=red", []),
        ("driver=nat", ["first", "nat", "second"]),
        ("driver=null", ["none"]),
        ("type=builtin", ["nat", "none"]),
        ("type=custom", ["first", "second"]),
        ("scope=local", ["first", "nat", "none", "second"]),
        ("scope=swarm", []),
        ("dangling=true", ["first"]),
        ("dangling=false", ["nat", "none", "second"]),
    ):
        listed = await ok(docker, "network", "ls", "--filter", text, "--format", "{{.Name}}")
        assert sorted(listed.split()) == names, text
    done = await docker("network", "ls", "--filter", "type=odd")
    assert "invalid filter: 'type'='odd'" in complaint(done)


async def test_prune_removes_what_nobody_runs_in(docker: Docker, daemon: Daemon) -> None:
    for name in ("idle", "busy", "kept"):
        await ok(docker, "network", "create", *(["--label", "keep"] if name == "kept" else []), name)
    await ok(docker, "run", "-d", "--network", "busy", IMAGE, "hang")
    pruned = await ok(docker, "network", "prune", "-f", "--filter", "label!=keep")
    assert pruned.splitlines() == ["Deleted Networks:", "idle"]
    assert [one.name for one in daemon.fakes.networks.applied.networks] == ["busy", "kept"]


async def test_a_network_that_is_not_there_is_missed_at_the_start(docker: Docker, daemon: Daemon) -> None:
    await ok(docker, "create", "--name", "box", "--network", "mine", IMAGE, "hang")
    assert "network mine not found" in complaint(await docker("start", "box"))
    await ok(docker, "network", "create", "mine")
    await ok(docker, "start", "box")
    assert len(attached(daemon)) == 1
