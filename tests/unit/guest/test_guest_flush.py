"""Flush, as the host asks an agent for it."""

from __future__ import annotations

import asyncio

import pytest

from linwin.errors import Unavailable
from linwin.guest import AgentGuest

from .conftest import ScriptedMachine


async def test_it_is_over_when_the_agent_says_so(scripted: ScriptedMachine) -> None:
    guest, agent = await scripted.connect(capabilities=("flush",))
    flushing = asyncio.create_task(guest.flush())
    number, request = await agent.request()
    assert request == {"op": "flush"}
    assert not flushing.done()
    agent.respond(number, {"ok": {}})
    await flushing
    await guest.close()


async def test_the_agents_words_are_passed_on(scripted: ScriptedMachine) -> None:
    guest, agent = await scripted.connect(capabilities=("flush",))
    flushing = asyncio.create_task(guest.flush())
    number, _ = await agent.request()
    sentence = "C: could not be written out: no space left on device"
    agent.respond(number, {"error": {"kind": "unavailable", "message": sentence}})
    with pytest.raises(Unavailable) as caught:
        await flushing
    assert caught.value.message == sentence
    await guest.close()


async def test_an_older_agent_is_not_asked(scripted: ScriptedMachine) -> None:
    guest, _ = await scripted.connect(kind="wine", capabilities=("mount", "unmount"))
    with pytest.raises(Unavailable) as caught:
        await guest.flush()
    assert caught.value.message == "the guest's agent is too old to write its disk out while programs run"
    assert caught.value.hint == (
        "stop the container first, or rebuild its template: linwin template build NAME"
    )
    await guest.close()


async def test_the_agent_of_this_host_has_nothing_to_write(guest: AgentGuest) -> None:
    await guest.flush()
