"""Every container verb of the API in every state of a container: docker's status and docker's sentence.

``start``, ``stop``, ``kill`` and ``rm`` are tested in every state at the engine, by
test_lifecycle; here they are asked for once more over the socket, beside all others.
"""

from __future__ import annotations

import asyncio
import io
import tarfile
from dataclasses import dataclass

import pytest

from linwin.model.container import Status
from tests.scenario.harness import Daemon
from tests.scenario.raw_http import RawConnection
from tests.scenario.test_hijack import UPGRADE
from tests.scenario.test_lifecycle import pet_in

WEBSOCKET = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec_WebSocket_Version": "13",
    "Sec_WebSocket_Key": "MDEyMzQ1Njc4OWFiY2RlZg==",
}
STATES: tuple[Status, ...] = (
    "created",
    "running",
    "paused",
    "restarting",
    "stopping",
    "exited",
    "dead",
    "removing",
)

NOT_RUNNING = "container {id} is not running"
KILL = "cannot kill container: pet: container {id} is not running"
NOT_PAUSED = "Container {id} is not paused"
RESTARTING = "Container {id} is restarting, wait until the container is running"
RUNNING = 'cannot remove container "/pet": container is running: {advice}'
DOOMED = "container is marked for removal and cannot be started"
UPDATE_DOOMED = 'Cannot update container {id}: container is marked for removal and cannot be "update"'
LOGS_DOOMED = "can not get logs from container which is dead or marked for removal"
ADVICE = "stop the container before removing or force remove"

Cell = int | tuple[int, str]


