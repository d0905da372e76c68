"""Commits, imports and exports as clients ask for them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import ClientPayloadError

from linwin.errors import Conflict, InvalidRequest, NotFound, Unavailable
from linwin.model.build import CommitRequest, Fetched
from linwin.model.health import HealthCheck
from linwin.model.image import Image, RunConfig
from tests.unit.api.engines import ID, image, serving

Asked = list[tuple[Any, ...]]


def committer(asked: Asked) -> Any:
    async def commit(reference: str, request: CommitRequest, config: RunConfig | None) -> Image:
        if reference == "nobody":
            raise NotFound("No such container: nobody")
        asked.append((reference, request, config))
        return image()

    return commit


async def test_a_commit(tmp_path: Path) -> None:
    asked: Asked = []
    async with serving(tmp_path, commit=committer(asked)) as client:
        # docker's client has no configuration to send, and sends it.
        answer = await client.post("/commit?container=box", data=b"null\n")
        assert (answer.status, await answer.json()) == (201, {"Id": ID})
    assert asked == [("box", CommitRequest(), None)]


async def test_everything_of_a_commit(tmp_path: Path) -> None:
    asked: Asked = []
    query = [
        *(("container", "box"), ("repo", "team/app"), ("tag", "2"), ("comment", "words")),
        *(("author", "me"), ("pause", "0"), ("changes", "CMD a"), ("changes", "ENV b=c")),
    ]
    body = {
        "Cmd": ["a", "b"],
        "Entrypoint": "tool",
        "Env": ["A=b"],
        "User": "u",
        "WorkingDir": "C:\\w",
        "Labels": {"l": "v"},
        "ExposedPorts": {"80": {}},
        "Volumes": {"C:\\data": {}},
        "Healthcheck": {"Test": ["NONE"]},
        "StopSignal": "KILL",
        "Shell": ["powershell"],
        "OnBuild": ["RUN x"],
        "ArgsEscaped": True,
        "Hostname": "ignored",
    }
    async with serving(tmp_path, commit=committer(asked)) as client:
        assert (await client.post("/commit", params=query, json=body)).status == 201
    assert asked == [
        (
            "box",
            CommitRequest("team/app:2", "me", "words", ("CMD a", "ENV b=c")),
            RunConfig(
                entrypoint=("tool",),
                cmd=("a", "b"),
                env=("A=b",),
                working_dir="C:\\w",
                user="u",
                shell=("powershell",),
                labels={"l": "v"},
                exposed_ports=("80/tcp",),
                volumes=("C:\\data",),
                stop_signal="KILL",
                health_check=HealthCheck(("NONE",)),
                args_escaped=True,
                on_build=("RUN x",),
            ),
        )
    ]


@pytest.mark.parametrize(
    ("query", "body", "status", "message"),
    [
        ("", b"", 400, "no container was named\nUse commit?container=NAME."),
        ("container=nobody", b"", 404, "No such container: nobody"),
        ("container=box", b"[1]", 400, "invalid JSON: the request's body must be an object"),
        ("container=box", b'{"Cmd": 1}', 400, "invalid JSON: Cmd must be a list of texts"),
        ("container=box", b'{"Env": ["=x"]}', 400, "invalid environment variable: =x\nUse NAME=value."),
        ("container=box", b'{"Volumes": 3}', 400, "invalid JSON: Volumes must be an object"),
    ],
)
async def test_commits_that_are_refused(
    tmp_path: Path, query: str, body: bytes, status: int, message: str
) -> None:
    asked: Asked = []
    async with serving(tmp_path, commit=committer(asked)) as client:
        answer = await client.post(f"/commit?{query}", data=body)
        assert (answer.status, await answer.json()) == (status, {"message": message})
    assert asked == []


# ---- export -----------------------------------------------------------------------


@asynccontextmanager
async def export(reference: str) -> AsyncIterator[Any]:
    if reference == "nobody":
        raise NotFound("No such container: nobody")

    async def pieces() -> AsyncIterator[bytes]:
        if reference == "busy":
            raise Conflict("it is busy")
        yield b"half"
        if reference == "broken":
            raise Unavailable("the disk broke")
        yield b"other half"

    yield SimpleNamespace(pieces=pieces())


async def test_an_export(tmp_path: Path) -> None:
    async with serving(tmp_path, export=export, inspect=_unknown) as client:
        answer = await client.get("/containers/box/export")
        assert (answer.status, answer.headers["Content-Type"]) == (200, "application/octet-stream")
        assert await answer.read() == b"halfother half"


@pytest.mark.parametrize(
    ("name", "status", "message"),
    [("nobody", 404, "No such container: nobody"), ("busy", 409, "it is busy")],
)
async def test_an_export_that_is_refused(tmp_path: Path, name: str, status: int, message: str) -> None:
    async with serving(tmp_path, export=export, inspect=_unknown) as client:
        answer = await client.get(f"/containers/{name}/export")
        assert (answer.status, await answer.json()) == (status, {"message": message})


async def test_an_export_that_breaks_off_has_no_end(tmp_path: Path) -> None:
    async with serving(tmp_path, export=export, inspect=_unknown) as client:
        answer = await client.get("/containers/broken/export")
        with pytest.raises(ClientPayloadError):
            await answer.read()


async def _unknown(reference: str) -> None:
    raise NotFound(f"No such container: {reference}")


# ---- import -----------------------------------------------------------------------


class Importer:
    """Makes images of nothing; an archive of ``bad`` is none."""

    def __init__(self) -> None:
        self.asked: Asked = []
        self.rooms = SimpleNamespace(sources=self)

    async def import_image(self, archive: Path, request: CommitRequest, platform: str) -> Image:
        content = await asyncio.to_thread(archive.read_bytes)
        if content == b"bad":
            raise InvalidRequest("the archive is not a tar archive")
        self.asked.append((content, request, platform))
        return image()

    async def fetch(self, address: str, target: Path) -> Fetched:
        await asyncio.to_thread(target.write_bytes, address.encode())
        return Fetched("", "sha256:0")


async def imported(folder: Path, importer: Importer, query: str, body: bytes = b"tar") -> list[Any]:
    verbs = {"import_image": importer.import_image, "rooms": importer.rooms}
    async with serving(folder, **verbs) as client:
        answer = await client.post(f"/images/create?{query}", data=body)
        assert answer.status == 200
        return [json.loads(line) for line in (await answer.read()).splitlines()]


async def test_an_import(tmp_path: Path) -> None:
    importer = Importer()
    query = "fromSrc=-&repo=team/app&tag=3&message=words&changes=CMD+a&changes=ENV+b%3Dc&platform=windows"
    assert await imported(tmp_path, importer, query) == [{"status": ID}]
    wanted = CommitRequest("team/app:3", message="words", changes=("CMD a", "ENV b=c"))
    assert importer.asked == [(b"tar", wanted, "windows")]


async def test_an_import_without_a_name(tmp_path: Path) -> None:
    importer = Importer()
    await imported(tmp_path, importer, "fromSrc=-")
    await imported(tmp_path, importer, "fromSrc=-&repo=app:1")
    assert [asked[1].reference for asked in importer.asked] == ["", "app:1"]


@pytest.mark.parametrize("source", ["https://x.example/a.tar", "x.example/a.tar"])
async def test_an_import_from_an_address(tmp_path: Path, source: str) -> None:
    importer = Importer()
    address = source if "://" in source else f"http://{source}"
    assert await imported(tmp_path, importer, f"fromSrc={source}") == [
        {"status": f"Downloading from {address}"},
        {"status": ID},
    ]
    assert importer.asked[0][0] == address.encode()


async def test_imports_that_are_refused(tmp_path: Path) -> None:
    importer = Importer()
    async with serving(tmp_path, import_image=importer.import_image) as client:
        answer = await client.post("/images/create?fromSrc=-", data=b"bad")
        assert (answer.status, await answer.json()) == (400, {"message": "the archive is not a tar archive"})
        answer = await client.post("/images/create?fromSrc=-&platform=linux", data=b"tar")
        assert (answer.status, (await answer.json())["message"].partition("\n")[0]) == (
            400,
            "the platform linux is not supported",
        )
        answer = await client.post("/images/create")
        assert (answer.status, await answer.json()) == (
            400,
            {"message": "no image was named\nUse create?fromImage=NAME&tag=TAG."},
        )
