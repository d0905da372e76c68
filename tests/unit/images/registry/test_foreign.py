"""Foreign layers above the base: from the registry, else from their urls, which are hostile."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from linwin.errors import InvalidRequest, Unavailable
from linwin.images import ImageStore
from linwin.images.registry.limits import Limits
from linwin.images.registry.web import Address, Web, is_public
from linwin.paths import Paths
from tests.registry_server import make_certificate
from tests.unit.images.archive_writer import FOREIGN, Sample, encode, ignore, layer_tar, sha256, template
from tests.unit.images.registry.bad_registry import BadRegistry
from tests.unit.images.registry.conftest import Told

LAYERS = [layer_tar({"one.txt": b"1" * 5000}), layer_tar({"two.txt": b"2" * 5000})]
SAMPLE = Sample(LAYERS, compression="gzip", media_types={1: FOREIGN})
MANIFEST, BLOBS = SAMPLE.manifest()
DIGEST = json.loads(MANIFEST)["layers"][1]["digest"]
BLOB = BLOBS[DIGEST]
WHAT = f"layer 2 of image HOST/app:1 ({SAMPLE.diff_ids[1]})"


class Elsewhere:
    """A server that is not a registry, over TLS, on loopback under any name that ends in ``.example``."""

    def __init__(self, port: int, web: Web) -> None:
        self.port = port
        self.web = web
        self.asked: list[str] = []
        self.answer: Callable[[web.Request], Awaitable[web.StreamResponse]]

    def url(self, path: str = "layer", host: str = "far.example") -> str:
        return f"https://{host}:{self.port}/{path}"


class LoopbackResolver(AbstractResolver):
    """Resolves every name, to where only the tests may go."""

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
        return [
            ResolveResult(hostname=host, host="127.0.0.1", port=port, family=2, proto=0, flags=0),
        ]

    async def close(self) -> None:
        pass


def allowed(address: Address) -> bool:
    """As in earnest, but for the loopback address that the server has."""
    return address == ipaddress.ip_address("127.0.0.1") or is_public(address)


@pytest.fixture
async def elsewhere(tmp_path: Path) -> AsyncIterator[Elsewhere]:
    certificate = make_certificate(tmp_path)
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(certificate, tmp_path / "key.pem")
    ours = ssl.create_default_context(cafile=certificate)
    ours.check_hostname = False

    async def handle(request: web.Request) -> web.StreamResponse:
        server.asked.append(request.path)
        return await server.answer(request)

    async def whole(request: web.Request) -> web.StreamResponse:
        return web.Response(body=BLOB)

    app = web.Application()
    app.router.add_get("/{path:.*}", handle)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=theirs).start()
    server = Elsewhere(runner.addresses[0][1], Web(allowed, LoopbackResolver(), ours))
    server.answer = whole
    yield server
    await runner.cleanup()


def offer(bad: BadRegistry, *urls: str) -> None:
    """Put the image into the registry without its foreign layer, which names ``urls``."""
    document = json.loads(MANIFEST)
    document["layers"][1]["urls"] = list(urls)
    manifest = encode(document)
    bad.manifests["1"] = bad.manifests[sha256(manifest)] = manifest
    bad.blobs = {digest: data for digest, data in BLOBS.items() if digest != DIGEST}


async def refusal(paths: Paths, bad: BadRegistry, web: Web) -> str:
    """Why the foreign layer cannot be had, without the words that are always there."""
    with pytest.raises(Unavailable) as caught:
        await ImageStore(paths, limits=Limits(idle=1), web=web).pull(bad.name(), [template()], ignore)
    start = f"registry {bad.host} lacks {WHAT.replace('HOST', bad.host)}, and it cannot be had elsewhere: "
    assert caught.value.message.startswith(start)
    return caught.value.message.removeprefix(start)


async def test_the_registry_is_asked_first(bad: BadRegistry, paths: Paths, elsewhere: Elsewhere) -> None:
    offer(bad, elsewhere.url())
    bad.blobs[DIGEST] = BLOB
    image = await (await ImageStore(paths, web=elsewhere.web).pull(bad.name(), [template()], ignore)).commit()
    assert image.layers[1].blob.read_bytes() == BLOB
    assert elsewhere.asked == []


async def test_the_urls_are_followed(
    bad: BadRegistry, paths: Paths, elsewhere: Elsewhere, told: Told
) -> None:
    async def redirecting(request: web.Request) -> web.StreamResponse:
        if request.path == "/layer":
            return web.Response(status=404)
        if request.path == "/other":
            raise web.HTTPFound("moved")
        return web.Response(body=BLOB)

    elsewhere.answer = redirecting
    offer(bad, elsewhere.url("layer"), elsewhere.url("other"))
    staged = await ImageStore(paths, web=elsewhere.web).pull(bad.name(), [template()], told)
    image = await staged.commit()
    assert image.layers[1].blob.read_bytes() == BLOB
    assert image.layers[1].media_type == FOREIGN
    assert elsewhere.asked == ["/layer", "/other", "/moved"]
    assert told.of(DIGEST)[-3:] == ["Downloading", "Verifying Checksum", "Download complete"]


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://far.example/layer", "only https urls are followed"),
        ("file:///etc/passwd", "only https urls are followed"),
        ("https:///layer", "only https urls are followed"),
        ("https://[", "it is not a url"),
        ("https://127.0.0.1/layer", "127.0.0.1 is not a public address"),
        ("https://10.1.2.3/layer", "10.1.2.3 is not a public address"),
        ("https://169.254.169.254/latest/meta-data", "169.254.169.254 is not a public address"),
        ("https://[::1]/layer", "::1 is not a public address"),
        ("https://[::ffff:127.0.0.1]/layer", "::ffff:7f00:1 is not a public address"),
        ("https://2130706433/layer", "2130706433 - is not a canonical IPv4 address"),
    ],
)
async def test_urls_that_lead_nowhere_good(bad: BadRegistry, paths: Paths, url: str, why: str) -> None:
    offer(bad, url)
    assert await refusal(paths, bad, Web()) == f"{url}: {why}"


async def test_a_name_of_this_host(bad: BadRegistry, paths: Paths) -> None:
    offer(bad, "https://localhost/layer")
    assert "is not a public address" in await refusal(paths, bad, Web())


async def test_a_name_that_resolves_to_a_private_address(
    bad: BadRegistry, paths: Paths, elsewhere: Elsewhere
) -> None:
    """It is the address that is looked at, in the moment when it is connected to."""
    offer(bad, elsewhere.url())
    web = Web(is_public, elsewhere.web.resolver, elsewhere.web.ssl_context)
    assert await refusal(paths, bad, web) == f"{elsewhere.url()}: 127.0.0.1 is not a public address"
    assert elsewhere.asked == []


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("http://far.example/layer", "only https urls are followed"),
        ("https://192.168.0.1/layer", "192.168.0.1 is not a public address"),
        ("/layer", "it redirects more than 5 times"),
    ],
)
async def test_redirects_are_looked_at_too(
    bad: BadRegistry, paths: Paths, elsewhere: Elsewhere, target: str, why: str
) -> None:
    async def redirecting(request: web.Request) -> web.StreamResponse:
        raise web.HTTPFound(target)

    elsewhere.answer = redirecting
    offer(bad, elsewhere.url())
    assert await refusal(paths, bad, elsewhere.web) == f"{elsewhere.url()}: {why}"


async def test_what_the_server_says(bad: BadRegistry, paths: Paths, elsewhere: Elsewhere) -> None:
    async def failing(request: web.Request) -> web.StreamResponse:
        return web.Response(status=503)

    elsewhere.answer = failing
    offer(bad, elsewhere.url("a"), elsewhere.url("b"))
    assert await refusal(paths, bad, elsewhere.web) == (
        f"{elsewhere.url('a')}: it answers with status 503; {elsewhere.url('b')}: it answers with status 503"
    )
    offer(bad)
    assert await refusal(paths, bad, elsewhere.web) == "it names no urls"


async def test_a_layer_that_is_not_the_one(bad: BadRegistry, paths: Paths, elsewhere: Elsewhere) -> None:
    async def other(request: web.Request) -> web.StreamResponse:
        return web.Response(body=bytes(len(BLOB)))

    elsewhere.answer = other
    offer(bad, elsewhere.url())
    with pytest.raises(InvalidRequest) as caught:
        await ImageStore(paths, web=elsewhere.web).pull(bad.name(), [template()], ignore)
    assert caught.value.message == (
        f"{WHAT.replace('HOST', bad.host)} is corrupt: its digest is {sha256(bytes(len(BLOB)))}, not {DIGEST}"
    )


async def test_a_transfer_that_breaks_off(
    bad: BadRegistry, paths: Paths, elsewhere: Elsewhere, told: Told
) -> None:
    async def breaking(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = len(BLOB)
        await response.prepare(request)
        await response.write(BLOB[:50])
        if len(elsewhere.asked) == 3:
            await response.write(BLOB[50:])
        else:
            assert request.transport is not None
            request.transport.abort()
        return response

    elsewhere.answer = breaking
    offer(bad, elsewhere.url())
    staged = await ImageStore(paths, web=elsewhere.web).pull(bad.name(), [template()], told)
    await staged.commit()
    retries = [item.status for item in told.progress if item.status.startswith("Retrying (far.example: ")]
    assert len(retries) == 2


async def test_a_server_that_stalls(bad: BadRegistry, paths: Paths, elsewhere: Elsewhere) -> None:
    released = asyncio.Event()

    async def stalling(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = len(BLOB)
        await response.prepare(request)
        await response.write(BLOB[:50])
        await released.wait()
        return response

    elsewhere.answer = stalling
    offer(bad, elsewhere.url())
    store = ImageStore(paths, limits=Limits(idle=1), web=elsewhere.web)
    with pytest.raises(Unavailable) as caught:
        await store.pull(bad.name(), [template()], ignore)
    assert caught.value.message == "registry far.example sent nothing for 1 s"
    pulling = asyncio.create_task(ImageStore(paths, web=elsewhere.web).pull(bad.name(), [template()], ignore))
    async with asyncio.timeout(30):
        begun = asyncio.Event()
        elsewhere.asked.clear()
        original = elsewhere.answer

        async def noticed(request: web.Request) -> web.StreamResponse:
            begun.set()
            return await original(request)

        elsewhere.answer = noticed
        await begun.wait()
        pulling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await pulling
    released.set()


async def test_through_a_proxy(bad: BadRegistry, paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy resolves, so that only what the url itself says can be looked at."""
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.delenv("HTTPS_PROXY", raising=False)
    for url, why in (
        ("https://10.1.2.3/layer", "10.1.2.3 is not a public address"),
        ("https://localhost./layer", "localhost. is not a public address"),
        ("https://intranet/layer", "intranet is not a public address"),
        ("https://127.0.0.1/layer", "127.0.0.1 is not a public address"),
        ("https://far.example/layer", "Connection refused"),
    ):
        offer(bad, url)
        assert await refusal(paths, bad, Web()) == f"{url}: {why}"


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700:4700::1111", True),
        ("0.0.0.0", False),
        ("127.1.2.3", False),
        ("10.0.0.1", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("::1", False),
        ("fe80::1", False),
        ("fc00::1", False),
        ("ff02::1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::10.0.0.1", False),
        ("64:ff9b::8.8.8.8", True),
        ("2002:a00:1::", False),
    ],
)
def test_which_addresses_are_public(address: str, public: bool) -> None:
    assert is_public(ipaddress.ip_address(address)) == public
