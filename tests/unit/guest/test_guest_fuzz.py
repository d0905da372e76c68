"""Seeded damage to valid traffic: the decoder against a plain model, sessions against everything."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from linwin.errors import Unavailable
from linwin.guest import frames
from linwin.guest.frames import Frame, FrameDecoder, FrameType, Torn
from linwin.guest.messages import Failure, Malformed, parse_hello, parse_response
from linwin.model.guest import ProcessSpec
from tests.scripted_agent import ScriptedAgent

from .conftest import ScriptedMachine

PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""A busy machine is no finding."""

ROUNDS = 400
SESSIONS = 60
LENGTHS = {FrameType.EOF: 8, FrameType.CREDIT: 12, FrameType.PING: 8, FrameType.PONG: 8}
UNNUMBERED = {FrameType.HELLO, FrameType.EVENT, FrameType.PING, FrameType.PONG}


def model(data: bytes) -> Iterator[Frame | Torn]:
    """What protocol/README.md says of ``data``, all of which is at hand."""
    at = 0
    while at < len(data):
        if data[at] == frames.SENTINEL:
            run = len(data[at:]) - len(data[at:].lstrip(b"\xff"))
            at += run
            if at == len(data) or run >= frames.MIN_RUN:
                continue
            yield Torn.SENTINEL
        elif len(data) - at < frames.HEADER.size:
            return
        else:
            type, flags, stream, length = frames.HEADER.unpack_from(data, at)
            end = at + frames.HEADER.size + length
            if not possible(type, flags, stream, length):
                yield Torn.HEADER
                at += frames.HEADER.size
            elif end >= len(data):
                return
            elif data[end] != frames.END:
                yield Torn.END
                at = end + 1
            else:
                yield Frame(FrameType(type), stream, data[at + frames.HEADER.size : end])
                at = end + 1
                continue
        resync = data.find(b"\xff" * frames.MIN_RUN, at)
        if resync < 0:
            return
        at = resync


def possible(type: int, flags: int, stream: int, length: int) -> bool:
    if type not in list(FrameType) or flags or length > frames.MAX_PAYLOAD:
        return False
    if (stream == 0) != (type in UNNUMBERED):
        return False
    least = {FrameType.DATA: 9, FrameType.PART: 1}.get(FrameType(type), 0)
    return length == LENGTHS[FrameType(type)] if type in LENGTHS else length >= least


def traffic(chance: random.Random) -> bytes:
    """A valid session's frames, some of them long, some behind a resync."""
    pieces = []
    for _ in range(chance.randrange(1, 12)):
        stream, size = chance.randrange(1, 5), chance.choice([1, 7, 100, 5000, frames.MAX_DATA])
        pieces.append(
            chance.choice(
                [
                    frames.encode(FrameType.HELLO, 0, b'{"session":"x","version":1}'),
                    frames.encode(FrameType.RESPONSE, stream, b'{"ok":{}}'),
                    frames.encode_data(stream, chance.randrange(1 << 20), chance.randbytes(size)),
                    frames.encode_eof(stream, chance.randrange(1 << 20)),
                    frames.encode_credit(stream, 0, 1 << 20),
                    frames.encode(FrameType.PING, 0, chance.randbytes(8)),
                    frames.encode(FrameType.EVENT, 0, b""),
                    frames.RESYNC if chance.random() < 0.3 else b"\xff" * chance.randrange(1, 20),
                ]
            )
        )
    return b"".join(pieces)


