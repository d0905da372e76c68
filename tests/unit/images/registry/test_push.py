"""Pushes to Debian's own registry, and to one that stalls."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from linwin.errors import Internal, InvalidRequest, NotFound, Unauthorized, Unavailable
from linwin.images import ImageStore
from linwin.images.registry.limits import Limits
from linwin.model.progress import Progress
from linwin.model.registry import Credentials
from linwin.paths import Paths
from tests.registry_server import RegistryServer, allow_plain_http, serve_registry
from tests.unit.images.archive_writer import (
    Sample,
    ignore,
    layer_tar,
    sha256,
)
from tests.unit.images.registry.conftest import Told
from tests.unit.images.registry.pushed_images import (
    LAYERS,
    PLAIN,
    load,
    pull,
)


@pytest.fixture
def store(paths: Paths, registry: RegistryServer) -> ImageStore:
    registry.configure(paths)
    return ImageStore(paths)


async def test_push_pull_push_gives_the_same_digest(
    store: ImageStore, registry: RegistryServer, tmp_path: Path, told: Told
) -> None:
    await load(store, tmp_path, PLAIN.oci_members())
    target = registry.name("team/app:1")
    await store.tag("example/app:1", target)
    pushed = await store.push(target, told)
    manifest = PLAIN.manifest()[0]
    assert (pushed.reference, pushed.digest, pushed.size) == (target, sha256(manifest), len(manifest))
    assert registry.manifest("team/app:1") == manifest
    assert told.progress[0] == Progress(f"The push refers to repository [{registry.host}/team/app]")
    for layer in LAYERS[:2]:
        assert [status for status in told.of(sha256(layer)) if status != "Pushing"] == ["Preparing", "Pushed"]

    elsewhere = ImageStore(Paths(tmp_path / "elsewhere", tmp_path))
    registry.configure(Paths(tmp_path / "elsewhere", tmp_path))
    assert await pull(elsewhere, target) == pushed.digest
    again = Told()
    assert await elsewhere.push(target, again) == pushed
    assert again.of(sha256(LAYERS[0])) == ["Preparing", "Layer already exists"]


async def test_an_image_that_came_without_a_manifest_is_pushed_with_one(
    store: ImageStore, registry: RegistryServer, tmp_path: Path
) -> None:
    image = await load(store, tmp_path, Sample(LAYERS[:2], tags=["example/plain:1"]).docker_members())
    target = registry.name("plain:1")
    await store.tag(image.id, target)
    pushed = await store.push(target, ignore)
    manifest = json.loads(registry.manifest("plain:1"))
    assert manifest["config"]["digest"] == image.id
    assert [layer["digest"] for layer in manifest["layers"]] == [sha256(layer) for layer in LAYERS[:2]]
    assert await store.push(target, ignore) == pushed


async def test_a_tag_may_be_left_out(store: ImageStore, registry: RegistryServer, tmp_path: Path) -> None:
    await load(store, tmp_path, PLAIN.oci_members())
    await store.tag("example/app:1", registry.name("app"))
    pushed = await store.push(registry.name("app"), ignore)
    assert pushed.reference == registry.name("app:latest")


async def test_images_that_are_not_here(store: ImageStore, registry: RegistryServer, tmp_path: Path) -> None:
    with pytest.raises(NotFound) as raised:
        await store.push("example/none:1", ignore)
    assert raised.value.message == "An image does not exist locally with the tag: example/none"
    assert raised.value.hint == "Name an image so with: linwin tag IMAGE example/none:1"
    await load(store, tmp_path, PLAIN.oci_members())
    with pytest.raises(NotFound) as raised:
        await store.push("example/app:2", ignore)
    assert raised.value.message == "tag does not exist: example/app:2"
    assert raised.value.hint == "See the tags with: linwin images"
    with pytest.raises(InvalidRequest):
        await store.push("example/app@sha256:" + "a" * 64, ignore)


@pytest.mark.parametrize("credentials", [None, Credentials("ada", "wrong")])
async def test_a_registry_that_wants_a_login(
    paths: Paths, tmp_path: Path, credentials: Credentials | None
) -> None:
    with serve_registry(tmp_path / "private", users={"ada": "secret"}) as private:
        private.configure(paths)
        store = ImageStore(paths)
        await load(store, tmp_path, PLAIN.oci_members())
        target = private.name("app:1")
        await store.tag("example/app:1", target)
        with pytest.raises(Unauthorized) as raised:
            await store.push(target, ignore, credentials)
        assert raised.value.message == "denied: requested access to the resource is denied"
        assert raised.value.hint == f"Log in with: linwin login {private.host}"
        pushed = await store.push(target, ignore, Credentials("ada", "secret"))
        assert sha256(private.manifest("app:1")) == pushed.digest


async def test_a_registry_that_is_not_there(paths: Paths, tmp_path: Path) -> None:
    with serve_registry(tmp_path / "gone") as gone:
        allow_plain_http(paths, gone.host)
    store = ImageStore(paths)
    await load(store, tmp_path, PLAIN.oci_members())
    await store.tag("example/app:1", gone.name("app:1"))
    with pytest.raises(Unavailable) as raised:
        await store.push(gone.name("app:1"), ignore)
    assert raised.value.message == f"registry {gone.host} cannot be reached: connection refused"


async def test_a_blob_that_the_store_has_lost(
    store: ImageStore, paths: Paths, registry: RegistryServer, tmp_path: Path
) -> None:
    await load(store, tmp_path, PLAIN.oci_members())
    target = registry.name("app:1")
    await store.tag("example/app:1", target)
    layer = json.loads(PLAIN.manifest()[0])["layers"][1]["digest"]
    (paths.blobs / "sha256" / layer[7:]).unlink()
    with pytest.raises(Internal) as raised:
        await store.push(target, ignore)
    assert raised.value.message == (
        f"blob {layer} of the image store cannot be read: No such file or directory"
    )


async def test_an_image_that_is_removed_while_it_is_pushed(
    store: ImageStore, paths: Paths, registry: RegistryServer, tmp_path: Path, told: Told
) -> None:
    await load(store, tmp_path, PLAIN.oci_members())
    target = registry.name("app:1")
    await store.tag("example/app:1", target)
    removals: list[asyncio.Future[Any]] = []
    told.on["Preparing"] = lambda: removals.append(
        asyncio.ensure_future(store.remove(PLAIN.id, force=True, in_use=frozenset()))
    )
    await store.push(target, told)
    assert removals
    await asyncio.gather(*removals, return_exceptions=True)
    assert registry.manifest("app:1") == PLAIN.manifest()[0]
    assert list((paths.blobs / "sha256").iterdir()) == []


class StallingRegistry:
    """Takes some bytes of an upload, then nothing until the test ends."""

    def __init__(self, after: int) -> None:
        self.host = ""
        self.begun = asyncio.Event()
        self.released = asyncio.Event()
        self._after = after

    async def ping(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({})

    async def absent(self, request: web.Request) -> web.StreamResponse:
        return web.Response(status=404)

    async def begin(self, request: web.Request) -> web.StreamResponse:
        return web.Response(status=202, headers={"Location": f"http://{self.host}/v2/app/blobs/uploads/1"})

    async def receive(self, request: web.Request) -> web.StreamResponse:
        if self._after:
            await request.content.readexactly(self._after)
        self.begun.set()
        await self.released.wait()
        return web.Response(status=500)


@asynccontextmanager
async def stalling_registry(after: int) -> AsyncIterator[StallingRegistry]:
    registry = StallingRegistry(after)
    app = web.Application()
    app.router.add_get("/v2/", registry.ping)
    app.router.add_head("/v2/app/blobs/{digest}", registry.absent)
    app.router.add_post("/v2/app/blobs/uploads/", registry.begin)
    app.router.add_patch("/v2/app/blobs/uploads/1", registry.receive)
    runner = web.AppRunner(app, shutdown_timeout=0, lingering_time=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    registry.host = "{}:{}".format(*runner.addresses[0][:2])
    try:
        yield registry
    finally:
        registry.released.set()
        await runner.cleanup()


LARGE = Sample([layer_tar({"large": os.urandom(24 << 20)})], tags=["example/large:1"])
"""More than the sockets between two processes hold."""


async def test_a_registry_that_stalls(paths: Paths, tmp_path: Path, told: Told) -> None:
    async with stalling_registry(1 << 20) as registry:
        allow_plain_http(paths, registry.host)
        store = ImageStore(paths, limits=Limits(idle=0.6))
        await load(store, tmp_path, LARGE.oci_members())
        await store.tag("example/large:1", f"{registry.host}/app:1")
        with pytest.raises(Unavailable) as raised:
            await store.push(f"{registry.host}/app:1", told)
        assert raised.value.message == f"registry {registry.host} sent nothing for 3 s"
        pushing = [progress for progress in told.progress if progress.status == "Pushing"]
        assert pushing
        total = json.loads(LARGE.manifest()[0])["layers"][0]["size"]
        assert {progress.total for progress in pushing} == {total}
        assert all(0 < (progress.current or 0) < total for progress in pushing[1:])


async def test_a_push_that_is_cancelled_leaves_nothing(
    paths: Paths, tmp_path: Path, registry: RegistryServer
) -> None:
    async with stalling_registry(0) as stalling:
        allow_plain_http(paths, stalling.host)
        store = ImageStore(paths)
        await load(store, tmp_path, LARGE.oci_members())
        await store.tag("example/large:1", f"{stalling.host}/app:1")
        pushing = asyncio.ensure_future(store.push(f"{stalling.host}/app:1", ignore))
        await stalling.begun.wait()
        pushing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await pushing
        # That no skopeo and no file is left is checked after every test here.
        await store.remove("example/large:1", force=False, in_use=frozenset())
        await store.remove(f"{stalling.host}/app:1", force=False, in_use=frozenset())
        assert list((paths.blobs / "sha256").iterdir()) == []
