"""search, against a small server in the place of Docker Hub."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from linwin.errors import InvalidRequest, LinwinError, Unauthorized, Unavailable, Unsupported
from linwin.images import ImageStore
from linwin.images.aliases import Aliases
from linwin.images.registry.search import Search, split_term
from linwin.images.registry.web import Web
from linwin.model.registry import SearchResult
from linwin.paths import Paths
from tests.registry_server import RegistryServer, allow_plain_http, make_certificate

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
FOUND = {
    "results": [
        {
            "name": "nano/tools",
            "description": "Tools\n for nano",
            "star_count": 7,
            "is_official": True,
            "is_automated": False,
        },
        {"name": "else/nano"},
    ]
}
TOOLS = SearchResult("nano/tools", "Tools for nano", 7, official=True)
ELSE = SearchResult("else/nano")


@asynccontextmanager
async def serving(handler: Handler, context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A server that answers searches; yields its host and port."""
    app = web.Application()
    app.router.add_get("/v1/search", handler)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    try:
        host, port = runner.addresses[0][:2]
        yield f"{host}:{port}"
    finally:
        await runner.cleanup()


def answers(document: Any, status: int = 200) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        return web.Response(body=body, status=status)

    return handler


def search_in(paths: Paths, host: str) -> Search:
    return Search(paths.registries_conf, Aliases(paths.aliases), Web(), URL(f"http://{host}/"))


async def test_docker_hub_and_the_names_that_moved_from_it(paths: Paths) -> None:
    asked: list[dict[str, str]] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        asked.append(dict(request.query))
        return web.json_response(FOUND)

    async with serving(handler) as host:
        found = await search_in(paths, host).find("Nano", limit=0)
        moved = SearchResult("microsoft/nanoserver", "moved to mcr.microsoft.com/windows/nanoserver")
        assert found == [moved, TOOLS, ELSE]
        assert await search_in(paths, host).find("nano", limit=2) == [moved, TOOLS]
        assert await search_in(paths, host).find("docker.io/tools", limit=1) == [TOOLS]
    assert asked == [{"q": "Nano", "n": "25"}, {"q": "nano", "n": "2"}, {"q": "tools", "n": "1"}]


@pytest.mark.parametrize(
    ("handler", "kind", "message"),
    [
        (answers(b"", 500), Unavailable, "registry docker.io cannot be searched: it answers with status 500"),
        (
            answers(b"", 401),
            Unauthorized,
            "registry docker.io does not let its images be searched without a login",
        ),
        (answers(b"", 404), Unsupported, "registry docker.io has no search"),
        (
            answers(b" " * (5 << 20)),
            Unavailable,
            "registry docker.io answers a search with more than 4194304 bytes",
        ),
        (answers(b"<html>"), InvalidRequest, "the answer of registry docker.io is not valid JSON"),
        (
            answers({"results": ["x"]}),
            InvalidRequest,
            '"results" of the answer of registry docker.io holds something other than objects',
        ),
        (
            answers({"results": [{"name": 1}]}),
            InvalidRequest,
            '"name" of entry 1 of "results" of the answer of registry docker.io is not a string',
        ),
    ],
)
async def test_answers_that_are_none(
    paths: Paths, handler: Handler, kind: type[LinwinError], message: str
) -> None:
    async with serving(handler) as host:
        with pytest.raises(LinwinError) as caught:
            await search_in(paths, host).find("nothing", limit=5)
    assert (type(caught.value), caught.value.message) == (kind, message)


