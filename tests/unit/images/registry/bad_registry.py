"""A registry that misbehaves on purpose: a small web server with a fault for each blob or manifest."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from ssl import SSLContext

from aiohttp import web

from tests.unit.images.archive_writer import Sample, sha256

Fault = Callable[[web.Request, bytes], Awaitable[web.StreamResponse]]


class BadRegistry:
    """Serves manifests by tag and digest, blobs by digest.

    ``faults`` are answered with in place of the truth, the first of a list for
    the first request and so on; the last one stays if ``for_ever`` holds its
    key. ``requests`` counts what was asked for.
    """

    def __init__(self) -> None:
        self.host = ""
        self.manifests: dict[str, bytes] = {}
        self.blobs: dict[str, bytes] = {}
        self.faults: dict[str, list[Fault]] = {}
        self.for_ever: dict[str, Fault] = {}
        self.requests: Counter[str] = Counter()
        self.released = asyncio.Event()
        self.begun = asyncio.Event()

    def add(self, sample: Sample, tag: str = "1") -> str:
        """Have an image; return the digest of its manifest."""
        manifest, blobs = sample.manifest()
        self.manifests[tag] = self.manifests[sha256(manifest)] = manifest
        self.blobs |= blobs
        return sha256(manifest)

    def name(self, tag: str = "1") -> str:
        return f"{self.host}/app:{tag}"

    async def _ping(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({})

    async def _manifest(self, request: web.Request) -> web.StreamResponse:
        reference = request.match_info["reference"]
        data = self.manifests.get(reference)
        return await self._answer(request, reference, data, _media_type(data or b""))

    async def _blob(self, request: web.Request) -> web.StreamResponse:
        digest = request.match_info["digest"]
        return await self._answer(request, digest, self.blobs.get(digest), "application/octet-stream")

    async def _answer(
        self, request: web.Request, key: str, data: bytes | None, media_type: str
    ) -> web.StreamResponse:
        self.requests[key] += 1
        if faults := self.faults.get(key):
            return await faults.pop(0)(request, data or b"")
        if key in self.for_ever:
            return await self.for_ever[key](request, data or b"")
        if data is None:
            return web.json_response(
                {"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}, status=404
            )
        return web.Response(body=data, content_type=media_type)

    def stalls(self, after: int) -> Fault:
        """Send some bytes, then nothing until the test ends."""

        async def answer(request: web.Request, data: bytes) -> web.StreamResponse:
            response = web.StreamResponse()
            response.content_length = len(data)
            await response.prepare(request)
            await response.write(data[:after])
            self.begun.set()
            await self.released.wait()
            return response

        return answer

    def waits(self) -> Fault:
        """Send all, once the test says so."""

        async def answer(request: web.Request, data: bytes) -> web.StreamResponse:
            self.begun.set()
            await self.released.wait()
            return web.Response(body=data)

        return answer


def status(code: int, body: str = "no") -> Fault:
    async def answer(request: web.Request, data: bytes) -> web.StreamResponse:
        return web.Response(status=code, text=body)

    return answer


def sends(other: bytes) -> Fault:
    """Send other bytes than were asked for, their number told truly."""

    async def answer(request: web.Request, data: bytes) -> web.StreamResponse:
        return web.Response(body=other)

    return answer


def resets(after: int) -> Fault:
    """Send some bytes of the number that was promised, then drop the connection."""

    async def answer(request: web.Request, data: bytes) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = len(data)
        await response.prepare(request)
        await response.write(data[:after])
        assert request.transport is not None
        request.transport.abort()
        return response

    return answer


def ends_early(after: int) -> Fault:
    """Say no length, send some bytes, and end as if those were all."""

    async def answer(request: web.Request, data: bytes) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(data[:after])
        return response

    return answer


def redirects_to_itself() -> Fault:
    async def answer(request: web.Request, data: bytes) -> web.StreamResponse:
        raise web.HTTPTemporaryRedirect(str(request.url))

    return answer


@asynccontextmanager
async def bad_registry(ssl: SSLContext | None = None) -> AsyncIterator[BadRegistry]:
    """Run one on loopback; every fault that waits is let go at the end."""
    registry = BadRegistry()
    app = web.Application()
    app.router.add_get("/v2/", registry._ping)
    app.router.add_get("/v2/app/manifests/{reference}", registry._manifest)
    app.router.add_get("/v2/app/blobs/{digest}", registry._blob)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=ssl)
    await site.start()
    host, port = runner.addresses[0][:2]
    registry.host = f"{host}:{port}"
    try:
        yield registry
    finally:
        registry.released.set()
        await runner.cleanup()


def _media_type(manifest: bytes) -> str:
    if b'"manifests"' in manifest:
        return "application/vnd.oci.image.index.v1+json"
    return "application/vnd.oci.image.manifest.v1+json"
