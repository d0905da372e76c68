"""The exchange byte by byte: headers, versions, errors, answers that take their time."""

from __future__ import annotations

import json
import stat

import pytest

from tests.scenario.harness import IMAGE, Daemon
from tests.scenario.raw_http import RawConnection, create, start

MULTIPLEXED = "application/vnd.docker.multiplexed-stream"


@pytest.mark.parametrize(
    "path", ["/_ping", "/version", "/v1.24/info", "/nowhere", "/v1.99/info", "/images/json"]
)
async def test_every_response_says_who_we_are(connection: RawConnection, path: str) -> None:
    headers = (await connection.request("GET", path)).headers
    assert headers["server"] == "Docker/28.2.2 (windows)"
    assert headers["api-version"] == "1.50"
    assert headers["ostype"] == "windows"
    assert headers["docker-experimental"] == "false"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_ping(connection: RawConnection, method: str) -> None:
    answer = await connection.request(method, "/_ping")
    assert (answer.status, answer.body) == (200, b"OK" if method == "GET" else b"")
    assert answer.headers["builder-version"] == "1"
    assert answer.headers["swarm"] == "inactive"
    assert answer.headers["cache-control"] == "no-cache, no-store, must-revalidate"


@pytest.mark.parametrize(
    ("version", "message"),
    [
        (
            "1.51",
            "client version 1.51 is too new. Maximum supported API version is 1.50\n"
            "Set DOCKER_API_VERSION=1.50.",
        ),
        (
            "1.23",
            "client version 1.23 is too old. Minimum supported API version is 1.24, "
            "please upgrade your client to a newer version",
        ),
        ("1.2.3", "invalid API version 1.2.3\nUse a path such as /v1.50/info."),
    ],
)
async def test_versions_out_of_range(connection: RawConnection, version: str, message: str) -> None:
    answer = await connection.request("GET", f"/v{version}/info")
    assert (answer.status, answer.json) == (400, {"message": message})


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/nowhere"),
        ("POST", "/version"),
        ("PUT", "/info"),
    ],
)
async def test_unknown_routes_and_methods(connection: RawConnection, method: str, path: str) -> None:
    answer = await connection.request(method, path)
    assert (answer.status, answer.json) == (404, {"message": "page not found"})
    assert answer.headers["content-type"] == "application/json"


async def test_one_connection_serves_many_requests(connection: RawConnection) -> None:
    for _ in range(3):
        assert (await connection.request("GET", "/v1.44/containers/json")).json == []


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("/containers/nobody/json", 404, "No such container: nobody"),
        (
            "/images/some/where/no:such/json",
            404,
            "No such image: some/where/no:such\nLoad it from an archive: linwin load -i ARCHIVE",
        ),
        (
            "/containers/json?filters=%7B%22color%22:[%22red%22]%7D",
            400,
            "invalid filter 'color'\n"
            "Filters known here: ancestor, before, exited, expose, health, id, label, name, network, "
            "publish, since, status, volume.",
        ),
        ("/containers/json?filters=[", 400, "invalid filter\nFilters are a JSON object of lists."),
        (
            "/containers/json?limit=some",
            400,
            "invalid value 'some' for the query parameter limit\nUse a whole number.",
        ),
        (
            "/linwin/templates/none",
            404,
            "No such template: none\nBuild it first: linwin template build none",
        ),
    ],
)
async def test_errors_in_dockers_form(
    connection: RawConnection, path: str, status: int, message: str
) -> None:
    answer = await connection.request("GET", path)
    assert (answer.status, answer.json) == (status, {"message": message})
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the request has no body\nSend a JSON object."),
        (b"{", "invalid JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        (b"[]", "invalid JSON: the request's body must be an object"),
        (b"[" * 200_000, "invalid JSON: "),
        ({"Image": 7}, "invalid JSON: Image must hold text"),
        ({"Image": IMAGE, "Env": "A=b"}, "invalid JSON: Env must be a list of texts"),
        ({"Image": IMAGE, "Env": ["=b"]}, "invalid environment variable: =b\nUse NAME=value."),
        ({"Image": IMAGE, "Tty": "yes"}, "invalid JSON: Tty must be true or false"),
        ({"Image": IMAGE, "Labels": {"a": 1}}, "invalid JSON: Labels must hold text"),
        ({"Image": IMAGE, "HostConfig": {"Memory": -1}}, "Memory must not be negative"),
        ({"Image": IMAGE, "HostConfig": {"Memory": 2**70}}, "invalid JSON: Memory must be a whole number"),
        ({"Image": IMAGE, "User": "\ud800"}, "invalid JSON: User holds half a surrogate pair"),
        ({}, "no image was named\nSet Image to a reference such as microsoft/nanoserver."),
    ],
)
async def test_malformed_creates(connection: RawConnection, body: object, message: str) -> None:
    answer = await connection.request("POST", "/containers/create", body)
    assert answer.status == 400
    assert answer.json["message"].startswith(message)


