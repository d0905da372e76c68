"""Clients that are broken or hostile: each is told so with a 4xx and a sentence, and the daemon lives on."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Literal

import pytest
from aiohttp import StreamReader
from aiohttp.http_exceptions import HttpProcessingError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from linwin.api.fields import DEEPEST, Fields
from linwin.api.server import LARGEST_JSON, NOUNS
from linwin.api.wire import container_spec
from linwin.errors import InvalidRequest, NotFound, Unsupported
from tests.scenario.fakes.gate import Gate
from tests.scenario.fakes.images import canonical
from tests.scenario.fakes.registry import Content
from tests.scenario.harness import IMAGE, Daemon
from tests.scenario.raw_http import Answer, RawConnection, create, start
from tests.scenario.test_hijack import UPGRADE
from tests.scenario.test_verbs_in_states import WEBSOCKET

IDS = (
    "..",
    "%2e%2e",
    "..%2f..%2f..%2fetc%2fpasswd",
    "%2fetc%2fpasswd",
    "..%5c..%5cwindows",
    "%00",
    "name%00.json",
    "%ff%fe",
    "%c0%ae%c0%ae",
    "%0d%0aX-Injected:%20yes",
    "%7b%7d",
    "a" * 5000,
    "%F0%9F%90%B3",
    "%",
    "%zz",
    "-",
    "sha256:" + "0" * 64,
    "sha256%3A..%2f" + "0" * 60,
)
ROUTES = [
    (method, path)
    for noun in NOUNS
    for method, path, _ in noun.ROUTES
    if "{" in path and not path.startswith("/containers/{id}/attach/ws")
]


PHASES: tuple[Literal["setup", "call", "teardown"], ...] = ("setup", "call", "teardown")


@pytest.fixture(autouse=True)
async def alive(no_defect: None, daemon: Daemon) -> AsyncIterator[None]:
    """Whatever came, the daemon answers, and it has noted no defect of its own, also as it closed."""
    yield
    connection = await RawConnection.open(daemon.paths.socket)
    assert (await connection.request("GET", "/_ping")).body == b"OK"
    await connection.close()


@pytest.fixture(autouse=True)
def no_defect(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    noted = [record for phase in PHASES for record in caplog.get_records(phase)]
    defects = [record for record in noted if record.levelno >= logging.ERROR]
    if request.function is test_what_is_not_http:  # aiohttp notes itself what it cannot read
        defects = [record for record in defects if not unreadable(record)]
    assert [f"{record.name}: {record.getMessage()}" for record in defects] == []


def unreadable(record: logging.LogRecord) -> bool:
    """Whether it says that what came is not HTTP."""
    reason = record.exc_info and record.exc_info[1]
    return record.name == "aiohttp.server" and isinstance(reason, HttpProcessingError)


def refused(answer: Answer) -> str:
    """The sentence of a refusal that is the client's fault, or says what linwin has not."""
    assert 400 <= answer.status < 500 or answer.status == 501, (answer.status, answer.body)
    assert answer.headers["content-type"].partition(";")[0] in ("application/json", "text/plain")
    if answer.headers["content-type"] == "application/json" and answer.body:
        sentence = answer.json["message"]
        assert isinstance(sentence, str)
        assert sentence.strip()
        return sentence
    return answer.body.decode()


@pytest.mark.parametrize("identity", IDS, ids=lambda text: text[:24])
async def test_no_route_takes_a_path_for_a_name(daemon: Daemon, identity: str) -> None:
    for method, path in ROUTES:
        connection = await RawConnection.open(daemon.paths.socket)
        asked = re.sub(r"\{[^}]*\}", identity, path)
        body = {"Image": IMAGE} if method in ("POST", "PUT") else None
        answer = await connection.request(method, asked, body)
        if not path.startswith(("/plugins", "/swarm", "/services", "/linwin/checkpoints")):
            assert answer.status >= 400, (method, asked)
        assert answer.status < 500 or answer.status in (501, 503), (method, asked, answer.body)
        assert "x-injected" not in answer.headers
        await connection.close()
    assert await daemon.nothing_left()


MALFORMED = (
    b"",
    b" ",
    b"{",
    b"[]",
    b"null",
    b'"text"',
    b"7",
    b"{}{}",
    b'{"Image": "x",}',
    b'{"Image": NaN}',
    b'{"HostConfig": {"Annotations": Infinity}}',
    b'{"Image": "microsoft/nanoserver", "HostConfig": {"BlkioWeightDevice": [{"Weight": 1e999}]}}',
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b'{"\xff": 1}',
    b"\0",
    b"9" * 10_000,
    b'{"a":' * 500 + b"1" + b"}" * 500,
    b"[" * 100_000,
    b"<html></html>",
)
BODIES = (
    "/containers/create",
    "/containers/{id}/update",
    "/containers/{id}/exec",
    "/exec/{exec}/start",
    "/auth",
)


