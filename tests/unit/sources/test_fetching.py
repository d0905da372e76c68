"""ADD of an address."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import pytest
from aiohttp import web

from linwin.errors import InvalidRequest, Unavailable
from linwin.model.build import Fetched
from linwin.sources import BuildSources
from linwin.sources import web as fetching
from tests.unit.sources.servers import serving

DATA = bytes(range(256)) * 9000


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@pytest.mark.parametrize(
    ("path", "name"),
    [("/file.zip", "file.zip"), ("/file/a/b.txt?c=d#e", "b.txt"), ("/file/", ""), ("/file/a%2Fb", "b")],
)
async def test_a_file_is_fetched_by_its_name(
    path: str, name: str, sources: BuildSources, tmp_path: Path
) -> None:
    async with serving(file=DATA) as address:
        assert await sources.fetch(address + path, tmp_path / "x") == Fetched(name, digest(DATA))
    assert (tmp_path / "x").read_bytes() == DATA


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ({"Last-Modified": "Sun, 13 Sep 2020 12:26:40 GMT"}, 1_600_000_000),
        ({"Last-Modified": "yesterday"}, 0),
        ({}, 0),
    ],
)
async def test_it_is_as_old_as_its_server_says(
    header: dict[str, str], seconds: int, sources: BuildSources, tmp_path: Path
) -> None:
    async with serving(file=web.Response(body=b"1", headers=header)) as address:
        await sources.fetch(f"{address}/file", tmp_path / "x")
    assert (tmp_path / "x").stat().st_mtime == seconds


async def test_what_is_compressed_stays_so(sources: BuildSources, tmp_path: Path) -> None:
    packed = web.Response(body=b"\x1f\x8b123", headers={"Content-Encoding": "gzip"})
    async with serving(file=packed) as address:
        await sources.fetch(f"{address}/file", tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == b"\x1f\x8b123"


async def test_redirects_are_followed_ten_times(sources: BuildSources, tmp_path: Path) -> None:
    async def onward(request: web.Request) -> web.StreamResponse:
        left = int(request.match_info["rest"])
        raise web.HTTPFound(f"/onward{left - 1}" if left else "/file")

    async with serving(onward=onward, file=b"1") as address:
        assert await sources.fetch(f"{address}/onward8", tmp_path / "x") == Fetched("onward8", digest(b"1"))
        with pytest.raises(Unavailable) as failure:
            await sources.fetch(f"{address}/onward20", tmp_path / "y")
    assert failure.value.message == f"{address}/onward20 redirects more than 10 times"
    assert not (tmp_path / "y").exists()


@pytest.mark.parametrize(
    ("status", "kind", "said", "hint"),
    [
        (404, InvalidRequest, "404 Not Found", "Check the address."),
        (403, InvalidRequest, "403 Forbidden", "Check the address."),
        (429, Unavailable, "429 Too Many Requests", "Try again later."),
        (503, Unavailable, "503 Service Unavailable", "Try again later."),
        (204, InvalidRequest, "204 No Content", "Check the address."),
    ],
)
async def test_what_a_server_refuses_is_said(
    status: int,
    kind: type[InvalidRequest | Unavailable],
    said: str,
    hint: str,
    sources: BuildSources,
    tmp_path: Path,
) -> None:
    async with serving(file=web.Response(status=status)) as address:
        with pytest.raises(kind) as failure:
            await sources.fetch(address.replace("//", "//me:secret@") + "/file", tmp_path / "x")
    assert failure.value.message == f"failed to GET {address}/file with status {said}"
    assert failure.value.hint == hint
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("address", ["file:///etc/passwd", "ftp://host/x", "https://", "http:///x", "x"])
async def test_other_addresses_are_refused(address: str, sources: BuildSources, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        await sources.fetch(address, tmp_path / "x")
    assert refusal.value.message == f"{address} is not an address of http or https"


async def test_a_redirect_leads_to_the_web_alone(sources: BuildSources, tmp_path: Path) -> None:
    away = web.Response(status=302, headers={"Location": "file:///etc/passwd"})
    async with serving(file=away) as address:
        with pytest.raises((InvalidRequest, Unavailable)):
            await sources.fetch(f"{address}/file", tmp_path / "x")
    assert not (tmp_path / "x").exists()


async def test_a_server_that_is_not_there(sources: BuildSources, tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as failure:
        await sources.fetch("http://127.0.0.1:1/x", tmp_path / "x")
    assert failure.value.message == "cannot fetch http://127.0.0.1:1/x: Connection refused"
    assert failure.value.hint == "Check the address, and that this host can reach it."


async def test_a_file_that_breaks_off_is_no_file(sources: BuildSources, tmp_path: Path) -> None:
    async def break_off(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b"1" * 10)
        assert request.transport is not None
        request.transport.close()
        return response

    async with serving(file=break_off) as address:
        with pytest.raises(Unavailable) as failure:
            await sources.fetch(f"{address}/file", tmp_path / "x")
    assert failure.value.message.startswith(f"cannot fetch {address}/file: ")
    assert not (tmp_path / "x").exists()


async def test_a_server_that_falls_silent(
    sources: BuildSources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "SILENCE", 0.2)

    async def fall_silent(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"1")
        await asyncio.Event().wait()
        return response

    async with serving(file=fall_silent) as address:
        with pytest.raises(Unavailable) as failure:
            await sources.fetch(f"{address}/file", tmp_path / "x")
    assert failure.value.message == f"{address}/file sent nothing for 0.2 s"
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_file_has_to_fit(
    chunked: bool, sources: BuildSources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "room_in", lambda _: 1000)

    async def give(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        if chunked:
            response.enable_chunked_encoding()
        else:
            response.content_length = 2000
        await response.prepare(request)
        await response.write(b"1" * 2000)
        return response

    async with serving(file=give) as address:
        with pytest.raises(Unavailable) as failure:
            await sources.fetch(f"{address}/file", tmp_path / "x")
    assert failure.value.message == "no space left on device while a file was fetched"
    assert not (tmp_path / "x").exists()
