"""The JSON of control frames, against the vectors shared with the agent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from linwin.errors import (
    CommandNotExecutable,
    CommandNotFound,
    Internal,
    InvalidRequest,
    LinwinError,
    NotFound,
    Unavailable,
)
from linwin.guest.messages import Failure, Malformed, parse_hello, parse_response

VECTORS = Path(__file__).parents[3] / "protocol" / "vectors" / "responses.json"


@pytest.mark.parametrize("vector", json.loads(VECTORS.read_text())["vectors"], ids=lambda v: str(v["name"]))
def test_vectors(vector: dict[str, Any]) -> None:
    payload = bytes.fromhex(vector["payload_hex"]) if "payload_hex" in vector else vector["payload"].encode()
    expected = vector["expect"]
    if "malformed" in expected:
        with pytest.raises(Malformed):
            parse_response(payload)
    elif "error" in expected:
        assert parse_response(payload) == Failure(**expected["error"])
    else:
        assert parse_response(payload) == expected["ok"]


def test_deep_nesting_is_malformed() -> None:
    with pytest.raises(Malformed, match="a control frame is no JSON"):
        parse_response(b"[" * 60000)


@pytest.mark.parametrize(
    "fields",
    [
        {"version": 1},
        {"session": 1, "version": 1},
        {"session": "", "version": True},
        {"session": "", "version": -1},
        {"session": "", "version": 1, "capabilities": [1]},
        {"session": "", "version": 1, "boot_id": []},
        {"session": "", "version": 1, "agent": 1},
    ],
)
def test_hellos_that_are_none(fields: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        parse_hello(json.dumps(fields).encode())


@pytest.mark.parametrize(
    ("kind", "of_command", "error"),
    [
        ("not-found", True, CommandNotFound),
        ("not-found", False, NotFound),
        ("not-executable", True, CommandNotExecutable),
        ("invalid", False, InvalidRequest),
        ("unavailable", False, Unavailable),
        ("internal", False, Internal),
        ("of a newer agent", False, Internal),
    ],
)
def test_error_kinds(kind: str, of_command: bool, error: type[LinwinError]) -> None:
    assert type(Failure(kind, "x").error(of_command=of_command)) is error


def test_a_guest_s_message_is_cut_and_cannot_steer_a_terminal() -> None:
    body = {"error": {"kind": "internal", "message": "\x1b[2Ja\nb" + "x" * 5000}}
    failure = parse_response(json.dumps(body).encode())
    assert isinstance(failure, Failure)
    assert failure.message.startswith(" [2Ja bxxx")
    assert len(failure.message) == 1000


def test_a_hello_says_which_agent_it_is_of() -> None:
    assert (
        parse_hello(b'{"session": "a", "version": 1, "agent": "0badcafe\\u001b[2J"}').agent == "0badcafe [2J"
    )
    assert parse_hello(b'{"session": "a", "version": 1}').agent == ""