async def test_create_for_an_unknown_image(connection: RawConnection, daemon: Daemon) -> None:
    answer = await connection.request("POST", "/containers/create", {"Image": "no/such"})
    assert answer.status == 404
    assert answer.json["message"].splitlines()[0] == "No such image: no/such:latest"
    assert await daemon.nothing_left()


async def test_create_for_another_platform(connection: RawConnection) -> None:
    answer = await connection.request("POST", "/containers/create?platform=linux/arm64", {"Image": IMAGE})
    assert (answer.status, answer.json["message"].splitlines()[0]) == (
        400,
        "the platform linux/arm64 is not supported",
    )


async def test_start_and_stop_without_effect_are_304(connection: RawConnection, daemon: Daemon) -> None:
    container = await create(daemon, "hang")
    assert (await connection.request("POST", f"/containers/{container}/stop")).status == 304
    assert (await connection.request("POST", f"/containers/{container}/start")).status == 204
    assert (await connection.request("POST", f"/containers/{container}/start")).status == 304


async def test_resize_is_accepted_at_any_time(connection: RawConnection, daemon: Daemon) -> None:
    container = await create(daemon, "hang")
    assert (await connection.request("POST", f"/containers/{container}/resize?h=24&w=80")).status == 200
    assert (await connection.request("POST", "/containers/nobody/resize?h=24&w=80")).status == 404
    assert (await connection.request("POST", f"/containers/{container}/resize")).status == 400


async def test_refused_host_settings_are_501(connection: RawConnection) -> None:
    body = {"Image": IMAGE, "HostConfig": {"Privileged": True}}
    answer = await connection.request("POST", "/containers/create", body)
    assert (answer.status, answer.json["message"]) == (
        501,
        "linwin does not support privileged containers (Privileged)\n"
        "Leave out --privileged; a guest VM has no more rights to give.",
    )


async def test_wait_answers_its_head_at_once(connection: RawConnection, daemon: Daemon) -> None:
    container = await create(daemon, "exit", "7")
    connection.send("POST", f"/containers/{container}/wait?condition=next-exit")
    answer = await connection.head()
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    await start(daemon, container)
    assert json.loads(await connection.chunk()) == {"StatusCode": 7}


async def test_wait_conditions(connection: RawConnection, daemon: Daemon) -> None:
    container = await create(daemon, "exit", "7", HostConfig={"AutoRemove": True})
    answer = await connection.request("POST", f"/containers/{container}/wait")
    assert answer.json == {"StatusCode": 0}  # it is not running
    answer = await connection.request("POST", f"/containers/{container}/wait?condition=soon")
    assert (answer.status, answer.json["message"].splitlines()[0]) == (400, 'invalid condition: "soon"')
    connection.send("POST", f"/containers/{container}/wait?condition=removed")
    await connection.head()
    await start(daemon, container)
    assert json.loads(await connection.chunk()) == {"StatusCode": 7}
    assert await daemon.nothing_left()


async def test_logs_want_a_stream(connection: RawConnection, daemon: Daemon) -> None:
    container = await create(daemon, "echo")
    answer = await connection.request("GET", f"/containers/{container}/logs")
    assert (answer.status, answer.json["message"].splitlines()[0]) == (
        400,
        "Bad parameters: you must choose at least one stream",
    )


async def test_logs_by_time(connection: RawConnection, daemon: Daemon) -> None:
    container = await create(daemon, "lines", "2")
    await start(daemon, container)
    await daemon.settled()
    path = f"/containers/{container}/logs?stdout=1&stderr=1"
    assert (await connection.request("GET", path)).headers["content-type"] == MULTIPLEXED
    assert (await connection.request("GET", path)).body == (
        b"\x01\0\0\0\0\0\0\x07line 0\n\x02\0\0\0\0\0\0\x07line 1\n"
    )
    assert (await connection.request("GET", path + "&since=99999999999.5")).body == b""
    assert (await connection.request("GET", path + "&until=1")).body == b""
    assert (await connection.request("GET", path + "&since=yesterday")).status == 400


async def test_five_hundred_connections(daemon: Daemon) -> None:
    container = await create(daemon, "hang")
    await start(daemon, container)
    crowd = [await RawConnection.open(daemon.paths.socket) for _ in range(500)]
    for connection in crowd:
        connection.send("POST", f"/containers/{container}/wait")
    for connection in crowd:
        assert (await connection.head()).status == 200
    await daemon.engine.stop(container, timeout=None)
    for connection in crowd:
        assert json.loads(await connection.chunk()) == {"StatusCode": 0xC000013A}
        await connection.close()


async def test_the_socket_is_for_its_group_only(daemon: Daemon) -> None:
    assert stat.S_IMODE(daemon.paths.socket.stat().st_mode) == 0o660