@pytest.mark.parametrize("path", BODIES)
async def test_malformed_json(daemon: Daemon, connection: RawConnection, path: str) -> None:
    container = await create(daemon, "hang")
    await start(daemon, container)
    made = await connection.request("POST", f"/containers/{container}/exec", {"Cmd": ["echo"]})
    asked = path.replace("{id}", container).replace("{exec}", made.json["Id"])
    for body in MALFORMED:
        answer = await connection.request("POST", asked, body, Content_Type="application/json")
        assert answer.status == 400, (body[:40], answer.body)
        assert refused(answer)


async def test_unknown_fields_are_ignored_and_not_kept(daemon: Daemon, connection: RawConnection) -> None:
    body = {"Image": IMAGE, "Sidecar": [{}], "HostConfig": {"Sidecar": {"deep": [1]}, "ShmSize": 7}}
    answer = await connection.request("POST", "/containers/create", body)
    assert answer.status == 201
    shown = (await connection.request("GET", f"/containers/{answer.json['Id']}/json")).json
    assert "Sidecar" not in json.dumps(shown)
    assert shown["HostConfig"]["ShmSize"] == 7


async def test_what_is_nested_too_deep_is_refused_before_anything_recurses(connection: RawConnection) -> None:
    for depth, status in ((DEEPEST - 5, 201), (DEEPEST - 4, 400)):
        value: object = 1
        for _ in range(depth):
            value = [value]
        body = {"Image": IMAGE, "HostConfig": {"Ulimits": [{"a": value}]}}
        answer = await connection.request("POST", "/containers/create", body)
        assert answer.status == status
    assert answer.json["message"].startswith(f"invalid JSON: it is nested deeper than {DEEPEST} levels")


async def test_a_huge_body(daemon: Daemon, connection: RawConnection) -> None:
    answer = await connection.request("POST", "/containers/create", b"{" + b" " * LARGEST_JSON)
    assert answer.status == 413
    assert refused(answer) == (
        f"the request's body is larger than {LARGEST_JSON} bytes\nNo request of docker's is that large."
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    ["Image", "Cmd", "Env", "Labels", "Tty", "HostConfig", "Healthcheck", "ExposedPorts", "NetworkingConfig"]
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.dictionaries(FIELDS, JSON, max_size=4))
def test_any_json_is_created_or_refused(body: dict[str, object]) -> None:
    """Whatever its type: what is no LinwinError would be a 500."""
    with suppress(InvalidRequest, NotFound, Unsupported):
        spec, warnings = container_spec(Fields({"Image": IMAGE, **body}, "the request's body"))
        assert json.dumps(dict(spec.host_config), allow_nan=False)
        assert all(warnings)


@pytest.mark.parametrize("framing", ["Content-Length: 13\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\nd\r\n"])
async def test_a_start_takes_no_settings(daemon: Daemon, connection: RawConnection, framing: str) -> None:
    container = await create(daemon, "hang")
    head = f"POST /containers/{container}/start HTTP/1.1\r\nHost: x\r\n{framing}"
    connection.writer.write(head.encode() + b'{"Memory": 1}' + b"\r\n0\r\n\r\n" * ("chunked" in head))
    answer = await connection.head()
    sentence = json.loads(await connection.reader.readexactly(int(answer.headers["content-length"])))
    assert (answer.status, sentence["message"]) == (
        400,
        "starting container with non-empty request body was deprecated since API v1.22 "
        "and removed in v1.24\nGive a HostConfig to create instead.",
    )
    assert (await daemon.engine.inspect(container)).status == "created"
    other = await RawConnection.open(daemon.paths.socket)
    assert (await other.request("POST", f"/containers/{container}/start", {})).status == 204
    await other.close()


