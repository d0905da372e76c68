"""Connections taken over from HTTP: both directions, half-closes, slow and vanished clients."""

from __future__ import annotations

import asyncio

import pytest

from linwin.model.container import LogQuery
from tests.scenario.fakes.programs import flood_bytes
from tests.scenario.harness import Daemon
from tests.scenario.raw_http import RawConnection, create, start

UPGRADE = {"Connection": "Upgrade", "Upgrade": "tcp", "User_Agent": "Docker-Client/28.2.2 (linux)"}
MULTIPLEXED = "application/vnd.docker.multiplexed-stream"
RAW = "application/vnd.docker.raw-stream"


async def attach(daemon: Daemon, container: str, query: str, **headers: str) -> RawConnection:
    connection = await RawConnection.open(daemon.paths.socket)
    answer = await connection.request("POST", f"/v1.50/containers/{container}/attach?{query}", **headers)
    assert answer.status == 101, answer.body
    return connection


@pytest.mark.parametrize(
    ("version", "kind"), [("v1.50", MULTIPLEXED), ("v1.42", MULTIPLEXED), ("v1.41", RAW)]
)
async def test_upgraded_attach_is_101(
    connection: RawConnection, daemon: Daemon, version: str, kind: str
) -> None:
    container = await create(daemon, "echo", "hi")
    answer = await connection.request(
        "POST", f"/{version}/containers/{container}/attach?stream=1&stdout=1", **UPGRADE
    )
    assert answer.status == 101
    assert answer.headers["content-type"] == kind
    assert answer.headers["upgrade"] == "tcp"
    assert answer.headers["ostype"] == "windows"
    await start(daemon, container)
    assert await connection.frame() == (1, b"hi\n")
    assert await connection.reader.read() == b""


async def test_attach_without_upgrade_is_200_until_the_end(connection: RawConnection, daemon: Daemon) -> None:
    container = await create(daemon, "complain")
    connection.send("POST", f"/containers/{container}/attach?stream=1&stdout=1&stderr=1")
    answer = await connection.head()
    assert (answer.status, answer.headers["content-type"]) == (200, RAW)
    assert "content-length" not in answer.headers
    await start(daemon, container)
    assert [await connection.frame(), await connection.frame()] == [(1, b"to stdout\n"), (2, b"to stderr\n")]
    assert await connection.reader.read() == b""


async def test_attach_to_nobody_is_an_answer_and_no_hijack(connection: RawConnection) -> None:
    answer = await connection.request("POST", "/v1.50/containers/nobody/attach?stream=1", **UPGRADE)
    assert (answer.status, answer.json) == (404, {"message": "No such container: nobody"})


async def test_half_close_ends_stdin_and_keeps_the_output(daemon: Daemon) -> None:
    container = await create(daemon, "sort", OpenStdin=True, StdinOnce=True)
    connection = await attach(daemon, container, "stream=1&stdin=1&stdout=1", **UPGRADE)
    connection.writer.write(b"b\na\n")
    connection.writer.write_eof()
    await start(daemon, container)
    assert await connection.frame() == (1, b"a\nb\n")
    assert await connection.reader.read() == b""
    await connection.close()


async def test_half_close_without_stdin_is_ignored(daemon: Daemon) -> None:
    container = await create(daemon, "hang")
    connection = await attach(daemon, container, "stream=1&stdout=1", **UPGRADE)
    connection.writer.write_eof()
    await start(daemon, container)
    assert await connection.frame() == (1, b"hanging\n")
    await daemon.engine.kill(container, "TERM")
    assert await connection.frame() == (1, b"got TERM\n")
    await connection.close()


async def test_input_that_was_not_announced_is_discarded(daemon: Daemon) -> None:
    container = await create(daemon, "cat", OpenStdin=True)
    await start(daemon, container)
    connection = await attach(daemon, container, "stream=1&stdout=1", **UPGRADE)
    connection.writer.write(b"x" * 5_000_000)
    await connection.writer.drain()
    await daemon.engine.kill(container, "KILL")
    assert await connection.reader.read() == b""
    await connection.close()