async def test_a_server_that_stalls(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("linwin.images.registry.search._TIMEOUT", aiohttp.ClientTimeout(total=0.2))
    released = asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        await released.wait()
        return web.Response()

    async with serving(handler) as host:
        with pytest.raises(Unavailable) as caught:
            await search_in(paths, host).find("nothing", limit=5)
        released.set()
    assert caught.value.message == "registry docker.io cannot be searched: it took too long"


async def test_nobody_listens(paths: Paths) -> None:
    with pytest.raises(Unavailable) as caught:
        await search_in(paths, "127.0.0.1:1").find("nothing", limit=5)
    assert caught.value.message == "registry docker.io cannot be searched: Connection refused"


async def test_another_registry(paths: Paths, tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(certificate, tmp_path / "key.pem")
    ours = ssl.create_default_context(cafile=certificate)
    async with serving(answers(FOUND), theirs) as host:
        trusting = Search(paths.registries_conf, Aliases(paths.aliases), Web(ssl_context=ours))
        assert await trusting.find(f"{host}/nano", limit=0) == [TOOLS, ELSE]
        with pytest.raises(Unavailable) as caught:
            await search_in(paths, "127.0.0.1:1").find(f"{host}/nano", limit=0)
    assert caught.value.message.startswith(f"registry {host} cannot be searched: ")
    assert "certificate verify failed" in caught.value.message


async def test_plain_http_only_where_it_is_allowed(paths: Paths) -> None:
    async with serving(answers(FOUND)) as host:
        store = ImageStore(paths)
        with pytest.raises(Unavailable, match="cannot be searched"):
            await store.search(f"{host}/nano", limit=0)
        allow_plain_http(paths, host)
        assert await store.search(f"{host}/nano", limit=0) == [TOOLS, ELSE]


async def test_a_registry_of_the_second_version(registry: RegistryServer, paths: Paths) -> None:
    registry.configure(paths)
    with pytest.raises(Unsupported) as caught:
        await ImageStore(paths).search(f"{registry.host}/nano", limit=0)
    assert caught.value.message == f"registry {registry.host} has no search"
    assert caught.value.hint == (
        "Registries of API version 2 have none; look its images up where it publishes them."
    )


async def test_through_a_proxy(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    """As everything else that leaves this host."""
    asked: list[str] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        asked.append(str(request.url))
        return web.json_response(FOUND)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{runner.addresses[0][1]}")
    monkeypatch.setenv("no_proxy", "other.invalid")
    try:
        assert TOOLS in await search_in(paths, "hub.invalid").find("tools", limit=3)
        assert asked == ["http://hub.invalid/v1/search?q=tools&n=3"]
        with pytest.raises(Unavailable):
            await search_in(paths, "other.invalid").find("tools", limit=3)
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(("limit", "shown"), [(-1, -1), (101, 101)])
async def test_a_limit_out_of_bounds(paths: Paths, limit: int, shown: int) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await ImageStore(paths).search("nano", limit=limit)
    assert caught.value.message == f"Limit {shown} is outside the range of [1, 100]"


@pytest.mark.parametrize(
    ("term", "expected"),
    [
        ("nano", ("docker.io", "nano")),
        ("microsoft/nano", ("docker.io", "microsoft/nano")),
        ("index.docker.io/nano", ("docker.io", "nano")),
        ("quay.io/some/nano", ("quay.io", "some/nano")),
        ("localhost/nano", ("localhost", "nano")),
        (" localhost:5000/nano ", ("localhost:5000", "nano")),
    ],
)
def test_what_a_term_names(term: str, expected: tuple[str, str]) -> None:
    assert split_term(term) == expected


@pytest.mark.parametrize(
    ("term", "message"),
    [
        ("", "a search needs a term to search for"),
        ("quay.io/", "a search needs a term to search for"),
        ("quay.io:x/nano", "quay.io:x is not the name of a registry"),
        ("..../nano", ".... is not the name of a registry"),
        (f"{'a' * 64}.io/nano", f"{'a' * 64}.io is not the name of a registry"),
        ("ada:secret@quay.io/nano", "ada:secret@quay.io is not the name of a registry"),
    ],
)
def test_what_a_term_does_not_name(term: str, message: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        split_term(term)
    assert caught.value.message == message


async def test_a_configuration_that_is_none(paths: Paths) -> None:
    paths.root.mkdir()
    paths.registries_conf.write_text("[[")
    with pytest.raises(InvalidRequest, match=f"cannot read {paths.registries_conf}: "):
        await ImageStore(paths).search("127.0.0.1:1/nano", limit=0)