QUERIES = (
    ("GET", "/containers/json?limit=many"),
    ("GET", "/containers/json?limit=99999999999999999999"),
    ("GET", "/containers/json?filters=%FF"),
    ("GET", "/containers/json?filters={"),
    ("GET", "/containers/json?filters=[1]"),
    ("GET", '/containers/json?filters={"status":["flying"]}'),
    ("GET", '/containers/json?filters={"exited":["x"]}'),
    ("GET", '/containers/json?filters={"id":7}'),
    ("GET", '/containers/json?filters={"before":["nobody"]}'),
    ("GET", "/containers/json?filters=" + "[" * 20_000),
    ("POST", "/containers/{id}/stop?t=soon"),
    ("POST", "/containers/{id}/stop?signal=SIGNOTHING"),
    ("POST", "/containers/{id}/kill?signal=%00"),
    ("POST", "/containers/{id}/kill?signal=-1"),
    ("POST", "/containers/{id}/kill?signal=999"),
    ("POST", "/containers/{id}/resize?h=x&w=1"),
    ("POST", "/containers/{id}/resize?h=0&w=1"),
    ("POST", "/containers/{id}/resize?h=70000&w=1"),
    ("POST", "/containers/{id}/rename?name=..%2Fx"),
    ("POST", "/containers/{id}/rename?name=%00"),
    ("POST", "/containers/{id}/wait?condition=never"),
    ("POST", "/containers/{id}/attach?detachKeys=ctrl-%C3%A4"),
    ("GET", "/containers/{id}/logs?stdout=1&since=yesterday"),
    ("GET", "/containers/{id}/logs?stdout=1&until=-x"),
    ("GET", "/containers/{id}/logs"),
    ("GET", "/containers/{id}/top?ps_args=aux"),
    ("GET", "/containers/{id}/stats?stream=1&one-shot=1"),
    ("GET", "/containers/{id}/archive"),
    ("GET", "/containers/{id}/archive?path=%00"),
    ("GET", "/containers/{id}/archive?path=D:%5Cx"),
    ("GET", "/containers/{id}/archive?path=C:%5Ca:stream"),
    ("PUT", "/containers/{id}/archive?path=C:%5C"),
    ("POST", "/containers/create?name=a%2Fb"),
    ("POST", "/containers/create?name=%00"),
    ("POST", "/containers/create?platform=%FF%2F%2F"),
    ("GET", "/events?since=x"),
    ("GET", "/events?filters={"),
    ("GET", "/images/json?filters={"),
    ("GET", "/images/search?term="),
    ("GET", "/images/search?term=a&limit=1000"),
    ("GET", "/images/get"),
    ("GET", "/images/get?names=%00"),
    ("POST", "/images/create"),
    ("POST", "/images/create?fromImage=%00"),
    ("POST", "/images/create?fromImage=UPPER/..&tag=x"),
    ("POST", "/images/create?fromImage=a&tag=-%20-"),
    ("POST", "/images/microsoft%2Fnanoserver/tag"),
    ("POST", "/images/microsoft%2Fnanoserver/tag?repo=..%2F..%2Fx&tag=1"),
    ("POST", "/images/microsoft%2Fnanoserver/tag?repo=x&tag=%00"),
    ("POST", "/images/prune?filters={"),
    ("POST", "/images/load"),
    ("GET", "/system/df?type=nothing"),
    ("GET", "/v1.23/info"),
    ("GET", "/v99.99/info"),
    ("GET", "/v1/info"),
    ("GET", "/v1.2.3/info"),
    ("GET", "/v99999999.1/info"),
)


@pytest.mark.parametrize(("method", "path"), QUERIES, ids=lambda text: text[:60])
async def test_bad_queries(daemon: Daemon, connection: RawConnection, method: str, path: str) -> None:
    container = await create(daemon, "hang")
    await start(daemon, container)
    body = {"Image": IMAGE} if "/create?" in path and "containers" in path else None
    asked = path.replace("{id}", container).replace('"', "%22")
    answer = await connection.request(method, asked, body)
    assert refused(answer)
    assert (await daemon.engine.inspect(container)).status == "running"
    assert (await daemon.engine.inspect(container)).name != "x"


GARBAGE = (
    b"\r\n\r\n",
    b"HELLO\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET /info HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    b"GET /info HTTP/1.1\r\nContent-Length: x\r\n\r\n",
    b"POST /auth HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"GET /info HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 70_000 + b"\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n",
)


@pytest.mark.parametrize("sent", GARBAGE, ids=lambda sent: repr(sent[:20]))
async def test_what_is_not_http(connection: RawConnection, sent: bytes) -> None:
    connection.writer.write(sent)
    connection.writer.write_eof()
    answer = await asyncio.wait_for(connection.reader.read(), 10)
    assert answer == b"" or re.match(rb"HTTP/1\.[01] (4\d\d|505)", answer), answer[:200]


UNFINISHED = b"POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"


async def test_clients_that_never_finish_their_request(daemon: Daemon) -> None:
    before = asyncio.all_tasks()
    slow = [await RawConnection.open(daemon.paths.socket) for _ in range(50)]
    for number, client in enumerate(slow):
        client.writer.write(
            b"POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"[: 30 + number]
        )
    other = await RawConnection.open(daemon.paths.socket)
    assert (await other.request("GET", "/version")).status == 200
    for client in [*slow, other]:
        await client.close()
    await all_end(before)
    assert await daemon.nothing_left()


