"""The frame codec, against the vectors shared with the agent and against garbage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from linwin.guest import frames
from linwin.guest.frames import Frame, FrameDecoder, FrameType, Torn

PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""A busy machine is no finding."""

VECTORS = Path(__file__).parents[3] / "protocol" / "vectors"


def vectors(name: str) -> list[dict[str, Any]]:
    found = json.loads((VECTORS / name).read_text())["vectors"]
    assert found
    return list(found)


def expand(piece: str | dict[str, Any]) -> bytes:
    if isinstance(piece, str):
        return bytes.fromhex(piece)
    return bytes.fromhex(piece["repeat"]) * int(piece["count"])


def outcome(expected: dict[str, Any]) -> Frame | Torn:
    if "torn" in expected:
        return Torn(expected["torn"])
    payload = bytes.fromhex(expected.get("payload", ""))
    if "payload_repeat" in expected:
        payload = bytes.fromhex(expected["payload_repeat"]) * expected["payload_count"]
    return Frame(FrameType(expected["type"]), expected["stream"], payload)


def feed(decoder: FrameDecoder, data: bytes, size: int) -> list[Frame | Torn]:
    found: list[Frame | Torn] = []
    for at in range(0, len(data), size):
        found += decoder.feed(data[at : at + size])
    return found


@pytest.mark.parametrize("size", [1, 7, 4096, 1 << 20])
@pytest.mark.parametrize("vector", vectors("frames.json"), ids=lambda vector: str(vector["name"]))
def test_vectors(vector: dict[str, Any], size: int) -> None:
    decoder = FrameDecoder()
    found = feed(decoder, b"".join(expand(piece) for piece in vector["input"]), size)
    assert found == [outcome(expected) for expected in vector["expect"]]
    assert decoder.buffered == vector["pending"]


def test_encode_makes_the_vectors() -> None:
    compared = 0
    for vector in vectors("frames.json"):
        if len(vector["input"]) == len(vector["expect"]) == 1 and "torn" not in vector["expect"][0]:
            frame = outcome(vector["expect"][0])
            assert isinstance(frame, Frame)
            assert frames.encode(frame.type, frame.stream, frame.payload) == expand(vector["input"][0])
            compared += 1
    assert compared > 5


def test_encode_refuses_a_payload_that_no_frame_holds() -> None:
    with pytest.raises(ValueError, match="a frame carries at most 65525 bytes, not 65526"):
        frames.encode(FrameType.REQUEST, 1, bytes(frames.MAX_PAYLOAD + 1))


payloads = st.binary(max_size=300)
streams = st.integers(1, 2**32 - 1)
offsets = st.integers(0, 2**64 - 1)
encoded = st.one_of(
    st.builds(lambda p: (frames.encode(FrameType.HELLO, 0, p), Frame(FrameType.HELLO, 0, p)), payloads),
    st.builds(
        lambda s, p: (frames.encode(FrameType.REQUEST, s, p), Frame(FrameType.REQUEST, s, p)),
        streams,
        payloads,
    ),
    st.builds(
        lambda s, o, p: (frames.encode_data(s, o, p), Frame(FrameType.DATA, s, o.to_bytes(8, "big") + p)),
        streams,
        offsets,
        st.binary(min_size=1, max_size=300),
    ),
    st.builds(
        lambda s, o: (frames.encode_eof(s, o), Frame(FrameType.EOF, s, o.to_bytes(8, "big"))),
        streams,
        offsets,
    ),
)


@PATIENT
@given(st.lists(encoded, max_size=8), st.lists(st.integers(1, 400), min_size=1, max_size=8))
def test_any_chunking_gives_the_same_frames(sent: list[tuple[bytes, Frame]], sizes: list[int]) -> None:
    data = b"".join(wire for wire, _ in sent)
    decoder, found, at, turn = FrameDecoder(), [], 0, 0
    while at < len(data):
        size = sizes[turn % len(sizes)]
        found += decoder.feed(data[at : at + size])
        at, turn = at + size, turn + 1
    assert found == [frame for _, frame in sent]
    assert decoder.buffered == 0


@PATIENT
@given(st.lists(st.binary(max_size=2000), max_size=8))
def test_garbage_never_raises_and_is_not_kept(garbage: list[bytes]) -> None:
    decoder = FrameDecoder()
    for piece in garbage:
        decoder.feed(piece)
        assert decoder.buffered < frames.MAX_FRAME


@PATIENT
@given(st.binary(max_size=2000))
def test_a_resync_is_found_behind_any_garbage(garbage: bytes) -> None:
    decoder = FrameDecoder()
    decoder.feed(garbage)
    hello = frames.encode(FrameType.HELLO, 0, b"{}")
    assert decoder.feed(frames.RESYNC + hello)[-1] == Frame(FrameType.HELLO, 0, b"{}")
