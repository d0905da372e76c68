"""Images as files: docker save and load, and linwin's own disk."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.scenario.fakes.disks import disk_of
from tests.scenario.fakes.gate import Gate
from tests.scenario.fakes.images import archive
from tests.scenario.harness import Daemon, Docker
from tests.scenario.raw_http import RawConnection


async def test_what_is_saved_loads_again(docker: Docker, daemon: Daemon) -> None:
    await docker("load", stdin=archive("team/app:1", "other:2", layers=[30]))
    before = set(daemon.fakes.images.stored)
    saved = await docker("save", "team/app:1", "other:2")
    assert (saved.code, saved.err) == (0, b"")
    assert saved.out == archive("team/app:1", "other:2", layers=[30]).replace(
        b'"team/app:1"', b'"docker.io/team/app:1"'
    ).replace(b'"other:2"', b'"docker.io/library/other:2"')
    await docker("rmi", "team/app:1", "other:2")
    loaded = await docker("load", stdin=saved.out)
    assert b"Loaded image: team/app:1\nLoaded image: other:2\n" in loaded.out
    assert set(daemon.fakes.images.stored) == before
    assert await daemon.nothing_left()


async def test_both_routes_say_what_they_send(connection: RawConnection, docker: Docker) -> None:
    await docker("load", stdin=archive("team/app:1"))
    for path in ("/images/team/app:1/get", "/images/get?names=team/app:1"):
        answer = await connection.request("GET", path)
        assert (answer.status, answer.headers["content-type"]) == (200, "application/x-tar")
        assert json.loads(answer.body)["images"][0]["reference"] == "docker.io/team/app:1"


async def test_an_error_before_the_first_byte_is_a_status(docker: Docker, connection: RawConnection) -> None:
    done = await docker("save", "no/such:1")
    assert done.code == 1
    assert b"No such image: no/such:1" in done.err
    assert (await connection.request("GET", "/images/no/such:1/get")).status == 404
    answer = await connection.request("GET", "/images/get")
    assert (answer.status, answer.json["message"]) == (
        400,
        "no image was named\nUse get?names=NAME&names=NAME.",
    )
    other = "%7B%22os%22:%22linux%22%7D"
    assert (await connection.request("GET", f"/images/get?names=a&platform={other}")).status == 400


async def every_chunk(connection: RawConnection) -> None:
    while await connection.chunk():
        continue


async def test_an_error_after_it_breaks_the_connection(
    docker: Docker, daemon: Daemon, connection: RawConnection, caplog: pytest.LogCaptureFixture
) -> None:
    await docker("load", stdin=archive("team/app:1"))
    daemon.fakes.images.torn = True
    assert (await docker("save", "team/app:1")).code == 1
    connection.send("GET", "/images/team/app:1/get")
    assert (await connection.head()).status == 200
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await every_chunk(connection)
    assert "the archive of team/app:1 was broken off" in caplog.text


async def test_the_disk_of_an_image(connection: RawConnection, docker: Docker, daemon: Daemon) -> None:
    await docker("load", stdin=archive("team/app:1", layers=[30]))
    answer = await connection.request("GET", "/linwin/images/team/app:1/disk")
    (chain_end,) = (name for name in daemon.fakes.disks.chains if daemon.fakes.disks.chains[name])
    assert answer.body == disk_of(chain_end)
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-length"] == str(len(answer.body))
    assert await daemon.nothing_left()


async def test_the_disk_of_no_image(connection: RawConnection, daemon: Daemon) -> None:
    answer = await connection.request("GET", "/linwin/images/no/such:1/disk")
    assert (answer.status, answer.json["message"].splitlines()[0]) == (404, "No such image: no/such:1")
    assert await daemon.nothing_left()


async def test_a_disk_that_nobody_waits_for_any_more(daemon: Daemon) -> None:
    daemon.fakes.disks.flattening = gate = Gate()
    connection = await RawConnection.open(daemon.paths.socket)
    before = asyncio.all_tasks()
    connection.send("GET", "/linwin/images/microsoft/nanoserver/disk")
    await gate.reached.wait()
    handlers = asyncio.all_tasks() - before | daemon.idle_connections()
    assert len(list(daemon.paths.scratch.iterdir())) == 1
    await connection.close()
    await asyncio.wait(handlers, timeout=10)
    assert await daemon.nothing_left()


async def test_no_room_for_a_disk(
    connection: RawConnection, daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(**_: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("linwin.api.archives.tempfile.mkdtemp", full)
    answer = await connection.request("GET", "/linwin/images/microsoft/nanoserver/disk")
    assert (answer.status, answer.json["message"]) == (
        503,
        "cannot store the image's disk: No space left on device\n"
        "Free some space under LINWIN_ROOT and try again.",
    )
