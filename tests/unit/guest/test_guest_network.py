"""NICs, as the host tells an agent of them."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from linwin.errors import InvalidRequest, Unavailable
from linwin.guest import AgentGuest
from linwin.model.guest import Preparation
from linwin.model.network import Interface

from .conftest import ScriptedMachine

VECTORS = Path(__file__).parents[3] / "protocol" / "vectors" / "interfaces.json"
SAID = [
    vector["interface"] for vector in json.loads(VECTORS.read_text())["vectors"] if vector["message"] is None
]
NIC = Interface("02:42:ac:1e:07:02", ("10.0.0.2/24",))
ABLE = ("forget", "net")


def interface(said: dict[str, Any]) -> Interface:
    """The value that the host says so."""
    return Interface(**{name: tuple(v) if isinstance(v, list) else v for name, v in said.items()})


@pytest.mark.parametrize("said", SAID, ids=lambda said: ",".join(said["addresses"]))
async def test_interfaces_are_said_as_the_vectors_are(
    scripted: ScriptedMachine, said: dict[str, Any]
) -> None:
    guest, agent = await scripted.connect(capabilities=ABLE)
    connecting = asyncio.create_task(guest.connect_interface(interface(said)))
    number, request = await agent.request()
    assert request == {"op": "net", "interface": said}
    agent.respond(number, {"ok": {}})
    await connecting
    preparing = asyncio.create_task(
        guest.prepare(Preparation("box", "linwin-c", 1, b"random", (interface(said), NIC)))
    )
    number, request = await agent.request()
    assert request["op"] == "prepare"
    assert request["interfaces"] == [said, json.loads(json.dumps(asdict(NIC)))]
    agent.respond(number, {"ok": {}})
    await preparing
    await guest.close()


async def test_an_interface_is_forgotten_by_its_mac(scripted: ScriptedMachine) -> None:
    guest, agent = await scripted.connect(capabilities=ABLE)
    forgetting = asyncio.create_task(guest.forget_interface(NIC.mac))
    number, request = await agent.request()
    assert request == {"op": "forget", "mac": NIC.mac}
    agent.respond(number, {"ok": {}})
    await forgetting
    await guest.close()


@pytest.mark.parametrize(("kind", "error"), [("unavailable", Unavailable), ("invalid", InvalidRequest)])
async def test_the_agents_words_are_passed_on(
    scripted: ScriptedMachine, kind: str, error: type[Exception]
) -> None:
    guest, agent = await scripted.connect(capabilities=ABLE)
    connecting = asyncio.create_task(guest.connect_interface(NIC))
    number, _ = await agent.request()
    agent.respond(number, {"error": {"kind": kind, "message": "find the NIC: there is none"}})
    with pytest.raises(error, match=r"^find the NIC: there is none$"):
        await connecting
    await guest.close()


async def test_an_older_agent_is_not_asked(scripted: ScriptedMachine) -> None:
    guest, _ = await scripted.connect(kind="wine")
    started_with_one = Preparation("box", "linwin-c", 1, interfaces=(NIC,))
    for asking in (
        guest.connect_interface(NIC),
        guest.forget_interface(NIC.mac),
        guest.prepare(started_with_one),
    ):
        with pytest.raises(Unavailable) as caught:
            await asking
        assert caught.value.message == "the guest's agent is too old for networks"
        assert caught.value.hint == "rebuild its template: linwin template build NAME"
    await guest.close()


async def test_an_older_agent_prepares_a_container_without_networks(scripted: ScriptedMachine) -> None:
    guest, agent = await scripted.connect(kind="wine")
    preparing = asyncio.create_task(guest.prepare(Preparation("box", "linwin-c", 1)))
    number, request = await agent.request()
    assert request["interfaces"] == []
    agent.respond(number, {"ok": {}})
    await preparing
    await guest.close()


async def test_a_guest_that_configures_itself_is_not_asked(scripted: ScriptedMachine) -> None:
    guest, agent = await scripted.connect(kind="windows")
    await guest.connect_interface(NIC)
    await guest.forget_interface(NIC.mac)
    preparing = asyncio.create_task(guest.prepare(Preparation("box", "", 1, interfaces=(NIC,))))
    number, request = await agent.request()
    assert request["op"] == "prepare"
    agent.respond(number, {"ok": {}})
    await preparing
    await guest.close()


async def test_the_agent_of_this_host_leaves_its_networks_alone(guest: AgentGuest) -> None:
    assert not guest.hello.capabilities & set(ABLE)
    assert "clock" in guest.hello.capabilities
