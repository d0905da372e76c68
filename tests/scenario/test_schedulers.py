"""What examples/ gives to schedulers, run as they would run it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
    suppress,
)
from pathlib import Path

import pytest

from examples.schedulers.scheduler import Attempt, next_step
from linwin.host.sockets import listen
from linwin.paths import Paths
from tests.scenario.fakes import Fakes
from tests.scenario.fakes.guest import FakeProcess
from tests.scenario.harness import IMAGE, Daemon, Finished, killed_at_the_end, make_root, served

EXAMPLES = Path(__file__).parents[2] / "examples"
BIN = Path(sys.executable).parent


@asynccontextmanager
async def started(daemon: Daemon, *words: str | Path, **environment: str) -> AsyncIterator[Process]:
    """An example that runs, with a ``linwin`` that is pointed at the daemon."""
    process = await asyncio.create_subprocess_exec(
        *map(str, words),
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
        start_new_session=True,
        env={
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "HOME": str(daemon.paths.root),
            "LINWIN_HOST": daemon.host,
            "LINWIN_ROOT": str(daemon.paths.root),
            "DOCKER_HOST": daemon.host,
            **environment,
        },
    )
    try:
        yield process
    finally:
        kill(process)
        await process.communicate()


def kill(process: Process) -> None:
    """Kill it and what it has started, as a service manager does."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


async def finish(process: Process) -> Finished:
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    return Finished(process.returncode, out, err)


async def run(daemon: Daemon, *words: str | Path, **environment: str) -> Finished:
    async with started(daemon, *words, **environment) as process:
        return await finish(process)


async def ended(daemon: Daemon, name: str) -> None:
    await (await daemon.engine.wait(name, "not-running"))


