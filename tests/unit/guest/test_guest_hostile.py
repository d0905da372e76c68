"""Agents that are late, dead, broken or hostile: each fails only its own session."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from linwin.errors import Unavailable
from linwin.guest import AgentGuests, GuestProcess, frames
from linwin.guest import session as session_module
from linwin.guest.frames import FrameType
from linwin.guest.streams import WINDOW
from linwin.model.guest import ProcessSpec
from linwin.model.machine import MachineExit
from tests.scripted_agent import ScriptedAgent

from .conftest import FakeMachine, ScriptedMachine

HINT = "\nstart the container again; its console log may say more"


async def test_an_agent_that_stays_silent(scripted: ScriptedMachine) -> None:
    with pytest.raises(Unavailable) as caught:
        await AgentGuests().connect(scripted, timeout=0.1)
    assert (
        str(caught.value)
        == "agent did not say hello within 0.1 s; last console lines: kernel: hi | agent: ho"
    )
    await (await scripted.agent()).closed()


async def test_a_machine_that_ends_before_the_hello(scripted: ScriptedMachine) -> None:
    connecting = asyncio.create_task(AgentGuests().connect(scripted, timeout=10))
    agent = await scripted.agent()
    agent.writer.close()
    scripted.console = ()
    scripted.exited.set_result(MachineExit(1))
    with pytest.raises(Unavailable) as caught:
        await connecting
    assert str(caught.value) == "the machine ended before its agent said hello; last console lines: (none)"


async def test_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as caught:
        await AgentGuests().connect(FakeMachine(tmp_path / "none.sock"), timeout=10)
    assert str(caught.value) == "cannot connect to the guest's agent: No such file or directory"


async def test_a_cancelled_connect_lets_go(scripted: ScriptedMachine) -> None:
    connecting = asyncio.create_task(AgentGuests().connect(scripted, timeout=10))
    agent = await scripted.agent()
    connecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await connecting
    await agent.closed()


async def test_another_version(scripted: ScriptedMachine) -> None:
    connecting = asyncio.create_task(AgentGuests().connect(scripted, timeout=10))
    agent = await scripted.agent()
    session = json.loads((await agent.receive()).payload)["session"]
    agent.say_hello(session, version=2)
    with pytest.raises(Unavailable) as caught:
        await connecting
    assert str(caught.value) == (
        "the guest's agent speaks protocol version 2, linwin speaks 1\n"
        "rebuild its template: linwin template build NAME"
    )


async def test_a_malformed_hello(scripted: ScriptedMachine) -> None:
    connecting = asyncio.create_task(AgentGuests().connect(scripted, timeout=10))
    (await scripted.agent()).send(frames.encode(FrameType.HELLO, 0, b"[]"))
    with pytest.raises(
        Unavailable, match=r"^the guest's agent broke the protocol: a control frame is no JSON object\n"
    ):
        await connecting


async def test_stale_bytes_before_the_hello_are_dropped(scripted: ScriptedMachine) -> None:
    connecting = asyncio.create_task(AgentGuests().connect(scripted, timeout=10))
    agent = await scripted.agent()
    agent.send(b"\x05\x00garbage", frames.encode(FrameType.REQUEST, 1, b"{}")[:-3])
    agent.say_hello("of an earlier session")
    agent.send(frames.encode_data(3, 0, b"old"), frames.encode_data(3, 3, b"older")[:12])
    await agent.greet()
    guest = await connecting
    await guest.close()


async def test_a_session_that_a_late_hang_up_ended_is_opened_again(scripted: ScriptedMachine) -> None:
    connecting = asyncio.create_task(AgentGuests().connect(scripted, timeout=10))
    first = await scripted.agent()
    hello = await first.receive()
    first.say_hello(json.loads(hello.payload)["session"])
    first.say_hello("")  # it has noticed only now that the host before is gone
    await first.closed()
    await (await scripted.agent()).greet()
    guest = await connecting
    await guest.close()


async def test_an_agent_that_starts_late_is_greeted_again(scripted: ScriptedMachine) -> None:
    connecting = asyncio.create_task(AgentGuests().connect(scripted, timeout=10))
    agent = await scripted.agent()
    await agent.receive()  # and lose it
    agent.say_hello("")
    await agent.greet()
    guest = await connecting
    await guest.close()


async def spawn(scripted: ScriptedMachine, *, stdin: bool = False) -> tuple[GuestProcess, ScriptedAgent]:
    """A process in a scripted guest, whose streams are 1 and 2 (stdin: 3)."""
    guest, agent = await scripted.connect()
    spawning = asyncio.create_task(guest.spawn("p", ProcessSpec(("x",), stdin=stdin)))
    number, request = await agent.request()
    assert request["streams"] == {"stdin": 3 if stdin else 0, "stdout": 1, "stderr": 2, "window": WINDOW}
    agent.respond(number, {"ok": {}})
    return await spawning, agent


def break_off(agent: ScriptedAgent) -> None:
    agent.send(frames.encode_data(1, 0, b"whole")[:15])
    agent.writer.close()


HOSTILE: list[tuple[str, Callable[[ScriptedAgent], None], str]] = [
    (
        "closes",
        lambda agent: agent.writer.close(),
        "the guest closed the connection",
    ),
    (
        "breaks off in a frame",
        break_off,
        "the guest closed the connection",
    ),
    (
        "tears a frame",
        lambda agent: agent.send(frames.encode_data(1, 0, b"x")[:-1] + b"!"),
        "the guest's agent broke the protocol: torn frame (end)",
    ),
    (
        "sends garbage",
        lambda agent: agent.send(b"GET / HTTP/1.1\r\n\r\n"),
        "the guest's agent broke the protocol: torn frame (header)",
    ),
    (
        "sends on a stream that nobody opened",
        lambda agent: agent.send(frames.encode_data(99, 0, b"x")),
        "the guest's agent broke the protocol: stream 99 is not open",
    ),
    (
        "skips bytes",
        lambda agent: agent.send(frames.encode_data(1, 5, b"x")),
        "the guest's agent broke the protocol: stdout at offset 5, expected 0",
    ),
    (
        "sends beyond its window",
        lambda agent: agent.send(*(frames.encode_data(1, i << 15, bytes(1 << 15)) for i in range(33))),
        "the guest's agent broke the protocol: stdout beyond its window",
    ),
    (
        "lies about a stream's length",
        lambda agent: agent.send(frames.encode_eof(2, 7)),
        "the guest's agent broke the protocol: stderr ends at offset 7, expected 0",
    ),
    (
        "goes on after a stream's end",
        lambda agent: agent.send(frames.encode_eof(1, 0), frames.encode_data(1, 0, b"x")),
        "the guest's agent broke the protocol: stream 1 is not open",
    ),
    (
        "gives credit for its own stream",
        lambda agent: agent.send(frames.encode_credit(1, 0, 1)),
        "the guest's agent broke the protocol: credit for stdout, which only the host may give",
    ),
    (
        "sends requests",
        lambda agent: agent.send(frames.encode(FrameType.REQUEST, 1, b"{}")),
        "the guest's agent broke the protocol: a request, which only the host may send",
    ),
    (
        "answers with garbage",
        lambda agent: agent.send(frames.encode(FrameType.RESPONSE, 3, b"{nope")),
        "the guest's agent broke the protocol: a control frame is no JSON",
    ),
    (
        "keeps the host busy with nothing",
        lambda agent: agent.send(frames.encode(FrameType.EVENT, 0, b"") * 10_001),
        "the guest's agent broke the protocol: more than 10000 frames in 10 s that carry nothing",
    ),
    (
        "answers what nobody asked",
        lambda agent: agent.send(frames.encode(FrameType.RESPONSE, 99, b'{"ok": {}}') * 10_001),
        "the guest's agent broke the protocol: more than 10000 frames in 10 s that carry nothing",
    ),
    (
        "repeats old frames",
        lambda agent: agent.send(frames.encode_data(1, 0, b"x") * 2),
        "the guest's agent broke the protocol: stdout at offset 0, expected 1",
    ),
    (
        "gives one that was never asked for part of a request",
        lambda agent: agent.send(frames.encode(FrameType.PART, 1, b"x")),
        "the guest's agent broke the protocol: a request, which only the host may send",
    ),
    (
        "drops the session",
        lambda agent: agent.say_hello(""),
        "the guest's agent dropped the session",
    ),
    (
        "starts anew",
        lambda agent: agent.say_hello("", boot_id="another"),
        "the guest's agent started anew",
    ),
]


@pytest.mark.parametrize(("act", "sentence"), [h[1:] for h in HOSTILE], ids=[h[0] for h in HOSTILE])
async def test_a_hostile_guest_loses_its_session(
    scripted: ScriptedMachine, act: Callable[[ScriptedAgent], None], sentence: str
) -> None:
    process, agent = await spawn(scripted)
    act(agent)
    for doomed in (process.wait(), process.signal("TERM"), drain(process)):
        with pytest.raises(Unavailable) as caught:
            await asyncio.wait_for(doomed, 10)
        assert str(caught.value) == sentence + HINT
    await process.write(b"to nobody")
    if not agent.writer.is_closing():
        await agent.closed()


async def test_a_window_of_single_bytes_is_few_chunks(scripted: ScriptedMachine) -> None:
    process, agent = await spawn(scripted)
    count = 100_000
    agent.send(*(frames.encode_data(1, i, b"%d" % (i % 10)) for i in range(count)))
    agent.send(
        frames.encode_eof(1, count), frames.encode_eof(2, 0), frames.encode(FrameType.PING, 0, bytes(8))
    )
    while (await agent.receive()).type is not FrameType.PONG:
        pass
    chunks = [chunk async for chunk in process.output()]
    assert b"".join(chunk.data for chunk in chunks) == b"0123456789" * (count // 10)
    assert chunks[-1].end == count
    assert len(chunks) <= count // 2048


async def test_a_credit_that_grants_nothing_new_is_counted(scripted: ScriptedMachine) -> None:
    process, agent = await spawn(scripted, stdin=True)
    agent.send(frames.encode_credit(3, 0, 4) * 10_002)
    with pytest.raises(Unavailable, match=r"more than 10000 frames in 10 s that carry nothing"):
        await process.wait()


async def drain(process: GuestProcess) -> None:
    async for _ in process.output():
        pass


async def test_an_exit_code_that_is_none(scripted: ScriptedMachine) -> None:
    process, agent = await spawn(scripted)
    number, request = await agent.request()
    assert request == {"op": "wait", "process": "p"}
    agent.respond(number, {"ok": {"exit_code": -1}})
    with pytest.raises(Unavailable) as caught:
        await process.wait()
    sentence = "the guest's agent broke the protocol: exit_code is no number from 0 to 4294967295"
    assert str(caught.value) == sentence + HINT


async def test_stdin_keeps_to_the_credit(scripted: ScriptedMachine) -> None:
    process, agent = await spawn(scripted, stdin=True)
    writing = asyncio.create_task(process.write(b"abcdef"))
    await agent.request()  # wait
    agent.send(frames.encode_credit(3, 0, 4))
    frame = await agent.receive()
    assert (frame.type, frames.split_data(frame.payload)) == (FrameType.DATA, (0, b"abcd"))
    assert not writing.done()
    agent.send(frames.encode_credit(3, 4, 4))
    frame = await agent.receive()
    assert frames.split_data(frame.payload) == (4, b"ef")
    await writing
    await process.close_stdin()
    frame = await agent.receive()
    assert (frame.type, frames.stream_length(frame.payload)) == (FrameType.EOF, 6)


async def test_pings_are_answered_and_events_ignored(scripted: ScriptedMachine) -> None:
    guest, agent = await scripted.connect()
    agent.send(
        frames.encode(FrameType.EVENT, 0, b"not even JSON"), frames.encode(FrameType.PING, 0, b"abcdefgh")
    )
    frame = await agent.receive()
    assert (frame.type, frame.payload) == (FrameType.PONG, b"abcdefgh")
    await guest.close()
    await guest.close()


async def test_a_guest_that_pings_and_does_not_read(
    scripted: ScriptedMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_module, "MAX_UNSENT", 1 << 16)
    process, agent = await spawn(scripted)
    ping = frames.encode(FrameType.PING, 0, bytes(8))
    agent.send(ping * 200_000)
    with pytest.raises(Unavailable, match=r"^the guest's agent stopped reading\n"):
        await asyncio.wait_for(process.wait(), 20)


async def test_a_silent_guest_is_asked_and_then_given_up(
    scripted: ScriptedMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_module, "QUIET", 0.05)
    monkeypatch.setattr(session_module, "DEAD", 0.2)
    process, agent = await spawn(scripted)
    await agent.request()  # wait
    assert (await agent.receive()).type is FrameType.PING
    with pytest.raises(Unavailable, match=r"^the guest gave no sign of life for 0\.2 s\n"):
        await asyncio.wait_for(process.wait(), 10)


async def test_a_guest_that_lives_but_does_not_answer(scripted: ScriptedMachine) -> None:
    guest, agent = await scripted.connect()
    with pytest.raises(Unavailable) as caught:
        await guest.shutdown(timeout=0.05)
    assert str(caught.value) == "the guest did not answer shutdown within 0.05 s" + HINT
    number, _ = await agent.request()
    agent.respond(number, {"ok": {}})  # late: nobody minds
    pinging = asyncio.create_task(guest._session.request("ping", timeout=5))
    number, request = await agent.request()
    assert request == {"op": "ping"}
    agent.respond(number, {"ok": {}})
    assert await pinging == {}
    await guest.close()


async def test_a_halted_guest_owes_no_sign_of_life(
    scripted: ScriptedMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_module, "QUIET", 0.02)
    monkeypatch.setattr(session_module, "DEAD", 0.1)
    guest, _ = await scripted.connect()
    guest.rest(True)
    waiting = guest._session.start_request("ping")
    assert await asyncio.wait({waiting}, timeout=0.4) == (set(), {waiting})
    guest.rest(False)
    with pytest.raises(Unavailable, match=r"^the guest gave no sign of life for 0\.1 s\n"):
        await waiting