async def test_end_of_input_detaches_from_a_stdin_that_stays_open(daemon: Daemon) -> None:
    container = await create(daemon, "cat", OpenStdin=True)
    await start(daemon, container)
    for text in (b"one\n", b"two\n"):
        connection = await attach(daemon, container, "stream=1&stdin=1&stdout=1", **UPGRADE)
        connection.writer.write(text)
        assert await connection.frame() == (1, text)
        connection.writer.write_eof()
        assert await connection.reader.read() == b""
        await connection.close()
    assert (await daemon.engine.inspect(container)).status == "running"


async def test_input_of_a_client_that_hangs_up_at_once_is_delivered(daemon: Daemon) -> None:
    container = await create(daemon, "cat", OpenStdin=True, StdinOnce=True)
    await start(daemon, container)
    connection = await attach(daemon, container, "stream=1&stdin=1", **UPGRADE)
    data = flood_bytes(100_000)
    connection.writer.write(data)
    await connection.writer.drain()
    await connection.close()
    await daemon.settled()
    records = await daemon.engine.logs(container, LogQuery())
    assert b"".join([record.data async for record in records]) == data


async def test_input_that_nobody_reads_is_bounded(daemon: Daemon) -> None:
    container = await create(daemon, "hang", OpenStdin=True)
    await start(daemon, container)
    connection = await attach(daemon, container, "stream=1&stdin=1", **UPGRADE)
    connection.writer.write(b"x" * 10_000_000)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(connection.writer.drain(), 0.5)
    assert connection.writer.transport.get_write_buffer_size() > 5_000_000
    connection.writer.transport.abort()
    await daemon.engine.kill(container, "KILL")


async def test_impatient_clients_get_the_head_alone(daemon: Daemon) -> None:
    """docker-py loses what arrives together with the head."""
    container = await create(daemon, "echo", "hi")
    await start(daemon, container)
    await daemon.settled()
    connection = await RawConnection.open(daemon.paths.socket)
    patient = {**UPGRADE, "User_Agent": "docker-sdk-python/7.2.0"}
    connection.send("POST", f"/v1.50/containers/{container}/attach?logs=1&stdout=1", **patient)
    first = await connection.reader.read(65536)
    assert first.endswith(b"\r\n\r\n")
    assert await connection.frame() == (1, b"hi\n")
    await connection.close()


async def test_a_client_that_vanishes_is_forgotten(daemon: Daemon) -> None:
    """After a half-close only epoll's hang-up tells."""
    container = await create(daemon, "hang")
    await start(daemon, container)
    before = asyncio.all_tasks()
    connection = await attach(daemon, container, "stream=1&stdout=1", **UPGRADE)
    connection.writer.write_eof()
    attachments = daemon.engine.live(container).streams._attachments
    assert len(attachments) == 1
    handlers = asyncio.all_tasks() - before
    await connection.close()
    await asyncio.wait(handlers, timeout=10)
    assert not attachments


async def test_a_slow_client_holds_the_program_back(daemon: Daemon) -> None:
    size = 30_000_000
    container = await create(daemon, "flood", str(size))
    connection = await attach(daemon, container, "stream=1&stdout=1", **UPGRADE)
    connection.writer.transport.pause_reading()  # type: ignore[attr-defined]
    await start(daemon, container)
    process = daemon.fakes.guests.last
    printed = -1
    while printed != process._printed["stdout"]:  # until the program is held
        printed = process._printed["stdout"]
        await asyncio.sleep(0.1)
    assert 0 < printed < 10_000_000
    connection.writer.transport.resume_reading()  # type: ignore[attr-defined]
    received = bytearray()
    while len(received) < size:
        received += (await connection.frame())[1]
    assert received == flood_bytes(size)
    await connection.close()


async def test_a_defect_cuts_the_stream_and_writes_no_answer_into_it(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def defect(*_: object) -> bytes:
        raise ValueError("a defect")

    monkeypatch.setattr("linwin.api.mux.frame", defect)
    container = await create(daemon, "echo", "hi")
    connection = await attach(daemon, container, "stream=1&stdout=1", **UPGRADE)
    await start(daemon, container)
    assert await connection.reader.read() == b""
    await connection.close()
    assert caplog.messages == [f"the streams of container {container[:12]} were cut off"]