def tar() -> bytes:
    """An archive with one empty file."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("new.txt"))
    return buffer.getvalue()


@dataclass(frozen=True)
class Verb:
    """A request, and for each of STATES its answer: a status, with a sentence where it is an error."""

    method: str
    path: str
    cells: tuple[Cell, ...]
    body: object = None
    headers: tuple[tuple[str, str], ...] = ()


def same(cell: Cell) -> tuple[Cell, ...]:
    return (cell,) * len(STATES)


EXEC = {"Cmd": ["echo", "hello"]}
NO = (409, NOT_RUNNING)
WAIT = (409, RESTARTING)
GONE = (409, DOOMED)
FILES_GONE = (409, "container {short_id} is marked for removal")
ATTACH_PAUSED = (409, "container {id} is paused, unpause the container before attach")
CP_PAUSED = (409, "container {id} is paused, unpause the container before cp")
TOP_PAUSED = (409, "container {id} is paused, unpause the container before top")
ARCHIVE = (200, 200, CP_PAUSED, 200, 200, 200, FILES_GONE, FILES_GONE)

VERBS = {
    # created, running, paused, restarting, stopping, exited, dead, removing
    "start": Verb(
        "POST",
        "/start",
        (
            204,
            304,
            (409, "cannot start a paused container, try unpause instead"),
            304,
            (409, "container {short_id} is stopping"),  # docker says 304, and then it ends
            204,
            GONE,
            GONE,
        ),
    ),
    "stop": Verb("POST", "/stop?t=0", (304, 204, 204, 204, 204, 304, 304, 304)),
    "restart": Verb("POST", "/restart?t=0", (204, 204, 204, 204, 204, 204, GONE, GONE)),
    "kill": Verb("POST", "/kill", ((409, KILL), 204, 204, 204, 204, (409, KILL), (409, KILL), (409, KILL))),
    "pause": Verb(
        "POST",
        "/pause",
        (
            NO,
            204,
            (409, "Container {id} is already paused"),
            WAIT,
            (409, "container {id} is stopping"),
            NO,
            NO,
            NO,
        ),
    ),
    "unpause": Verb(
        "POST",
        "/unpause",
        tuple(204 if state == "paused" else (409, NOT_PAUSED) for state in STATES),
    ),
    "rename": Verb("POST", "/rename?name=dog", same(204)),
    "update": Verb(
        "POST",
        "/update",
        (200, 200, 200, 200, 200, 200, (409, UPDATE_DOOMED), (409, UPDATE_DOOMED)),
        body={"RestartPolicy": {"Name": "no"}},
    ),
    "wait": Verb("POST", "/wait?condition=not-running", same(200)),
    "attach": Verb(
        "POST",
        "/attach?stream=1&stdout=1",
        (101, 101, ATTACH_PAUSED, WAIT, 101, 101, 101, 101),
        headers=tuple(UPGRADE.items()),
    ),
    "attach/ws": Verb(
        "GET",
        "/attach/ws?stream=1&stdout=1",
        (101, 101, ATTACH_PAUSED, WAIT, 101, 101, 101, 101),
        headers=tuple(WEBSOCKET.items()),
    ),
    "exec": Verb(
        "POST",
        "/exec",
        (
            NO,
            201,
            (409, "Container {id} is paused, unpause the container before exec"),
            WAIT,
            201,
            NO,
            NO,
            NO,
        ),
        body=EXEC,
    ),
    # docker says 409 of what does not run; here the size is kept for its start
    "resize": Verb("POST", "/resize?h=24&w=80", (200, 200, 200, 200, 200, 200, NO, NO)),
    "top": Verb("GET", "/top", (NO, 200, TOP_PAUSED, WAIT, 200, NO, NO, NO)),
    "stats": Verb("GET", "/stats?stream=0&one-shot=1", same(200)),
    "logs": Verb(
        "GET", "/logs?stdout=1", (200, 200, 200, 200, 200, 200, (409, LOGS_DOOMED), (409, LOGS_DOOMED))
    ),
    "archive HEAD": Verb("HEAD", "/archive?path=C:%5CWindows", (200, 200, 409, 200, 200, 200, 409, 409)),
    "archive GET": Verb(
        "GET",
        "/archive?path=C:%5CWindows",
        ARCHIVE,
    ),
    "archive PUT": Verb(
        "PUT",
        "/archive?path=C:%5C",
        ARCHIVE,
        body=tar(),
    ),
    "inspect": Verb("GET", "/json", same(200)),
    "rm": Verb(
        "DELETE",
        "",
        (
            204,
            (409, RUNNING.replace("{advice}", ADVICE)),
            (409, 'cannot remove container "/pet": container is paused and must be unpaused first'),
            (409, f'cannot remove container "/pet": container is restarting: {ADVICE}'),
            (409, RUNNING.replace("{advice}", ADVICE)),
            204,
            204,
            204,
        ),
    ),
    "rm -f": Verb("DELETE", "?force=1", same(204)),
}
CELLS = [(name, state) for name in VERBS for state in STATES]
HEADS_ONLY = {"wait", "attach", "attach/ws"}
"""What answers its head, and the rest when the container ends."""


@pytest.mark.parametrize(("name", "state"), CELLS)
async def test_verb(daemon: Daemon, connection: RawConnection, name: str, state: Status) -> None:
    verb = VERBS[name]
    cell = verb.cells[STATES.index(state)]
    status, sentence = (cell, "") if isinstance(cell, int) else cell
    async with asyncio.timeout(20), pet_in(daemon, state) as let_go:
        container = await daemon.engine.inspect("pet")
        let_go()
        path = f"/v1.50/containers/pet{verb.path}"
        if name in HEADS_ONLY and status < 400:
            connection.send(verb.method, path, verb.body, **dict(verb.headers))
            answer = await connection.head()
        else:
            answer = await connection.request(verb.method, path, verb.body, **dict(verb.headers))
        assert answer.status == status, answer.body
        if sentence:
            first, _, hint = answer.json["message"].partition("\n")
            assert first == sentence.format(id=container.id, short_id=container.short_id)
            assert hint or name in ("rm", "logs", "start"), "no advice"
    assert await daemon.nothing_left()


@pytest.mark.parametrize("state", ["running", "paused", "exited"])
async def test_an_exec_that_was_created_while_it_ran(
    daemon: Daemon, connection: RawConnection, state: Status
) -> None:
    """exec start, by what has become of the container since."""
    async with asyncio.timeout(20), pet_in(daemon, "running"):
        identity = (await daemon.engine.inspect("pet")).id
        made = await connection.request("POST", "/containers/pet/exec", EXEC)
        if state == "paused":
            await daemon.engine.pause("pet")
        if state == "exited":
            await daemon.engine.kill("pet", "KILL")
        answer = await connection.request("POST", f"/exec/{made.json['Id']}/start", {"Detach": True})
        expected = {
            "running": (200, ""),
            "paused": (409, f"Container {identity} is paused, unpause the container before exec"),
            "exited": (404, f"No such exec instance: {made.json['Id']}"),
        }
        sentence = answer.json["message"].partition("\n")[0] if answer.status >= 400 else ""
        assert (answer.status, sentence) == expected[state]


async def test_prune_takes_what_is_at_rest(daemon: Daemon, connection: RawConnection) -> None:
    for state in STATES:
        async with asyncio.timeout(20), pet_in(daemon, state):
            container = (await daemon.engine.inspect("pet")).id
            answer = await connection.request("POST", "/containers/prune")
            at_rest = state in ("created", "exited", "dead")
            if state != "removing":  # which is about to be gone in any case
                assert answer.json["ContainersDeleted"] == ([container] if at_rest else []), state
