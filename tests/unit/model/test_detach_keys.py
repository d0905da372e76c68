"""Detach keys: what they are called, and finding them in input."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linwin.model.detach import DetachScanner, parse_keys


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("", b"\x10\x11"),
        ("ctrl-p,ctrl-q", b"\x10\x11"),
        ("Ctrl-A", b"\x01"),
        ("a,ctrl-@,ctrl-[,ctrl-_", b"a\x00\x1b\x1f"),
        ("-", b"-"),
    ],
)
def test_names(text: str, keys: bytes) -> None:
    assert parse_keys(text) == keys


@pytest.mark.parametrize(
    ("text", "key"), [("ctrl-1", "ctrl-1"), ("ab", "ab"), ("a,,b", ""), ("ctrl-", "ctrl-"), ("ü", "ü")]
)
def test_names_that_are_none(text: str, key: str) -> None:
    with pytest.raises(ValueError, match=f"^unknown key '{key}'$"):
        parse_keys(text)


def test_the_beginning_of_the_keys_is_held_until_it_is_known() -> None:
    scanner = DetachScanner(b"\x10\x11")
    assert scanner.scan(b"a\x10") == (b"a", False)
    assert scanner.scan(b"b") == (b"\x10b", False)
    assert scanner.scan(b"\x10") == (b"", False)
    assert scanner.scan(b"\x10") == (b"\x10", False)
    assert scanner.scan(b"\x11later") == (b"", True)


@given(st.lists(st.binary(max_size=8)))
def test_input_without_the_keys_passes_whole(pieces: list[bytes]) -> None:
    scanner = DetachScanner(b"\x10\x11")
    passed, detached = b"", False
    for piece in [*(piece.replace(b"\x11", b"") for piece in pieces), b"x"]:
        more, detached = scanner.scan(piece)
        passed += more
    assert not detached
    assert passed == b"".join(piece.replace(b"\x11", b"") for piece in pieces) + b"x"
