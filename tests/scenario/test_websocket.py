"""attach/ws, with a real websocket client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import ClientWebSocketResponse, WSMsgType, WSServerHandshakeError

from linwin.api import websocket
from tests.scenario.harness import Daemon
from tests.scenario.raw_http import RawConnection, create, start

ALL = "stream=1&stdin=1&stdout=1&stderr=1"


@pytest.fixture
async def browser(daemon: Daemon) -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.UnixConnector(str(daemon.paths.socket))
    async with aiohttp.ClientSession("http://linwin", connector=connector) as session:
        yield session


async def to_the_end(socket: ClientWebSocketResponse) -> bytes:
    """All output, until the daemon closes."""
    received = b""
    while (message := await socket.receive(timeout=10)).type is WSMsgType.BINARY:
        received += message.data
    assert message.type is WSMsgType.CLOSE
    assert socket.close_code == 1000
    return received


async def nobody_attached(daemon: Daemon, container: str) -> None:
    """Return when the daemon works for no client of the container any more."""
    working = {task for task in asyncio.all_tasks() if task.get_name().startswith("websocket input")}
    if working:
        await asyncio.wait(working, timeout=10)
    assert daemon.engine.live(container).streams._attachments == set()


async def test_output_of_a_container_that_is_started_later(
    daemon: Daemon, browser: aiohttp.ClientSession
) -> None:
    container = await create(daemon, "complain")
    async with browser.ws_connect(f"/v1.50/containers/{container}/attach/ws?{ALL}") as socket:
        await start(daemon, container)
        assert await to_the_end(socket) == b"to stdout\nto stderr\n"


@pytest.mark.parametrize(("wanted", "printed"), [("stdout", b"to stdout\n"), ("stderr", b"to stderr\n")])
async def test_one_stream_only(
    daemon: Daemon, browser: aiohttp.ClientSession, wanted: str, printed: bytes
) -> None:
    container = await create(daemon, "complain")
    async with browser.ws_connect(f"/containers/{container}/attach/ws?stream=1&{wanted}=1") as socket:
        await start(daemon, container)
        assert await to_the_end(socket) == printed


async def test_logs_without_a_stream(daemon: Daemon, browser: aiohttp.ClientSession) -> None:
    container = await create(daemon, "hang")
    await start(daemon, container)
    await browser.post(f"/containers/{container}/kill?signal=INT")
    await daemon.settled()
    async with browser.ws_connect(f"/containers/{container}/attach/ws?logs=1&stdout=1") as socket:
        assert await to_the_end(socket) == b"hanging\ngot INT\n"


async def test_input_of_either_kind(daemon: Daemon, browser: aiohttp.ClientSession) -> None:
    container = await create(daemon, "cat", OpenStdin=True, StdinOnce=True)
    async with browser.ws_connect(f"/containers/{container}/attach/ws?{ALL}") as socket:
        await start(daemon, container)
        await socket.send_str("tëxt")
        assert await socket.receive_bytes(timeout=10) == "tëxt".encode()
        await socket.send_bytes(b"\xff\0\n")
        assert await socket.receive_bytes(timeout=10) == b"\xff\0\n"
    await daemon.settled()  # its close was the end of the input
    assert (await daemon.engine.inspect(container)).exit_code == 0


async def test_a_close_leaves_a_container_running_whose_input_is_not_once(
    daemon: Daemon, browser: aiohttp.ClientSession
) -> None:
    container = await create(daemon, "cat", OpenStdin=True)
    await start(daemon, container)
    async with browser.ws_connect(f"/containers/{container}/attach/ws?{ALL}") as socket:
        await socket.send_bytes(b"one")
        assert await socket.receive_bytes(timeout=10) == b"one"
    assert socket.close_code == 1000
    await nobody_attached(daemon, container)
    assert (await daemon.engine.inspect(container)).status == "running"


async def test_a_client_that_vanishes(daemon: Daemon, browser: aiohttp.ClientSession) -> None:
    container = await create(daemon, "hang")
    await start(daemon, container)
    socket = await browser.ws_connect(f"/containers/{container}/attach/ws?stream=1&stdout=1")
    transport = socket._response.connection
    assert transport is not None
    assert transport.transport is not None
    transport.transport.abort()
    await nobody_attached(daemon, container)
    assert (await daemon.engine.inspect(container)).status == "running"


async def test_detach_keys(daemon: Daemon, browser: aiohttp.ClientSession) -> None:
    container = await create(daemon, "screen", Tty=True, OpenStdin=True)
    await start(daemon, container)
    path = f"/containers/{container}/attach/ws?{ALL}&detachKeys=ctrl-a,d"
    async with browser.ws_connect(path) as socket:
        await socket.send_bytes(b"x")
        assert await socket.receive_bytes(timeout=10) == b"<78>"
        await socket.send_bytes(b"\x01d")
        assert await to_the_end(socket) == b""
    await nobody_attached(daemon, container)
    assert (await daemon.engine.inspect(container)).status == "running"


async def test_clients_before_1_28_get_text_and_all_streams(
    daemon: Daemon, browser: aiohttp.ClientSession
) -> None:
    container = await create(daemon, "cat", OpenStdin=True)
    await start(daemon, container)
    async with browser.ws_connect(f"/v1.24/containers/{container}/attach/ws?stream=1") as socket:
        for piece in ("ë".encode()[:1], "ë".encode()[1:], b"\xff"):
            await socket.send_bytes(piece)
        received = ""
        while len(received) < 2:
            received += await socket.receive_str(timeout=10)
        assert received == "ë\N{REPLACEMENT CHARACTER}"


async def test_text_that_breaks_off_is_told_at_the_end(
    daemon: Daemon, browser: aiohttp.ClientSession
) -> None:
    container = await create(daemon, "cat", OpenStdin=True, StdinOnce=True)
    await start(daemon, container)
    path = f"/v1.24/containers/{container}/attach/ws?stream=1"
    async with browser.ws_connect(path) as socket:
        await socket.send_bytes(b"a")
        assert await socket.receive_str(timeout=10) == "a"
        await socket.send_bytes("ë".encode()[:1])
        await socket.send_bytes("ë".encode()[1:] + "ë".encode()[:1])
        assert await socket.receive_str(timeout=10) == "ë"  # and nothing before
        await daemon.engine.kill(container, "KILL")
        assert await socket.receive_str(timeout=10) == "\N{REPLACEMENT CHARACTER}"
        assert (await socket.receive(timeout=10)).type is WSMsgType.CLOSE


async def test_a_defect_cuts_the_socket_and_writes_no_answer_into_it(
    daemon: Daemon,
    browser: aiohttp.ClientSession,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def defect(*_: object, **__: object) -> None:
        raise ValueError("a defect")

    monkeypatch.setattr(websocket, "_send", defect)
    container = await create(daemon, "hang")
    await start(daemon, container)
    async with browser.ws_connect(f"/containers/{container}/attach/ws?{ALL}") as socket:
        message = await socket.receive(timeout=10)
        assert message.type in (WSMsgType.CLOSED, WSMsgType.ERROR)
        assert socket.close_code == aiohttp.WSCloseCode.ABNORMAL_CLOSURE
    assert caplog.messages == [f"the streams of container {container[:12]} were cut off"]
    await nobody_attached(daemon, container)


async def test_refusals_are_statuses(
    daemon: Daemon, browser: aiohttp.ClientSession, connection: RawConnection
) -> None:
    container = await create(daemon, "hang")
    await start(daemon, container)
    for path, status in (
        ("/containers/nobody/attach/ws", 404),
        (f"/containers/{container}/attach/ws?detachKeys=ctrl-%C3%A4", 400),
    ):
        with pytest.raises(WSServerHandshakeError) as refused:
            await browser.ws_connect(path)
        assert refused.value.status == status
    answer = await connection.request("GET", f"/containers/{container}/attach/ws?stream=1")
    assert (answer.status, answer.json["message"]) == (
        400,
        "the request does not ask for a websocket\nUse POST /containers/{id}/attach for raw streams.",
    )
    await daemon.engine.pause(container)
    with pytest.raises(WSServerHandshakeError) as refused:
        await browser.ws_connect(f"/containers/{container}/attach/ws?stream=1")
    assert refused.value.status == 409


async def test_a_message_beyond_the_limit_ends_its_own_connection(
    daemon: Daemon, browser: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket, "LARGEST_MESSAGE", 1000)
    container = await create(daemon, "cat", OpenStdin=True)
    await start(daemon, container)
    async with browser.ws_connect(f"/containers/{container}/attach/ws?{ALL}") as socket:
        await socket.send_bytes(bytes(1001))
        assert (await socket.receive(timeout=10)).type is WSMsgType.CLOSE
        assert socket.close_code == aiohttp.WSCloseCode.MESSAGE_TOO_BIG
    await nobody_attached(daemon, container)
    assert (await daemon.engine.inspect(container)).status == "running"
