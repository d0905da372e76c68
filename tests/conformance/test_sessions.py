"""Sessions follow one another, and none is disturbed by the one before."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from linwin.errors import InvalidRequest, Unavailable
from linwin.guest import AgentGuest, frames
from linwin.guest.frames import Frame, FrameDecoder, FrameType, encode
from linwin.guest.messages import Failure
from linwin.model.guest import Preparation

from .streams import TIMEOUT, collect, until
from .targets import Target

REQUESTS = Path(__file__).parents[2] / "protocol" / "vectors" / "requests.json"


async def test_the_hello_says_what_the_agent_is(target: Target) -> None:
    guest = await target.connect()
    assert guest.hello.kind == target.kind
    assert {"adopt", "exec", "ping", "prepare", "resize", "shutdown", "signal", "wait"} <= set(
        guest.hello.capabilities
    )
    assert guest.hello.max_request == 1 << 20
    await guest.close()
    again = await target.connect()
    assert again.hello.boot_id == guest.hello.boot_id != ""
    await again.close()


async def test_a_second_session_goes_on_where_the_first_broke_off(target: Target) -> None:
    first = await target.connect()
    process = await first.spawn("again", target.spec("line", "9", stdin=True))
    chunk = await anext(process.output())
    assert chunk.data == b"ready\n"
    await process.acknowledge(chunk)
    await process.write(b"wo")
    await first.close()
    with pytest.raises(Unavailable, match=r"^the session with the guest was closed\n"):
        await process.wait()

    second = await target.connect()
    adopted = await second.adopt("again", stdout=chunk.end, stderr=0)
    assert adopted is not None
    await adopted.write(b"rd\n")
    output = adopted.output()
    assert await until(output, b"\n") == b"got word\n"
    assert await adopted.wait() == 9
    await second.close()


async def test_an_ended_process_is_adopted_with_its_output_and_code(target: Target) -> None:
    first = await target.connect()
    process = await first.spawn("kept", target.spec("print", "kept"))
    assert await process.wait() == 0
    await first.close()
    second = await target.connect()
    adopted = await second.adopt("kept", stdout=0, stderr=0)
    assert adopted is not None
    assert await collect(adopted) == (b"kept\n", b"")
    assert await adopted.wait() == 0
    await second.close()
    third = await target.connect()
    with pytest.raises(InvalidRequest, match=r"^offset 0 is not among the kept bytes 5 to 5$"):
        await third.adopt("kept", stdout=0, stderr=0)
    assert await third.adopt("never started", stdout=0, stderr=0) is None
    await third.close()


async def test_a_flooding_process_outlives_its_session(target: Target) -> None:
    first = await target.connect()
    process = await first.spawn("flood", target.spec("flood"))
    chunk = await anext(process.output())
    await first.close()
    second = await target.connect()
    adopted = await second.adopt("flood", stdout=chunk.end, stderr=0)
    assert adopted is not None
    follows = await anext(adopted.output())
    assert (chunk.data + follows.data).startswith(b"flood\n" * 100)
    await adopted.signal("KILL")
    assert await adopted.wait() == 137
    await second.close()


async def test_a_host_that_breaks_off_in_a_frame_does_not_disturb_the_next(target: Target) -> None:
    async with raw_host(target) as host:
        host.write(b"\x02\x00\x00\x00\x00\x01\x00\x00\x40\x00{")
        await host.drain()
    guest = await target.connect()
    assert await collect(await guest.spawn("p", target.spec("print", "fine"))) == (b"fine\n", b"")
    await guest.close()


@pytest.mark.parametrize(
    "breach",
    [
        b"\x02\x00\x00\x00\x00\x01\x00\x00\x00\x02{}\x00",  # not closed by 7E
        b"\x63\x00\x00\x00\x00\x00\x00\x00\x00\x00\x7e",  # no such type
        encode(FrameType.RESPONSE, 1, b"{}"),  # not the host's to send
    ],
    ids=["torn", "impossible", "breach"],
)
async def test_a_breach_ends_the_session_and_only_that(target: Target, breach: bytes) -> None:
    async with raw_host(target) as host:
        await host.open("one")
        host.write(breach)
        assert await host.hello() == ""  # the agent says that it has no session
    guest = await target.connect()
    assert await (await guest.spawn("p", target.spec("exit", "4"))).wait() == 4
    await guest.close()


async def test_a_ping_is_answered_with_its_bytes(target: Target) -> None:
    async with raw_host(target) as host:
        await host.open("one")
        host.write(encode(FrameType.PING, 0, b"12345678"))
        frame = await host.next()
        assert (frame.type, frame.payload) == (FrameType.PONG, b"12345678")


async def test_a_silent_host_is_asked_for_a_sign_of_life(target: Target) -> None:
    async with raw_host(target) as host:
        await host.open("one")
        frame = await host.next()  # after 15 to 30 s of silence
        assert frame.type is FrameType.PING
        host.write(encode(FrameType.PONG, 0, frame.payload))


async def test_parts_without_an_end_end_the_session(target: Target, guest: AgentGuest) -> None:
    for number in range(17):
        guest._session.send(encode(FrameType.PART, 1000 + number, b"x" * 65_000))
    with pytest.raises(Unavailable, match=r"^the guest's agent dropped the session\n"):
        await guest.spawn("p", target.spec("exit", "0"))


async def test_prepare_is_answered(target: Target, guest: AgentGuest) -> None:
    if not target.own:
        pytest.skip("this guest is prepared already")
    if target.kind == "windows":
        # It sets the clock, which is this host's under Wine: to a time that is none.
        with pytest.raises(InvalidRequest, match=r"^set the clock: SetSystemTime: "):
            await guest.prepare(Preparation("name", "serial", -(1 << 62), b"\0\xff"))
    else:
        await guest.prepare(Preparation("name", "serial", 0, b"\0\xff"))


async def test_programs_go_on_while_a_guest_is_flushed(target: Target, guest: AgentGuest) -> None:
    process = await guest.spawn("p", target.spec("line", "4", stdin=True))
    output = process.output()
    await until(output, b"ready\n")
    await asyncio.gather(guest.flush(), guest.flush())
    await process.write(b"word\n")
    assert await until(output, b"\n") == b"got word\n"
    assert await process.wait() == 4


FILE_REQUESTS = frozenset({"stat", "get", "put", "drop"})


@pytest.mark.parametrize("vector", json.loads(REQUESTS.read_text())["vectors"], ids=lambda v: str(v["name"]))
async def test_request_vectors(target: Target, guest: AgentGuest, vector: dict[str, str]) -> None:
    if any(f'"op": "{request}"' in vector["payload"] for request in FILE_REQUESTS):
        target.needs("files")
    if vector["name"] in ("warm", "rehearse") and not target.own:
        pytest.skip("this guest is prepared already")
    if vector["name"].endswith("a guest that configures itself") and target.kind == "wine":
        pytest.skip("this guest is configured by its host")
    if vector["name"].endswith("in a guest that mounts nothing") and target.kind == "wine":
        pytest.skip("this guest mounts files of the host")
    if vector["name"] == "clock of a guest that has none" and target.kind != "linux":
        pytest.skip("this guest has a clock of its own")
    session = guest._session
    number = next(session._request_numbers)
    session._requests[number] = answer = asyncio.get_running_loop().create_future()
    session.send(encode(FrameType.REQUEST, number, vector["payload"].encode()))
    result = await asyncio.wait_for(answer, 30)
    if vector["kind"] is None:
        assert result == {}
        return
    assert isinstance(result, Failure)
    assert result.kind == vector["kind"]
    if vector["message"] is not None:
        assert result.message == vector["message"]


class RawHost:
    """A host that sends what it likes, and sees each frame that comes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._decoder = FrameDecoder()
        self._frames: deque[Frame] = deque()
        self.write = writer.write
        self.drain = writer.drain

    async def open(self, session: str) -> None:
        """Say hello as a host does, again whenever the agent has none, until the last ping is answered.

        An agent that notices late that the host before hung up says so, and is greeted once more;
        it then answers the greetings, and the pings that follow them, one by one.
        """
        hello = frames.RESYNC + encode(
            FrameType.HELLO, 0, json.dumps({"session": session, "version": 1}).encode()
        )
        hellos, pings = 1, 0
        self.write(hello)
        while True:
            frame = await self.next()
            if frame.type is FrameType.PONG and frame.payload == b"%d of %d" % (pings, hellos):
                return
            if frame.type is not FrameType.HELLO:
                continue
            if json.loads(frame.payload)["session"] == session:
                pings += 1
                self.write(encode(FrameType.PING, 0, b"%d of %d" % (pings, hellos)))
            else:
                hellos += 1
                self.write(hello)

    async def hello(self) -> str:
        """The session that the next frame, a hello, is of."""
        frame = await self.next()
        assert frame.type is FrameType.HELLO
        return str(json.loads(frame.payload)["session"])

    async def next(self) -> Frame:
        async with asyncio.timeout(TIMEOUT):
            while not self._frames:
                data = await self._reader.read(1 << 16)
                assert data, "the agent closed the connection"
                self._frames.extend(item for item in self._decoder.feed(data) if isinstance(item, Frame))
        return self._frames.popleft()


@asynccontextmanager
async def raw_host(target: Target) -> AsyncIterator[RawHost]:
    """One on the port of a target, which hangs up at the end, however that comes."""
    reader, writer = await asyncio.open_unix_connection(target.machine.agent_socket)
    try:
        yield RawHost(reader, writer)
    finally:
        writer.transport.abort()
