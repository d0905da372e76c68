"""Mounts, as the host tells an agent of them."""

from __future__ import annotations

import asyncio

import pytest

from linwin.errors import InvalidRequest, Unavailable, Unsupported
from linwin.guest import AgentGuest
from linwin.model.mount import GuestMount

from .conftest import ScriptedMachine

ABLE = ("mount", "unmount")
FOLDER = GuestMount("C:\\src", server="10.0.0.1", share="rw", user="0123456789ab-0", password="abc123")
FILE = GuestMount("D:\\note.txt", True, "10.0.0.1", "ro", "0123456789ab-1", "def456", "file")
MEMORY = GuestMount("C:\\tmp", size=1 << 20)


async def test_mounts_are_said_in_their_order(scripted: ScriptedMachine) -> None:
    guest, agent = await scripted.connect(capabilities=ABLE)
    mounting = asyncio.create_task(guest.mount([FOLDER, FILE, MEMORY]))
    number, request = await agent.request()
    assert request == {
        "op": "mount",
        "mounts": [
            {
                "target": "C:\\src",
                "read_only": False,
                "server": "10.0.0.1",
                "share": "rw",
                "user": "0123456789ab-0",
                "password": "abc123",
                "file": "",
                "size": 0,
            },
            {
                "target": "D:\\note.txt",
                "read_only": True,
                "server": "10.0.0.1",
                "share": "ro",
                "user": "0123456789ab-1",
                "password": "def456",
                "file": "file",
                "size": 0,
            },
            {
                "target": "C:\\tmp",
                "read_only": False,
                "server": "",
                "share": "",
                "user": "",
                "password": "",
                "file": "",
                "size": 1 << 20,
            },
        ],
    }
    agent.respond(number, {"ok": {}})
    await mounting
    await guest.close()


async def test_mounts_are_taken_away(scripted: ScriptedMachine) -> None:
    guest, agent = await scripted.connect(capabilities=ABLE)
    unmounting = asyncio.create_task(guest.unmount(timeout=10))
    number, request = await agent.request()
    assert request == {"op": "unmount"}
    agent.respond(number, {"ok": {}})
    await unmounting
    await guest.close()


@pytest.mark.parametrize(("kind", "error"), [("unavailable", Unavailable), ("invalid", InvalidRequest)])
async def test_the_agents_words_are_passed_on(
    scripted: ScriptedMachine, kind: str, error: type[Exception]
) -> None:
    guest, agent = await scripted.connect(capabilities=ABLE)
    for asking in (guest.mount([FOLDER]), guest.unmount(timeout=10)):
        task = asyncio.create_task(asking)
        number, _ = await agent.request()
        agent.respond(number, {"error": {"kind": kind, "message": "mount C:\\src: permission denied"}})
        with pytest.raises(error, match=r"^mount C:\\src: permission denied$"):
            await task
    await guest.close()


async def test_a_guest_that_does_not_unmount_is_given_up(scripted: ScriptedMachine) -> None:
    guest, agent = await scripted.connect(capabilities=ABLE)
    unmounting = asyncio.create_task(guest.unmount(timeout=0.01))
    await agent.request()
    with pytest.raises(Unavailable):
        await unmounting
    await guest.close()


async def test_an_older_agent_is_not_asked(scripted: ScriptedMachine) -> None:
    guest, _ = await scripted.connect(kind="wine", capabilities=("net", "forget"))
    with pytest.raises(Unavailable) as caught:
        await guest.mount([FOLDER])
    assert caught.value.message == "the guest's agent is too old for mounts"
    assert caught.value.hint == "rebuild its template: linwin template build NAME"
    await guest.close()


async def test_the_agent_of_this_host_mounts_nothing(guest: AgentGuest) -> None:
    assert not guest.hello.capabilities & set(ABLE)
    with pytest.raises(Unavailable, match=r"^this guest cannot mount files of the host$"):
        await guest.unmount(timeout=10)


async def test_a_guest_that_runs_on_c_is_not_asked(scripted: ScriptedMachine) -> None:
    guest, _ = await scripted.connect(kind="windows")
    assert guest.runs_on_c
    with pytest.raises(Unsupported) as caught:
        await guest.mount([FOLDER])
    assert caught.value.message == "Windows guests mount no files of the host yet"
    assert caught.value.hint == "Leave out -v and --mount; linwin cp copies files of a stopped container."
    await guest.close()


async def test_a_wine_guest_does_not_run_on_c(scripted: ScriptedMachine) -> None:
    guest, _ = await scripted.connect(kind="wine")
    assert not guest.runs_on_c
    await guest.close()
