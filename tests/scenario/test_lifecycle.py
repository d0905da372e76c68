"""Every verb in every state of a container, answered as docker answers it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from linwin.api.status import status_of
from linwin.engine.engine import Engine
from linwin.errors import InvalidRequest, LinwinError
from linwin.model.container import ContainerSpec, LogQuery, Status
from linwin.model.restart import RestartPolicy
from tests.scenario.fakes.gate import Gate
from tests.scenario.fakes.timing import FakeTiming
from tests.scenario.harness import IMAGE, Daemon

Verb = Callable[[Engine, str], Awaitable[object]]
Answered = tuple[int, str]

VERBS: dict[str, Verb] = {
    "start": lambda engine, pet: engine.start(pet),
    "stop": lambda engine, pet: engine.stop(pet, timeout=0),
    "kill": lambda engine, pet: engine.kill(pet, "KILL"),
    "kill -s TERM": lambda engine, pet: engine.kill(pet, "TERM"),
    "rm": lambda engine, pet: engine.remove(pet),
    "rm -f": lambda engine, pet: engine.remove(pet, force=True),
}
DONE: Answered = (204, "")
NOT_MODIFIED: Answered = (304, "")
NOT_RUNNING: Answered = (409, "cannot kill container: pet: container {id} is not running")
RUNNING: Answered = (
    409,
    'cannot remove container "/pet": container is running: '
    "stop the container before removing or force remove",
)
RESTARTING: Answered = (409, RUNNING[1].replace("running", "restarting"))
STOPPING: Answered = (409, "container {short_id} is stopping")
DOOMED: Answered = (409, "container is marked for removal and cannot be started")

TABLE: dict[Status, dict[str, Answered]] = {
    "created": {
        "start": DONE,
        "stop": NOT_MODIFIED,
        "kill": NOT_RUNNING,
        "kill -s TERM": NOT_RUNNING,
        "rm": DONE,
        "rm -f": DONE,
    },
    "starting": {  # all but kill wait for the start
        "start": NOT_MODIFIED,
        "stop": DONE,
        "kill": NOT_RUNNING,
        "kill -s TERM": NOT_RUNNING,
        "rm": RUNNING,
        "rm -f": DONE,
    },
    "running": {
        "start": NOT_MODIFIED,
        "stop": DONE,
        "kill": DONE,
        "kill -s TERM": DONE,
        "rm": RUNNING,
        "rm -f": DONE,
    },
    "stopping": {
        "start": STOPPING,
        "stop": DONE,
        "kill": DONE,
        "kill -s TERM": DONE,
        "rm": RUNNING,
        "rm -f": DONE,
    },
    "restarting": {  # it waits to be started by its policy, and counts as running
        "start": NOT_MODIFIED,
        "stop": DONE,
        "kill": DONE,
        "kill -s TERM": DONE,
        "rm": RESTARTING,
        "rm -f": DONE,
    },
    "exited": {
        "start": DONE,
        "stop": NOT_MODIFIED,
        "kill": NOT_RUNNING,
        "kill -s TERM": NOT_RUNNING,
        "rm": DONE,
        "rm -f": DONE,
    },
    "removing": {
        "start": DOOMED,
        "stop": NOT_MODIFIED,
        "kill": NOT_RUNNING,
        "kill -s TERM": NOT_RUNNING,
        "rm": DONE,
        "rm -f": DONE,
    },
    "dead": {
        "start": DOOMED,
        "stop": NOT_MODIFIED,
        "kill": NOT_RUNNING,
        "kill -s TERM": NOT_RUNNING,
        "rm": DONE,
        "rm -f": DONE,
    },
}
CELLS = [(status, verb) for status, row in TABLE.items() for verb in row]


@pytest.fixture(autouse=True)
async def in_time() -> AsyncIterator[None]:
    """Most defects of a lifecycle would show as a test that never ends."""
    async with asyncio.timeout(20):
        yield


async def answered(verb: Awaitable[object]) -> Answered:
    """The status, and where it is an error the sentence, that the API answers with."""
    try:
        return NOT_MODIFIED if await verb is False else DONE
    except LinwinError as error:
        return status_of(error), error.message


async def create(daemon: Daemon, *command: str, **fields: object) -> str:
    spec = ContainerSpec(image=IMAGE, cmd=command, **fields)  # type: ignore[arg-type]
    return (await daemon.engine.create(spec, "pet")).id


@asynccontextmanager
async def pet_in(daemon: Daemon, status: Status) -> AsyncIterator[Callable[[], None]]:
    """A container named ``pet`` in that state; yields what lets a start that is under way go on."""
    engine, gate = daemon.engine, Gate()
    policy = RestartPolicy("always" if status == "restarting" else "no")
    container = await create(daemon, "stubborn", restart=policy)
    waiting: list[asyncio.Task[object]] = []
    match status:
        case "starting":
            daemon.fakes.machines.gate = gate
            waiting.append(asyncio.create_task(engine.start("pet")))
            await gate.reached.wait()
        case "restarting":
            engine.timing = timing = FakeTiming()
            await engine.start("pet")
            await daemon.fakes.guests.last.signal("KILL")
            await timing.waits.get()
        case "running" | "stopping" | "exited":
            await engine.start("pet")
            if status == "exited":
                await engine.kill("pet", "KILL")
            if status == "stopping":
                daemon.fakes.state.gates["stopping"] = gate  # type: ignore[attr-defined]
                gate.opened.set()
                waiting.append(asyncio.create_task(engine.stop("pet", timeout=-1)))
                await gate.reached.wait()
        case "removing" | "dead":
            await engine.rooms.state.advance(container, "removing")
            if status == "dead":
                await engine.rooms.state.advance(container, "dead")
    assert (await engine.inspect("pet")).status == status
    yield gate.opened.set
    gate.opened.set()
    for left in await engine.list():
        await engine.remove(left.id, force=True)
    await asyncio.wait_for(asyncio.gather(*waiting), 10)


def test_the_table_is_complete() -> None:
    assert all(row.keys() == VERBS.keys() for row in TABLE.values())


@pytest.mark.parametrize(("status", "verb"), CELLS)
async def test_verb(daemon: Daemon, status: Status, verb: str) -> None:
    async with pet_in(daemon, status) as let_go:
        container = await daemon.engine.inspect("pet")
        code, sentence = TABLE[status][verb]
        under_way = asyncio.create_task(answered(VERBS[verb](daemon.engine, "pet")))
        await asyncio.sleep(0)  # it runs until it waits for the start, where there is one
        let_go()
        answer = await asyncio.wait_for(under_way, 10)
        assert answer == (code, sentence.format(id=container.id, short_id=container.short_id))
    assert await daemon.nothing_left()


@pytest.mark.parametrize("status", ["created", "exited", "dead"])
async def test_wait_for_a_container_at_rest_ends_at_once(daemon: Daemon, status: Status) -> None:
    async with pet_in(daemon, status):
        exit_ = await asyncio.wait_for(await daemon.engine.wait("pet", "not-running"), 1)
        assert exit_.code == (137 if status == "exited" else 0)


@pytest.mark.parametrize("status", ["starting", "running", "stopping", "restarting", "removing"])
@pytest.mark.parametrize("condition", ["not-running", "removed"])
async def test_wait_ends_with_the_removal(daemon: Daemon, status: Status, condition: str) -> None:
    async with pet_in(daemon, status) as let_go:
        waiter = await daemon.engine.wait("pet", condition)  # type: ignore[arg-type]
        assert not waiter.done()
        let_go()
        await daemon.engine.remove("pet", force=True)
        assert (await asyncio.wait_for(waiter, 10)).code == (0 if status == "removing" else 137)


@pytest.mark.parametrize("status", ["created", "running", "exited", "removing", "dead"])
async def test_an_attachment_ends_with_the_removal(daemon: Daemon, status: Status) -> None:
    async with pet_in(daemon, status):
        attachment = await daemon.engine.attach(
            "pet", stdin=True, stdout=True, stderr=True, logs=False, stream=True
        )
        await daemon.engine.remove("pet", force=True)
        async with asyncio.timeout(10):
            assert [data async for _, data in attachment] in ([], [b"hanging\n"])


@pytest.mark.parametrize("status", list(TABLE))
async def test_inspect_and_logs_work_in_every_state(daemon: Daemon, status: Status) -> None:
    async with pet_in(daemon, status):
        assert (await daemon.engine.inspect("pet")).status == status
        records = [record.data async for record in await daemon.engine.logs("pet", LogQuery())]
        assert records in ([], [b"hanging\n"])


async def test_a_name_is_free_after_the_removal(daemon: Daemon) -> None:
    first = await create(daemon, "echo")
    assert await answered(create(daemon, "echo")) == (
        409,
        f'Conflict. The container name "/pet" is already in use by container "{first}". '
        "You have to remove (or rename) that container to be able to reuse that name.",
    )
    await daemon.engine.remove("pet")
    assert await create(daemon, "echo") != first


async def test_a_signal_that_does_not_exist_changes_nothing(daemon: Daemon) -> None:
    async with pet_in(daemon, "running"):
        with pytest.raises(InvalidRequest, match=r"^invalid signal: FOO\n"):
            await daemon.engine.stop("pet", timeout=0, signal="FOO")
        assert (await daemon.engine.inspect("pet")).status == "running"
        with pytest.raises(InvalidRequest, match=r"^invalid signal: FOO\n"):
            await daemon.engine.kill("pet", "FOO")


async def test_a_stop_signal_that_does_not_exist_is_refused_at_create(daemon: Daemon) -> None:
    assert await answered(create(daemon, "echo", stop_signal="FOO")) == (400, "invalid signal: FOO")


@pytest.mark.parametrize(("program", "timeout", "code"), [("stubborn", 0, 137), ("hang", -1, 0xC000013A)])
async def test_stop_timeouts(daemon: Daemon, program: str, timeout: int, code: int) -> None:
    await create(daemon, program)
    await daemon.engine.start("pet")
    assert await asyncio.wait_for(daemon.engine.stop("pet", timeout=timeout), 10)
    container = await daemon.engine.inspect("pet")
    assert (container.status, container.exit_code, container.pid) == ("exited", code, 0)


async def test_a_container_may_die_of_kill_while_it_is_asked_for_ever(daemon: Daemon) -> None:
    async with pet_in(daemon, "stopping"):
        await asyncio.wait_for(daemon.engine.kill("pet", "KILL"), 10)
        assert (await daemon.engine.inspect("pet")).status == "exited"
