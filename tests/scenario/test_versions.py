"""What clients of each version of the API find, and what they may ask for."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from linwin.api.context import MAX_VERSION, MIN_VERSION
from tests.scenario.fakes.images import archive
from tests.scenario.harness import IMAGE, Daemon
from tests.scenario.raw_http import RawConnection, create, start
from tests.scenario.test_small_verbs import guest_of

VERSIONS = [f"1.{minor}" for minor in range(MIN_VERSION[1], MAX_VERSION[1] + 1)]


async def got(connection: RawConnection, version: str, path: str) -> Any:
    answer = await connection.request("GET", f"/v{version}{path}")
    assert answer.status == 200, answer.body
    return answer.json


@pytest.mark.parametrize("version", VERSIONS)
async def test_every_version_has_its_fields(daemon: Daemon, connection: RawConnection, version: str) -> None:
    minor = int(version.partition(".")[2])
    upload = daemon.paths.scratch / "archive"
    upload.write_bytes(archive("team/app:1"))
    await daemon.engine.load(upload, daemon.engine.unreported)
    upload.unlink()
    inspected = await got(connection, version, "/images/team/app:1/json")
    assert ("VirtualSize" in inspected) == (minor < 44)
    assert "ContainerConfig" in inspected  # docker-compose 1.29 reads it, whatever the version
    listed = await got(connection, version, "/images/json")
    assert all(("VirtualSize" in image) == (minor < 44) for image in listed)
    info = await got(connection, version, "/info")
    assert ("BridgeNfIptables" in info) == (minor < 50)
    assert ("AllowNondistributableArtifactsCIDRs" in info["RegistryConfig"]) == (minor < 49)
    assert ("ExecutionDriver" in info) == (minor < 25)
    use = await got(connection, version, "/system/df?type=volume")
    assert ("BuilderSize" in use) == (minor < 42)
    assert (use["Images"] is None) == (minor >= 42)  # the first version whose clients choose
    pinged = await connection.request("GET", f"/v{version}/_ping")
    assert (pinged.headers["api-version"], pinged.body) == ("1.50", b"OK")


@pytest.mark.parametrize(
    ("version", "names"), [("1.42", (["<none>:<none>"], ["<none>@<none>"])), ("1.43", ([], []))]
)
async def test_an_image_without_a_name(
    daemon: Daemon, connection: RawConnection, version: str, names: tuple[list[str], list[str]]
) -> None:
    upload = daemon.paths.scratch / "archive"
    for layers in ([500], [700]):  # the second takes the first one's name
        upload.write_bytes(archive("team/app:1", layers=layers))
        await daemon.engine.load(upload, daemon.engine.unreported)
    upload.unlink()
    (dangling,) = await got(connection, version, "/images/json?filters=%7B%22dangling%22:[%22true%22]%7D")
    assert (dangling["RepoTags"], dangling["RepoDigests"]) == names


@pytest.mark.parametrize(("version", "kept"), [("1.24", True), ("1.25", False)])
async def test_auto_removal_was_the_clients_work(
    daemon: Daemon, connection: RawConnection, version: str, kept: bool
) -> None:
    body = {"Image": IMAGE, "Cmd": ["echo"], "HostConfig": {"AutoRemove": True}}
    made = await connection.request("POST", f"/v{version}/containers/create", body)
    await start(daemon, made.json["Id"])
    await daemon.settled()
    assert bool(await daemon.engine.list()) == kept


@pytest.mark.parametrize(("version", "interval"), [("1.43", 0), ("1.44", 10**9)])
async def test_start_intervals(
    daemon: Daemon, connection: RawConnection, version: str, interval: int
) -> None:
    check = {"Test": ["CMD", "doctor"], "StartInterval": 10**9}
    body = {"Image": IMAGE, "Cmd": ["echo"], "Healthcheck": check}
    made = await connection.request("POST", f"/v{version}/containers/create", body)
    found = (await daemon.engine.inspect(made.json["Id"])).health_check
    assert found is not None
    assert found.start_interval == interval


@pytest.mark.parametrize(("version", "said"), [("1.41", b"got TERM\n"), ("1.42", b"got INT\n")])
async def test_signals_of_stop(daemon: Daemon, connection: RawConnection, version: str, said: bytes) -> None:
    container = await create(daemon, "hang")
    await start(daemon, container)
    stopped = await connection.request("POST", f"/v{version}/containers/{container}/stop?signal=INT")
    assert stopped.status == 204
    answer = await connection.request("GET", f"/containers/{container}/logs?stdout=1&tail=1")
    assert answer.body[8:] == said


@pytest.mark.parametrize(
    ("method", "path", "older", "newer", "status"),
    [
        ("POST", "/containers/create?platform=linux/arm64", "1.40", "1.41", 201),
        ("POST", "/images/create?fromImage=x&tag=1&platform=linux/arm64", "1.31", "1.32", 404),
        ("GET", "/containers/{id}/stats?stream=1&one-shot=1", "1.40", "1.41", 200),
    ],
)
async def test_what_an_older_client_cannot_have_meant(
    daemon: Daemon, method: str, path: str, older: str, newer: str, status: int
) -> None:
    container = await create(daemon, "hang")
    for version, expected in ((older, status), (newer, 400)):
        connection = await RawConnection.open(daemon.paths.socket)
        connection.send(method, f"/v{version}{path.replace('{id}', container)}", {"Image": IMAGE})
        assert (await connection.head()).status == expected
        connection.writer.transport.abort()


@pytest.mark.parametrize(("version", "size"), [("1.41", (24, 80)), ("1.42", (11, 22))])
async def test_sizes_of_execs(
    daemon: Daemon, connection: RawConnection, version: str, size: tuple[int, int]
) -> None:
    container = await create(daemon, "hang")
    await start(daemon, container)
    body = {"Cmd": ["screen"], "Tty": True, "ConsoleSize": [11, 22]}
    made = await connection.request("POST", f"/v{version}/containers/{container}/exec", body)
    await connection.request("POST", f"/exec/{made.json['Id']}/start", {"Detach": True})
    assert guest_of(daemon)[1].running[made.json["Id"]].spec.terminal == size


async def test_waits_before_1_30_have_no_condition(daemon: Daemon, connection: RawConnection) -> None:
    container = await create(daemon, "hang")
    waiting = connection.request("POST", f"/v1.29/containers/{container}/wait?condition=next-exit")
    answer = await asyncio.wait_for(waiting, 10)
    assert answer.json == {"StatusCode": 0}  # it does not run


async def test_info_counts_containers_as_docker_does(daemon: Daemon, connection: RawConnection) -> None:
    for _ in range(3):
        container = await create(daemon, "hang")
        await start(daemon, container)
    await daemon.engine.pause(container)
    await create(daemon, "hang")
    info = await got(connection, "1.50", "/info")
    counts = [info[f"Containers{state}"] for state in ("", "Running", "Paused", "Stopped")]
    assert counts == [4, 2, 1, 1]
