"""login against Debian's own registry."""

from __future__ import annotations

from pathlib import Path

import pytest

from linwin.errors import InvalidRequest, Unauthorized, Unavailable, Unsupported
from linwin.images import ImageStore
from linwin.model.registry import Credentials
from linwin.paths import Paths
from tests.registry_server import serve_registry


async def test_login(paths: Paths, tmp_path: Path) -> None:
    with serve_registry(tmp_path / "registry", users={"ada": "pass word-ü"}) as registry:
        registry.configure(paths)
        store = ImageStore(paths)
        for server in (registry.host, f"https://{registry.host}/v2/"):
            assert await store.login(Credentials("ada", "pass word-ü", server=server)) == "Login Succeeded"
        for user, password in (("ada", "wrong"), ("bob", "pass word-ü")):
            with pytest.raises(Unauthorized) as caught:
                await store.login(Credentials(user, password, server=registry.host))
            assert caught.value.message == (
                f"login to {registry.host} failed: unauthorized: incorrect username or password"
            )


async def test_login_where_nobody_listens(paths: Paths) -> None:
    with pytest.raises(Unavailable) as caught:
        await ImageStore(paths).login(Credentials("ada", "secret", server="127.0.0.1:1"))
    assert caught.value.message == "registry 127.0.0.1:1 cannot be reached: connection refused"


@pytest.mark.parametrize(
    "credentials",
    [
        Credentials("", "x"),
        Credentials("ada", ""),
        Credentials("ada", "two\nlines"),
        Credentials("a" * 200_000, "x"),
    ],
)
async def test_what_cannot_log_in(paths: Paths, credentials: Credentials) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await ImageStore(paths).login(credentials)
    assert caught.value.message == "login to docker.io needs a user name and a password of one line"


@pytest.mark.parametrize("server", ["--get-login", "hub example", "ada:secret@hub.example"])
async def test_what_is_no_registry(paths: Paths, server: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await ImageStore(paths).login(Credentials("ada", "secret", server=server))
    assert caught.value.message == f"{server} is not the name of a registry"


async def test_a_token_alone(paths: Paths) -> None:
    with pytest.raises(Unsupported) as caught:
        await ImageStore(paths).login(Credentials(identity_token="token", server="hub.example"))
    assert caught.value.message == "cannot log in to hub.example with an identity token alone"
    assert caught.value.hint == "Use a user name and a password, or an access token as the password."
