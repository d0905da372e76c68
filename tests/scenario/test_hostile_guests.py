"""Guests that break the protocol, beside one that does not: each fails its own container only.

The guest room is the real one; the agents behind the sockets are played.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from linwin.engine import lost
from linwin.engine.interfaces import Machine, Mold
from linwin.guest import AgentGuest, AgentGuests, frames
from linwin.guest import session as session_module
from linwin.guest.frames import FrameType
from linwin.host.sockets import listen
from tests.scenario.fakes import Fakes
from tests.scenario.harness import IMAGE, Daemon, Docker, make_root, served
from tests.scripted_agent import ScriptedAgent

STALL = object()
"""What an act returns after which the agent does nothing any more, not even read."""
Act = Callable[[ScriptedAgent], object]


@dataclass
class PlayedGuests:
    """Guests whose agents do what is asked, until the program runs that is to ``misbehave``."""

    misbehave: Act = field(default=lambda agent: None)
    ending: asyncio.Event = field(default_factory=asyncio.Event)
    """Programs that behave print a line and end once this is set."""
    _open: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def connect(self, machine: Machine | Mold, *, timeout: float) -> AgentGuest:
        server = await asyncio.start_unix_server(self._accept, sock=listen(machine.agent_socket))
        self._open.callback(server.close)
        return await AgentGuests().connect(machine, timeout=timeout)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        agent = ScriptedAgent(reader, writer)
        playing = asyncio.create_task(self._play(agent))
        self._open.push_async_callback(self._hang_up, writer, playing)

    async def _hang_up(self, writer: asyncio.StreamWriter, playing: asyncio.Task[None]) -> None:
        writer.transport.abort()
        await _cancelled(playing)

    async def _play(self, agent: ScriptedAgent) -> None:
        await agent.greet(capabilities=("net",))
        hostile = False
        while True:
            frame = await agent.receive()
            if frame.type is FrameType.PING:
                agent.send(frames.encode(FrameType.PONG, 0, frame.payload))
            if frame.type is not FrameType.REQUEST:
                continue
            request = json.loads(frame.payload)
            if request["op"] == "exec":
                hostile = "hostile" in json.dumps(request)
            if request["op"] != "wait":
                agent.respond(frame.stream, {"ok": {}})
            elif not hostile:
                self._open.push_async_callback(
                    _cancelled, asyncio.create_task(self._end(agent, frame.stream))
                )
            elif self.misbehave(agent) is STALL:
                return

    async def _end(self, agent: ScriptedAgent, number: int) -> None:
        """What a program that behaves prints, and its end."""
        await self.ending.wait()
        agent.send(frames.encode_data(1, 0, b"fine\n"), frames.encode_eof(1, 5), frames.encode_eof(2, 0))
        agent.respond(number, {"ok": {"exit_code": 0, "stdout": 5, "stderr": 0}})

    async def close(self) -> None:
        await self._open.aclose()


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def guests() -> AsyncIterator[PlayedGuests]:
    played = PlayedGuests()
    yield played
    await played.close()


@pytest.fixture
async def daemon(
    short_folder: Path, guests: PlayedGuests, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Daemon]:
    """As everywhere, with the real guest room."""
    monkeypatch.setattr(lost, "MACHINE_END_TIMEOUT", 0.05)
    monkeypatch.setattr(session_module, "QUIET", 0.2)
    monkeypatch.setattr(session_module, "DEAD", 1.0)
    fakes = Fakes(guests=guests)  # type: ignore[arg-type]
    async with served(fakes, make_root(short_folder)) as daemon:
        yield daemon
        for container in await daemon.engine.list():
            await daemon.engine.remove(container.id, force=True)
    assert not fakes.machines.running


def sends(*encoded: bytes) -> Act:
    return lambda agent: agent.send(*encoded)


def breaks_off(agent: ScriptedAgent) -> None:
    agent.send(frames.encode_data(1, 0, b"printed"), frames.encode_data(1, 7, b"half of it")[:15])
    agent.writer.close()


def falls_silent(agent: ScriptedAgent) -> object:
    agent.send(frames.encode_data(1, 0, b"printed"))
    return STALL


BROKE = "the guest's agent broke the protocol: "
HOSTILE: dict[str, tuple[Act, str]] = {
    "floods": (
        sends(*(frames.encode_data(1, i << 15, bytes(1 << 15)) for i in range(40))),
        BROKE + "stdout beyond its window",
    ),
    "floods with nothing": (
        sends(frames.encode(FrameType.EVENT, 0, b"") * 20_000),
        BROKE + "more than 10000 frames in 0.2 s that carry nothing",
    ),
    "stalls": (falls_silent, "the guest gave no sign of life for 1 s"),
    "lies about a length": (
        sends(frames.encode_data(1, 0, b"abc"), frames.encode_eof(1, 1 << 40)),
        BROKE + f"stdout ends at offset {1 << 40}, expected 3",
    ),
    "lies about a frame's length": (
        sends(frames.HEADER.pack(FrameType.DATA, 0, 1, 0xFFFF_FFFF)),
        BROKE + "torn frame (header)",
    ),
    "replays": (sends(frames.encode_data(1, 0, b"abc") * 2), BROKE + "stdout at offset 0, expected 3"),
    "replays an old session": (
        sends(frames.encode(FrameType.HELLO, 0, b'{"session":"old","version":1,"boot_id":"boot"}')),
        "the guest's agent dropped the session",
    ),
    "disconnects mid-frame": (breaks_off, "the guest closed the connection"),
    "speaks no JSON": (
        lambda agent: agent.send(frames.encode(FrameType.RESPONSE, 4, b"[" * 60_000)),
        BROKE + "a control frame is no JSON",
    ),
    "restarts its agent": (
        sends(frames.encode(FrameType.HELLO, 0, b'{"session":"","version":1,"boot_id":"another"}')),
        "the guest's agent started anew",
    ),
}


@pytest.mark.parametrize(("act", "sentence"), HOSTILE.values(), ids=HOSTILE.keys())
async def test_only_the_container_of_a_hostile_guest_fails(
    daemon: Daemon, docker: Docker, guests: PlayedGuests, act: Act, sentence: str
) -> None:
    guests.misbehave = act
    assert (await docker("run", "-d", "--name", "neighbour", IMAGE, "hang")).code == 0
    assert (await docker("run", "-d", "--name", "bad", IMAGE, "echo", "hostile")).code == 0
    assert (await docker("wait", "bad")).out == b"255\n"
    (bad,) = json.loads((await docker("inspect", "bad")).out)
    assert bad["State"]["Status"] == "exited"
    assert bad["State"]["Error"] == f"{sentence}; last console lines: Kernel panic: this is a fake"
    (neighbour,) = json.loads((await docker("inspect", "neighbour")).out)
    assert neighbour["State"]["Status"] == "running"
    guests.ending.set()
    assert (await docker("wait", "neighbour")).out == b"0\n"
    assert (await docker("logs", "neighbour")).out == b"fine\n"


async def test_what_a_guest_printed_before_it_was_lost_is_logged(
    daemon: Daemon, docker: Docker, guests: PlayedGuests
) -> None:
    guests.misbehave = breaks_off
    assert (await docker("run", "--name", "bad", IMAGE, "echo", "hostile")).out == b"printed"
    assert (await docker("logs", "bad")).out == b"printed"
