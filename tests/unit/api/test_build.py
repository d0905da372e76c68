"""Builds as clients see them: docker's stream, how it fails, and that it ends with its client."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from linwin.api import build as builds
from linwin.errors import BuildFailed, InvalidRequest
from linwin.model.build import BuildOutput, BuildRequest
from linwin.model.image import Image, Removed, RunConfig
from linwin.model.progress import Progress
from linwin.model.registry import Credentials
from linwin.model.upkeep import Pruned
from tests.unit.api.engines import ID, image, serving

Tell = Callable[[BuildOutput | Progress], None]
STEP = BuildOutput("Step 1/1 : FROM x\n", "0", 1, 1)


class Builder:
    """Builds nothing, and says what it is told to."""

    def __init__(self, *told: BuildOutput | Progress, failure: Exception | None = None) -> None:
        self.told, self.failure = told, failure
        self.context: bytes | None = None
        self.asked: tuple[str, BuildRequest, Mapping[str, Credentials]] | None = None

    async def build(
        self,
        context: Path | None,
        remote: str,
        request: BuildRequest,
        tell: Tell,
        credentials: Mapping[str, Credentials],
    ) -> Image:
        self.context = None if context is None else await asyncio.to_thread(context.read_bytes)
        self.asked = remote, request, credentials
        for one in self.told:
            tell(one)
            await asyncio.sleep(0)
        if self.failure is not None:
            raise self.failure
        return image()


async def lines(folder: Path, builder: Builder, query: str = "", **more: Any) -> list[Any]:
    async with serving(folder, build=builder.build) as client:
        answer = await client.post(f"/build?{query}", data=b"context", **more)
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "application/json"
        return [json.loads(line) for line in (await answer.read()).splitlines()]


async def test_a_build(tmp_path: Path) -> None:
    pull = Progress("Downloading", "abc", 1, 2)
    builder = Builder(STEP, pull, BuildOutput("Successfully built abab\n"))
    assert await lines(tmp_path, builder, "t=a&t=b") == [
        {"stream": STEP.text, "linwin": {"stage": "0", "step": 1, "steps": 1}},
        {"status": "Downloading", "id": "abc", "progressDetail": {"current": 1, "total": 2}},
        {"stream": "Successfully built abab\n"},
        {"aux": {"ID": ID}},
    ]
    assert builder.context == b"context"
    assert builder.asked == ("", BuildRequest(tags=("a", "b")), {})


async def test_an_address_needs_no_body(tmp_path: Path) -> None:
    builder = Builder()
    assert await lines(tmp_path, builder, "remote=https://x.example/a.git") == [{"aux": {"ID": ID}}]
    assert builder.context is None
    assert builder.asked
    assert builder.asked[0] == "https://x.example/a.git"


async def test_a_compressed_request_is_spooled_as_what_it_holds(tmp_path: Path) -> None:
    builder = Builder()
    async with serving(tmp_path, build=builder.build) as client:
        answer = await client.post("/build", data=b"context" * 1000, compress="gzip")
        assert answer.status == 200
    assert builder.context == b"context" * 1000


@pytest.mark.parametrize(("code", "told"), [(3, 3), (0xC0000005, 0xC0000005), (0x100, 255)])
async def test_a_command_that_fails(tmp_path: Path, code: int, told: int) -> None:
    """docker's client ends with the code, of which a process has eight bits."""
    message = f"The command 'cmd /S /C x' returned a non-zero code: {code}"
    builder = Builder(STEP, failure=BuildFailed(message, exit_code=code))
    assert (await lines(tmp_path, builder))[-1] == {
        "errorDetail": {"code": told, "message": message},
        "error": message,
    }


async def test_other_failures_have_no_code(tmp_path: Path) -> None:
    builder = Builder(STEP, failure=InvalidRequest("COPY failed", hint="Do better."))
    assert (await lines(tmp_path, builder))[-1] == {
        "errorDetail": {"message": "COPY failed\nDo better."},
        "error": "COPY failed\nDo better.",
    }


async def test_a_failure_before_the_first_line_is_a_status(tmp_path: Path) -> None:
    builder = Builder(failure=InvalidRequest("dockerfile parse error on line 1: unknown instruction: X"))
    for query in ("", "q=1"):
        async with serving(tmp_path, build=builder.build) as client:
            answer = await client.post(f"/build?{query}", data=b"X")
            assert answer.status == 400
            assert await answer.json() == {
                "message": "dockerfile parse error on line 1: unknown instruction: X"
            }


async def test_a_request_that_cannot_be_read_is_refused_before_its_body(tmp_path: Path) -> None:
    builder = Builder()
    async with serving(tmp_path, build=builder.build) as client:
        assert (await client.post("/build?version=2", data=b"x")).status == 501
        assert (await client.post("/build", headers={"X-Registry-Config": "?!"})).status == 400
    assert builder.asked is None