async def all_end(before: set[asyncio.Task[object]]) -> None:
    """Return when no task is left that did not exist before."""
    while fresh := asyncio.all_tasks() - before - {asyncio.current_task()}:  # type: ignore[operator]
        _, working = await asyncio.wait(fresh, timeout=10)
        assert not working, working


PULLED = "team/app:1"
SHORT = ("files", "saved images", "push")
"""Their answers are complete before anybody could go away."""
STREAMS = {
    "events": ("GET", "/events", {}),
    "logs": ("GET", "/containers/{id}/logs?follow=1&stdout=1", {}),
    "stats": ("GET", "/containers/{id}/stats", {}),
    "files": ("GET", "/containers/{id}/archive?path=C:%5CWindows", {}),
    "saved images": ("GET", "/images/get?names={image}", {}),
    "attach/ws": ("GET", "/containers/{id}/attach/ws?stream=1&stdin=1&stdout=1", WEBSOCKET),
    "wait": ("POST", "/containers/{id}/wait", {}),
    "wait removed": ("POST", "/containers/{id}/wait?condition=removed", {}),
    "attach": ("POST", "/containers/{id}/attach?stream=1&stdin=1&stdout=1", UPGRADE),
    "attach without an upgrade": ("POST", "/containers/{id}/attach?stream=1&stdout=1", {}),
    "exec": ("POST", "/exec/{exec}/start", UPGRADE),
    "pull": ("POST", f"/images/create?fromImage={PULLED}", {}),
    "push": ("POST", "/images/{image}/push", {}),
    "load": ("POST", "/images/load", {"Content_Length": "100000"}),
    "build": ("POST", "/build", {"Content_Length": "100000"}),
    "import": ("POST", "/images/create?fromSrc=-", {"Content_Length": "100000"}),
    "cp": ("PUT", "/containers/{id}/archive?path=C:%5C", {"Content_Length": "100000"}),
    "create": ("POST", "/containers/create", {"Content_Length": "100000"}),
}


@pytest.fixture
def hungry(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Set when a handler has taken all that came of its request's body, and waits for the rest."""
    event, wait = asyncio.Event(), StreamReader._wait

    async def noting(body: StreamReader, asked_by: str) -> None:
        if body.total_bytes:
            event.set()
        await wait(body, asked_by)

    monkeypatch.setattr(StreamReader, "_wait", noting)
    return event


def in_flight(daemon: Daemon) -> float:
    """How many requests are being handled."""
    ((gauge,),) = (metric.samples for metric in daemon.engine.metrics.in_flight.collect())
    return gauge.value


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("how", ["abort", "close"])
async def test_a_client_that_goes_away_leaves_no_work(
    daemon: Daemon, connection: RawConnection, hungry: asyncio.Event, name: str, how: str
) -> None:
    container = await create(daemon, "hang", OpenStdin=True)
    await start(daemon, container)
    body = {"Cmd": ["hang"], "AttachStdout": True}
    made = await connection.request("POST", f"/containers/{container}/exec", body)
    await connection.request("GET", "/_ping")
    registry = daemon.fakes.images.registry
    registry.content[canonical(PULLED)] = Content()
    registry.gate = gate = Gate()
    method, path, headers = STREAMS[name]
    asked = path.replace("{id}", container).replace("{exec}", made.json["Id"]).replace("{image}", IMAGE)
    before = asyncio.all_tasks()
    client = await RawConnection.open(daemon.paths.socket)
    client.send(method, asked, {} if name == "exec" else b"x" if headers else None, **headers)
    if "Content_Length" in headers:
        await asyncio.wait_for(hungry.wait(), 10)
        spooled = [file.read_bytes() for file in daemon.paths.scratch.glob("*/*")]
        assert spooled == ([] if name == "create" else [b"x"])
    else:
        assert (await asyncio.wait_for(client.head(), 10)).status in (101, 200)
    if name == "pull":
        await asyncio.wait_for(gate.reached.wait(), 10)
    assert in_flight(daemon) == (name not in SHORT)
    if how == "abort":
        client.writer.transport.abort()
    else:
        await client.close()
    if name == "exec":  # the program runs on, as docker's does: its client's work is what ends
        before |= {task for task in asyncio.all_tasks() if task.get_name().startswith(("exec ", "exit of"))}
        before |= {task for task in asyncio.all_tasks() if "FakeProcess" in repr(task.get_coro())}
    await all_end(before)
    assert daemon.engine.live(container).streams._attachments == set()
    assert not list(daemon.paths.scratch.iterdir())
    assert (await daemon.engine.inspect(container)).status == "running"
