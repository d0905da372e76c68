from __future__ import annotations

import contextlib
import json

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from linwin.api import query
from linwin.errors import InvalidRequest


def asked(**parameters: str) -> web.Request:
    return make_mocked_request("GET", str(URL("/x").with_query(parameters)))


@pytest.mark.parametrize("text", ["", "0", "no", "No", "false", "FALSE", "none", " 0 "])
def test_false(text: str) -> None:
    assert query.flag(asked(a=text), "a", default=True) is False


@pytest.mark.parametrize("text", ["1", "true", "True", "yes", "anything"])
def test_true(text: str) -> None:
    assert query.flag(asked(a=text), "a") is True


def test_an_absent_flag_is_the_default() -> None:
    assert query.flag(asked(), "a") is False
    assert query.flag(asked(), "a", default=True) is True


def test_numbers() -> None:
    assert query.number(asked(t="-1"), "t") == -1
    assert query.number(asked(t=""), "t") is None
    assert query.number(asked(), "t") is None
    with pytest.raises(InvalidRequest) as caught:
        query.number(asked(t="1e3"), "t")
    assert str(caught.value) == "invalid value '1e3' for the query parameter t\nUse a whole number."


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("", 0),
        ("0", 0),
        ("1136073600", 1136073600 * 10**9),
        ("1136073600.000000001", 1136073600 * 10**9 + 1),
        ("1.5", 1_500_000_000),
        ("1.1234567899", 1_123_456_789),
        ("-62135596800", 0),
    ],
)
def test_times(text: str, nanoseconds: int) -> None:
    assert query.time_ns(asked(since=text), "since") == nanoseconds


@pytest.mark.parametrize("text", ["yesterday", "1.", ".5", "1 ", "2024-01-01", "9" * 30])
def test_malformed_times(text: str) -> None:
    with pytest.raises(InvalidRequest):
        query.time_ns(asked(since=text), "since")


@pytest.mark.parametrize(
    ("text", "lines"), [("all", None), ("", None), ("-1", None), ("x", None), ("0", 0), ("12", 12)]
)
def test_tail(text: str, lines: int | None) -> None:
    assert query.tail(asked(tail=text)) == lines


@pytest.mark.parametrize("form", [{"a": {"x": True, "y": False}}, {"a": ["x", "y"]}])
def test_both_forms_of_filters(form: object) -> None:
    assert query.filters(asked(filters=json.dumps(form)), {"a"}) == {"a": ("x", "y")}


def test_no_filters() -> None:
    assert query.filters(asked(), {"a"}) == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "invalid filter"),
        ("[]", "invalid filter"),
        ("[" * 100_000, "invalid filter"),
        ('{"b":["x"]}', "invalid filter 'b'"),
        ('{"a":"x"}', "invalid filter 'a'"),
        ('{"a":[1]}', "invalid filter 'a'"),
    ],
)
def test_malformed_filters(text: str, message: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        query.filters(asked(filters=text), {"a"})
    assert caught.value.message == message


@given(st.text(st.characters(codec="utf-8"), max_size=40))
def test_filters_fail_in_no_other_way(text: str) -> None:
    with contextlib.suppress(InvalidRequest):
        query.filters(asked(filters=text), {"a"})


def test_boolean_filters() -> None:
    assert query.boolean_filter({"d": ("true",)}, "d") is True
    assert query.boolean_filter({"d": ("0", "False")}, "d") is False
    assert query.boolean_filter({}, "d") is None
    with pytest.raises(InvalidRequest, match="invalid filter 'd=maybe'"):
        query.boolean_filter({"d": ("maybe",)}, "d")