async def test_quiet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = (STEP, Progress("Downloading", "abc"), BuildOutput("out\n", "0", 1, 1))
    assert await lines(tmp_path, Builder(*told), "q=1") == [{"stream": f"{ID}\n"}]
    failure = BuildFailed("no", exit_code=3)
    shown = await lines(tmp_path, Builder(*told, failure=failure), "q=1")
    assert shown == [
        {"stream": "Step 1/1 : FROM x\nout\n"},
        {"errorDetail": {"code": 3, "message": "no"}, "error": "no"},
    ]
    monkeypatch.setattr(builds, "KEPT", 10)
    shown = await lines(tmp_path, Builder(*told, failure=failure), "q=1")
    assert shown[0] == {"stream": "out\n"}


async def test_the_build_ends_when_its_client_goes_away(tmp_path: Path) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def build(context: Path, _1: str, _2: BuildRequest, tell: Tell, _3: object) -> Image:
        tell(STEP)
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        raise AssertionError

    async with serving(tmp_path, build=build) as client:
        answer = await client.post("/build", data=b"x")
        await begun.wait()
        answer.close()
        await asyncio.wait_for(ended.wait(), 10)


def config(value: object) -> dict[str, str]:
    return {"X-Registry-Config": base64.urlsafe_b64encode(json.dumps(value).encode()).decode()}


async def test_credentials_go_by_host(tmp_path: Path) -> None:
    builder = Builder()
    sent = {
        "https://index.docker.io/v1/": {"username": "me", "password": "p"},
        "r.example:5000": {"identitytoken": "t", "serveraddress": "r.example:5000"},
        "https://R.example/v2/": {"username": "her", "password": "q"},
        "useless.example": {"registrytoken": "x"},
        "empty.example": {},
    }
    await lines(tmp_path, builder, headers=config(sent))
    assert builder.asked
    assert builder.asked[2] == {
        "docker.io": Credentials("me", "p"),
        "r.example:5000": Credentials(identity_token="t", server="r.example:5000"),
        "r.example": Credentials("her", "q"),
    }


async def test_credentials_of_one_registry(tmp_path: Path) -> None:
    builder = Builder()
    single = {"username": "me", "password": "p", "serveraddress": "r.example"}
    header = base64.urlsafe_b64encode(json.dumps(single).encode()).decode()
    await lines(tmp_path, builder, headers={"X-Registry-Auth": header})
    assert builder.asked
    assert builder.asked[2] == {"r.example": Credentials("me", "p", server="r.example")}


@pytest.mark.parametrize("value", [["x"], {"h": "x"}, {"h": {"username": 1}}])
async def test_credentials_of_another_shape_are_refused(tmp_path: Path, value: object) -> None:
    async with serving(tmp_path, build=Builder().build) as client:
        answer = await client.post("/build", headers=config(value))
        assert answer.status == 400
        assert (await answer.json())["message"].startswith("invalid JSON: ")


class Pruner:
    """Keeps and removes as it is told."""

    def __init__(self, *images: Image) -> None:
        self.images = images
        self.everything: bool | None = None

    async def prune_builds(self, *, everything: bool, keep: Callable[[Image], bool]) -> Pruned:
        self.everything = everything
        return Pruned(tuple(Removed(deleted=one.id) for one in self.images if not keep(one)), freed=7)


OLD = image("sha256:" + "11" * 32, created="2020-01-01T00:00:00Z")
NEW = image("sha256:" + "22" * 32, created="2099-01-01T00:00:00Z", parent=OLD.id)
LABELLED = Image(
    "sha256:" + "33" * 32, OLD.platform, RunConfig(labels={"a": "b"}), (), 0, (), created=OLD.created
)


@pytest.mark.parametrize(
    ("filters", "deleted"),
    [
        ({}, [OLD, NEW, LABELLED]),
        ({"until": ["24h"]}, [OLD, LABELLED]),
        ({"unused-for": ["24h"]}, [OLD, LABELLED]),
        ({"label": ["a=b"]}, [LABELLED]),
        ({"label!": ["a"]}, [OLD, NEW]),
        ({"id": ["sha256:2222", "3333"]}, [NEW, LABELLED]),
        ({"parent": ["1111"]}, [NEW]),
        ({"parent": [""]}, []),
    ],
)
async def test_prune(tmp_path: Path, filters: dict[str, list[str]], deleted: list[Image]) -> None:
    pruner = Pruner(OLD, NEW, LABELLED)
    async with serving(tmp_path, prune_builds=pruner.prune_builds) as client:
        answer = await client.post("/build/prune", params={"filters": json.dumps(filters)})
        assert await answer.json() == {"CachesDeleted": [one.id for one in deleted], "SpaceReclaimed": 7}
        assert pruner.everything is False
        await client.post("/build/prune?all=1")
        assert pruner.everything is True


async def test_prunes_that_would_take_too_much_are_refused(tmp_path: Path) -> None:
    async with serving(tmp_path, prune_builds=Pruner().prune_builds) as client:
        answer = await client.post("/build/prune?reserved-space=1000")
        assert (answer.status, await answer.json()) == (
            501,
            {
                "message": "linwin cannot prune builds down to a size (reserved-space)\n"
                "Use --filter until=24h."
            },
        )
        answer = await client.post('/build/prune?filters={"type":["regular"]}')
        assert (await answer.json())["message"].startswith("invalid filter 'type'\n")


async def test_cancel(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        answer = await client.post("/build/cancel?id=x")
        assert (answer.status, await answer.read()) == (200, b"")