@contextmanager
def socket_of_a_service_manager(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Clients queue up at it while no daemon is there, and start none."""
    with listen(paths.socket) as passed:
        monkeypatch.setattr("linwin.api.unix._passed", passed.dup)
        yield


def failing_once(folder: Path, verb: str) -> str:
    """A ``linwin`` to which the daemon is lost the first time that it is to do this."""
    program, done = folder / "linwin", folder / "failed"
    program.write_text(
        f"""#!/bin/bash
if [ "$1" = {verb} ] && [ ! -e {done} ]; then
  touch {done}
  echo 'the daemon went away' >&2
  exit 1
fi
exec {BIN}/linwin "$@"
"""
    )
    program.chmod(0o755)
    return str(program)


# The contract: docs/schedulers.md


@pytest.mark.parametrize(
    ("code", "low"), [(0, 0), (3, 3), (256, 255), (0xC000013A, 58)], ids=["good", "bad", "folded", "stopped"]
)
async def test_exit_codes_are_whole_and_no_failure_is_lost(daemon: Daemon, code: int, low: int) -> None:
    placed = await run(daemon, "linwin", "run", "-d", "--name", "job", IMAGE, "exit", str(code))
    assert (placed.code, re.fullmatch(rb"[0-9a-f]{64}\n", placed.out) is not None) == (0, True)
    for _ in range(2):
        assert (await run(daemon, "linwin", "wait", "job")).out == b"%d\n" % code
    assert (await run(daemon, "linwin", "start", "--attach", "job")).code == low


async def test_what_is_idempotent_and_what_is_not(daemon: Daemon) -> None:
    words = ("linwin", "run", "-d", "--name", "job", "--label", "team=blue", IMAGE, "hang")
    assert (await run(daemon, *words)).code == 0
    taken = await run(daemon, *words)
    assert (taken.code, taken.out) == (125, b"")
    assert b'The container name "/job" is already in use' in taken.err
    listed = await run(
        daemon, "linwin", "ps", "-a", "--filter", "label=team=blue", "--format", "{{.Names}} {{.State}}"
    )
    assert listed.out == b"job running\n"
    for verb in ("start", "start", "stop", "stop"):
        assert (await run(daemon, "linwin", verb, "job")).code == 0
    assert (await run(daemon, "linwin", "kill", "job")).code == 1
    removals = [("rm", 0), ("rm", 1), ("rm -f", 0)]
    assert [
        (verb, (await run(daemon, "linwin", *verb.split(), "job")).code) for verb, _ in removals
    ] == removals


async def test_ends_are_told_with_labels_and_exit_codes(daemon: Daemon) -> None:
    await run(daemon, "linwin", "run", "-d", "--name", "job", "--label", "team=blue", IMAGE, "exit", "3")
    await ended(daemon, "job")
    options = ("--since", "0", "--until", f"{time.time():.6f}", "--filter", "event=die", "--format", "json")
    told = json.loads((await run(daemon, "linwin", "events", *options)).out)
    attributes = told["Actor"]["Attributes"]
    assert (attributes["name"], attributes["team"], attributes["exitCode"]) == ("job", "blue", "3")


# A job of a CI system


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    (folder := tmp_path / "sources").mkdir()
    (folder / "out").mkdir()
    (folder / "out/report.txt").write_text("all well")
    return folder


@pytest.mark.parametrize("client", ["linwin", "docker"])
@pytest.mark.parametrize(
    ("command", "code", "out"), [("echo built", 0, b"built\n"), ("complain", 3, b"to stdout\n")]
)
async def test_a_ci_job_brings_back_its_artefacts_and_its_exit_code(
    daemon: Daemon,
    docker_client: str,
    sources: Path,
    tmp_path: Path,
    client: str,
    command: str,
    code: int,
    out: bytes,
) -> None:
    program = {"linwin": "linwin", "docker": docker_client}[client]
    words = (EXAMPLES / "schedulers/ci-job", IMAGE, sources, tmp_path / "artefacts", *command.split())
    done = await run(daemon, *words, CI_JOB_ID="7", CONTAINER_CLI=program)
    assert (done.code, done.out) == (code, out)
    assert (tmp_path / "artefacts/report.txt").read_text() == "all well"
    assert await daemon.nothing_left()


async def test_a_ci_job_that_is_cancelled_leaves_nothing(
    daemon: Daemon, sources: Path, tmp_path: Path
) -> None:
    words = (EXAMPLES / "schedulers/ci-job", IMAGE, sources, tmp_path / "artefacts", "hang")
    async with started(daemon, *words) as process:
        assert process.stdout
        assert await asyncio.wait_for(process.stdout.readline(), 60) == b"hanging\n"
        process.send_signal(signal.SIGTERM)
        assert (await finish(process)).code == 143
    assert await daemon.nothing_left()


# A scheduler over the command line


def attempt(state: str, code: int = 0) -> Attempt:
    return Attempt("run-job-1", "job", 1, state, code)


@pytest.mark.parametrize(
    ("attempts", "step"),
    [
        ([], "create"),
        ([attempt("created")], "start"),
        ([attempt("created", 127)], "create"),
        ([attempt("created", 127)] * 2, "done"),
        ([attempt("running")], "wait"),
        ([attempt("paused")], "wait"),
        ([attempt("exited")], "done"),
        ([attempt("exited", 3)], "create"),
        ([attempt("exited", 3), attempt("running")], "wait"),
        ([attempt("exited", 3), attempt("exited")], "done"),
        ([attempt("exited", 3)] * 2, "done"),
        ([attempt("dead", 255)], "create"),
    ],
)
def test_what_a_scheduler_does_next(attempts: list[Attempt], step: str) -> None:
    assert next_step(attempts, tries=2) == step


def scheduler(folder: Path, jobs: dict[str, list[str]], *options: str) -> list[str]:
    (folder / "jobs.json").write_text(json.dumps(jobs))
    program = str(EXAMPLES / "schedulers/scheduler.py")
    return [
        sys.executable,
        program,
        "--run",
        "nightly",
        "--image",
        IMAGE,
        *options,
        str(folder / "jobs.json"),
    ]


async def created(daemon: Daemon) -> list[str]:
    """The names of all containers that were ever made, sorted."""
    past = daemon.engine.events.follow(since=0, until=time.time_ns())
    return sorted([event.attributes["name"] async for event in past if event.action == "create"])


async def starts(daemon: Daemon, count: int) -> None:
    """Return when so many containers have started."""
    follower = daemon.engine.events.follow(since=0, until=None)
    async for event in follower:
        count -= event.action == "start"
        if not count:
            follower.close()


def process_of(fakes: Fakes, program: str) -> FakeProcess:
    running = [process for guest in fakes.guests.all for process in guest.running.values()]
    (found,) = (process for process in running if list(process.spec.argv) == [program])
    return found


@pytest.mark.parametrize("client", ["linwin", "docker"])
async def test_a_scheduler_runs_its_jobs(
    daemon: Daemon, docker_client: str, tmp_path: Path, client: str
) -> None:
    jobs = {"good": ["echo", "hi"], "bad": ["exit", "3"], "absent": ["nothing"], "last": ["exit", "0"]}
    program = {"linwin": "linwin", "docker": docker_client}[client]
    done = await run(daemon, *scheduler(tmp_path, jobs), CONTAINER_CLI=program)
    assert done.code == 1
    assert json.loads(done.out) == {"good": 0, "bad": 3, "absent": 127, "last": 0}
    assert b"nothing: The system cannot find the file specified." in done.err
    assert await created(daemon) == [
        "nightly-absent-1",
        "nightly-absent-2",
        "nightly-bad-1",
        "nightly-bad-2",
        "nightly-good-1",
        "nightly-last-1",
    ]
    assert await daemon.nothing_left()


async def test_a_scheduler_outlives_the_daemon(
    short_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One guest goes on, one ends while there is no daemon, and the next one gets the job in the queue."""
    fakes, paths = Fakes(), make_root(short_folder)
    words = scheduler(
        tmp_path,
        {"goes-on": ["hang"], "ends": ["stubborn"], "queued": ["exit", "0"]},
        *("--tries", "1", "--resync", "0.5"),
    )
    async with AsyncExitStack() as client:
        client.enter_context(socket_of_a_service_manager(paths, monkeypatch))
        async with killed_at_the_end(fakes, paths) as dying:
            process = await client.enter_async_context(started(dying, *words))
            await asyncio.wait_for(starts(dying, 2), 60)
        ending = process_of(fakes, "stubborn")
        await ending.signal("KILL")
        assert await ending.wait() == 137
        async with served(fakes, paths) as daemon:
            await ended(daemon, "nightly-ends-1")
            assert (await daemon.engine.inspect("nightly-goes-on-1")).status == "running"
            await daemon.engine.stop("nightly-goes-on-1", timeout=30)
            done = await finish(process)
            assert json.loads(done.out) == {"goes-on": 0xC000013A, "ends": 137, "queued": 0}, done.err
            assert await daemon.nothing_left()


async def test_a_scheduler_that_was_killed_goes_on(daemon: Daemon, tmp_path: Path) -> None:
    words = scheduler(tmp_path, {"bad": ["exit", "3"], "long": ["hang"]}, "--tries", "1")
    async with started(daemon, *words) as process:
        await asyncio.wait_for(starts(daemon, 2), 60)
        kill(process)
    async with started(daemon, *words) as process:
        await daemon.engine.stop("nightly-long-1", timeout=30)
        done = await finish(process)
    assert json.loads(done.out) == {"bad": 3, "long": 0xC000013A}, done.err
    assert await created(daemon) == ["nightly-bad-1", "nightly-long-1"]
    assert await daemon.nothing_left()


async def test_a_scheduler_cleans_up_though_a_daemon_goes_away(daemon: Daemon, tmp_path: Path) -> None:
    program = failing_once(tmp_path, "rm")
    done = await run(daemon, *scheduler(tmp_path, {"good": ["exit", "0"]}), CONTAINER_CLI=program)
    assert (done.code, json.loads(done.out)) == (0, {"good": 0}), done.err
    assert b"removing again: the daemon went away" in done.err
    assert await daemon.nothing_left()


async def test_a_scheduler_that_is_told_to_end_takes_its_children_along(
    daemon: Daemon, tmp_path: Path
) -> None:
    async with started(daemon, *scheduler(tmp_path, {"long": ["hang"]})) as process:
        await asyncio.wait_for(starts(daemon, 1), 60)
        process.send_signal(signal.SIGTERM)
        assert (await finish(process)).code == 143  # a child would hold its stderr open
    assert (await daemon.engine.inspect("nightly-long-1")).status == "running"


# A container as a unit of systemd


class ServiceManager:
    """The socket on which a unit's processes tell what systemd is to know."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "notify"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self.path))
        self._socket.setblocking(False)

    async def told(self) -> str:
        """What was told next. A descriptor that comes along, the barrier of sd_notify(3), is let go."""
        return (await asyncio.wait_for(asyncio.get_running_loop().sock_recv(self._socket, 4096), 60)).decode()

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager(short_folder: Path) -> Iterator[ServiceManager]:
    manager = ServiceManager(short_folder)
    yield manager
    manager.close()


def unit(daemon: Daemon, manager: ServiceManager, *words: str) -> AbstractAsyncContextManager[Process]:
    script = EXAMPLES / "systemd/linwin-container"
    return started(daemon, script, "web", *words, NOTIFY_SOCKET=str(manager.path))


async def until_ready(manager: ServiceManager) -> None:
    assert "READY=1" in (await manager.told()).splitlines()
    assert await manager.told() == "BARRIER=1"  # systemd-notify waits until it has been heard


async def test_a_unit_is_ready_when_its_container_runs_and_ends_with_it(
    daemon: Daemon, manager: ServiceManager
) -> None:
    async with unit(daemon, manager, "--env", "A=b c", IMAGE, "hang") as process:
        await until_ready(manager)
        first = await daemon.engine.inspect("web")
        assert (first.status, "A=b c" in first.env) == ("running", True)
        await daemon.engine.stop("web", timeout=30)
        assert (await finish(process)).code == 58, "what SuccessExitStatus names"
    async with unit(daemon, manager, "--env", "A=b c", IMAGE, "hang") as process:
        await until_ready(manager)
        assert (await daemon.engine.inspect("web")).id == first.id
        await daemon.engine.stop("web", timeout=30)
        await finish(process)
    done = await run(daemon, EXAMPLES / "systemd/linwin-container", "web", IMAGE, "exit", "256")
    assert done.code == 255, done.err
    assert (await daemon.engine.inspect("web")).id != first.id, "its words have changed"


@pytest.mark.parametrize("verb", ["inspect", "ps"])
async def test_a_unit_keeps_its_container_when_the_daemon_cannot_be_asked(
    daemon: Daemon, manager: ServiceManager, tmp_path: Path, verb: str
) -> None:
    script = EXAMPLES / "systemd/linwin-container"
    assert (await run(daemon, script, "web", IMAGE, "exit", "0")).code == 0
    before = await daemon.engine.inspect("web")
    path = f"{Path(failing_once(tmp_path, verb)).parent}:{BIN}:{os.environ['PATH']}"
    await run(daemon, script, "web", IMAGE, "exit", "0", PATH=path)
    assert (await daemon.engine.inspect("web")).id == before.id


async def test_a_unit_leaves_a_container_alone_that_is_not_its_own(daemon: Daemon) -> None:
    await run(daemon, "linwin", "create", "--name", "web", IMAGE, "exit", "0")
    before = await daemon.engine.inspect("web")
    done = await run(daemon, EXAMPLES / "systemd/linwin-container", "web", IMAGE, "exit", "0")
    assert (done.code, b'The container name "/web" is already in use' in done.err) == (1, True), done.err
    assert (await daemon.engine.inspect("web")).id == before.id


async def test_a_unit_that_cannot_start_fails(daemon: Daemon, manager: ServiceManager) -> None:
    async with unit(daemon, manager, IMAGE, "nothing") as process:
        done = await finish(process)
    assert done.code != 0
    assert b"nothing: The system cannot find the file specified." in done.err


async def test_a_unit_outlives_the_daemon(
    short_folder: Path, manager: ServiceManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    fakes, paths = Fakes(), make_root(short_folder)
    async with AsyncExitStack() as client:
        client.enter_context(socket_of_a_service_manager(paths, monkeypatch))
        async with killed_at_the_end(fakes, paths) as dying:
            process = await client.enter_async_context(unit(dying, manager, IMAGE, "hang"))
            await until_ready(manager)
            before = await dying.engine.inspect("web")
        async with served(fakes, paths) as daemon:
            assert (await daemon.engine.inspect("web")).started_at == before.started_at
            await daemon.engine.stop("web", timeout=30)
            assert (await finish(process)).code == 58
            await daemon.engine.remove("web")
            assert await daemon.nothing_left()


def test_the_unit_files_are_what_systemd_reads(tmp_path: Path) -> None:
    if not (analyze := shutil.which("systemd-analyze")):
        pytest.skip("systemd-analyze is not installed")
    units = (EXAMPLES / "systemd", EXAMPLES.parent / "packaging/systemd")
    for file in (file for folder in units for file in folder.glob("linwin*.s*")):
        installed = re.sub(r"/usr/(?:local/)?bin/[-a-z]+|(?<=ExecStop=)linwin", "/bin/true", file.read_text())
        (tmp_path / file.name).write_text(installed)
    done = subprocess.run(
        [analyze, "verify", "--man=no", tmp_path / "linwin-container@.service"],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
