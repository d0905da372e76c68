"""What X-Registry-Auth says, in all the forms that clients send."""

from __future__ import annotations

import base64
import json

import pytest
from aiohttp.test_utils import make_mocked_request

from linwin.api.auth import credentials_of
from linwin.errors import InvalidRequest, LinwinError, Unsupported
from linwin.model.registry import Credentials


def sent(header: str | None) -> Credentials | None:
    headers = {} if header is None else {"X-Registry-Auth": header}
    return credentials_of(make_mocked_request("POST", "/images/create", headers=headers))


def encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


@pytest.mark.parametrize(
    "header", [None, "", encoded({}), encoded(None), encoded({"username": "", "auth": ""}), "e30"]
)
def test_nobody(header: str | None) -> None:
    assert sent(header) is None


def test_name_and_password() -> None:
    body = {"username": "me", "password": "s\u00e9cret?>", "serveraddress": "r.example:5000", "email": None}
    expected = Credentials("me", "s\u00e9cret?>", server="r.example:5000")
    url_safe = encoded(body)
    for header in (url_safe, url_safe.rstrip("="), url_safe.translate(str.maketrans("-_", "+/"))):
        assert sent(header) == expected


def test_an_identity_token() -> None:
    assert sent(encoded({"identitytoken": "t0k"})) == Credentials(identity_token="t0k")


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("?!", "invalid X-Registry-Auth header"),
        ("a", "invalid X-Registry-Auth header"),
        ("\u00e9", "invalid X-Registry-Auth header"),
        (base64.b64encode(b"\xff\xfe").decode(), "invalid X-Registry-Auth header"),
        (base64.b64encode(b"{secret").decode(), "invalid X-Registry-Auth header"),
        (base64.b64encode(b"[" * 40_000).decode(), "invalid X-Registry-Auth header"),
        (encoded(["me"]), "invalid JSON: the X-Registry-Auth header must be an object"),
        (encoded({"username": 7}), "invalid JSON: username must hold text"),
        (encoded({"username": "me", "password": "a\0b"}), "invalid JSON: password holds a zero character"),
    ],
)
def test_malformed(header: str, message: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        sent(header)
    assert caught.value.message == message


def test_a_bearer_token_is_refused() -> None:
    with pytest.raises(Unsupported) as caught:
        sent(encoded({"registrytoken": "t0k"}))
    assert caught.value.message == ("linwin does not support bearer tokens of a registry (registrytoken)")
    assert caught.value.hint == "Log in with a name and a password, or with an identity token."


def test_secrets_are_not_quoted() -> None:
    bad = [base64.b64encode(b'{"password": "hunter2" oops').decode(), encoded({"password": ["hunter2"]})]
    for header in bad:
        with pytest.raises(LinwinError) as caught:
            sent(header)
        assert "hunter2" not in str(caught.value)