def damaged(data: bytes, chance: random.Random) -> bytes:
    """``data`` with bits flipped, bytes lost, doubled, made up, or numbers made large."""
    spoilt = bytearray(data)
    for _ in range(chance.randrange(4)):
        at, length = chance.randrange(len(spoilt) + 1), chance.choice([1, 3, 9, 500])
        match chance.randrange(5):
            case 0:
                spoilt[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                del spoilt[at : at + length]
            case 2:
                spoilt[at:at] = spoilt[max(0, at - length) : at]
            case 3:
                spoilt[at:at] = chance.randbytes(length)
            case 4:
                spoilt[at : at + 4] = chance.choice(
                    [b"\xff\xff\xff\xff", b"\x00\x00\xff\xf5", b"\x7f\xff\xff\xff"]
                )
    return bytes(spoilt)


def chunks(data: bytes, chance: random.Random) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        size = chance.choice([1, 2, 9, 100, 4096, 70_000])
        yield data[at : at + size]
        at += size


@pytest.mark.parametrize("seed", range(8))
def test_the_decoder_finds_what_the_protocol_says(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(ROUNDS // 8):
        data = damaged(traffic(chance), chance)
        decoder, found = FrameDecoder(), []
        for piece in chunks(data, chance):
            found += decoder.feed(piece)
            assert decoder.buffered < frames.MAX_FRAME
        assert found == list(model(data))
        hello = Frame(FrameType.HELLO, 0, b"{}")
        assert decoder.feed(frames.RESYNC + frames.encode(FrameType.HELLO, 0, b"{}"))[-1] == hello


async def play(agent: ScriptedAgent, chance: random.Random) -> None:
    """Answer what is asked, and then send damaged traffic of the session's own streams."""
    number, _ = await agent.request()  # exec
    agent.respond(number, {"ok": {}})
    number, _ = await agent.request()  # wait
    exit_ = frames.encode(FrameType.RESPONSE, number, b'{"ok":{"exit_code":0,"stdout":5,"stderr":0}}')
    said = [frames.encode_data(1, 0, b"hello"), frames.encode_eof(1, 5), frames.encode_eof(2, 0), exit_]
    agent.send(damaged(b"".join(said), chance))
    if chance.random() < 0.5:
        agent.send(damaged(traffic(chance), chance))
    agent.writer.write_eof()


async def test_damaged_sessions_end_with_a_sentence_or_in_order(scripted: ScriptedMachine) -> None:
    """Neither a hang nor an error of another kind, whatever comes; the next session is none the worse."""
    mishaps: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: mishaps.append(context))
    told = set()
    for seed in range(SESSIONS):
        guest, agent = await scripted.connect()
        playing = asyncio.create_task(play(agent, random.Random(seed)))
        try:
            async with asyncio.timeout(20):
                process = await guest.spawn("p", ProcessSpec(("x",)))
                printed = b"".join([chunk.data async for chunk in process.output()])
                assert await process.wait() == 0
            told.add(printed)
        except Unavailable as lost:
            told.add(lost.message.partition(":")[0])
        await playing
        await guest.close()
    assert mishaps == []
    assert {b"hello", "the guest's agent broke the protocol", "the guest closed the connection"} <= told


TEXT = st.text(st.sampled_from('ok"\\\0\x1b\n\u2028\ud800\udfffé'), max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)
NAMES = st.sampled_from(["ok", "error", "session", "version", "capabilities", "kind", "boot_id", "message"])


@PATIENT
@given(st.dictionaries(NAMES, JSON))
def test_any_object_is_parsed_or_malformed(fields: dict[str, Any]) -> None:
    payload = json.dumps(fields).encode()
    for parse in (parse_hello, parse_response):
        try:
            parsed = parse(payload)
        except Malformed as refused:
            str(refused).encode()  # can be printed
        else:
            if isinstance(parsed, Failure):
                parsed.message.encode()


@PATIENT
@given(st.binary(max_size=200))
def test_any_bytes_are_parsed_or_malformed(payload: bytes) -> None:
    for parse in (parse_hello, parse_response):
        try:
            parse(payload)
        except Malformed:
            continue


@pytest.mark.parametrize(
    "payload",
    [
        b'{"ok":' * 20_000,
        b'{"ok":{"exit_code":' + b"9" * 60_000 + b"}}",
        b'{"ok":NaN}',
        b'{"error":{"kind":"x","message":["y"]}}',
        b'{"error":{"kind":1,"message":"y"}}',
        b'{"ok":{}}{"ok":{}}',
        b'{"ok":{}}\x00',
        b"\xef\xbb\xbf[]",
        b'{"ok":"\xff"}',
        b'"ok"',
        b"",
    ],
)
def test_messages_that_are_none(payload: bytes) -> None:
    with pytest.raises(Malformed):
        parse_response(payload)


def test_a_surrogate_in_a_message_can_be_printed() -> None:
    failure = parse_response(b'{"error":{"kind":"internal","message":"a\\ud800b"}}')
    assert failure == Failure("internal", "a b")
