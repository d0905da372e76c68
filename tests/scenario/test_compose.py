"""docker compose 1.29 and 2 against the daemon, with services that need no network."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from linwin.engine.events import Events, Follower
from linwin.model.container import Container
from tests.compose import FILE, Compose, compose_program
from tests.scenario.fakes import Fakes
from tests.scenario.harness import Daemon, Docker, killed_at_the_end, make_root, served

PROJECT = """
version: "3.8"
services:
  web:
    image: microsoft/nanoserver
    command: hang
    network_mode: none
    environment: {ROLE: web}
    labels: {tier: front}
    stop_grace_period: 20s
  job:
    image: microsoft/nanoserver
    command: ["lines", "2"]
    network_mode: none
"""
WAITING = """
services:
  web:
    image: microsoft/nanoserver
    command: hang
    network_mode: none
    healthcheck: {test: ["CMD", "doctor"], interval: 1s, retries: 1}
  job:
    image: microsoft/nanoserver
    command: exit 7
    network_mode: none
    depends_on:
      web: {condition: service_healthy}
"""


def project(generation: str, daemon: Daemon, folder: Path) -> Compose:
    made = Compose(compose_program(generation), generation, folder, daemon.host)
    made.write(PROJECT)
    return made


@pytest.fixture(params=["v1", "v2"])
def compose(request: pytest.FixtureRequest, daemon: Daemon, tmp_path: Path) -> Compose:
    return project(request.param, daemon, tmp_path)


@pytest.fixture
def compose2(daemon: Daemon, tmp_path: Path) -> Compose:
    """For what 1.29 does not have."""
    return project("v2", daemon, tmp_path)


@asynccontextmanager
async def started(compose: Compose, *words: str) -> AsyncIterator[Process]:
    """A compose that runs, in a process group of its own; stderr goes where stdout goes."""
    process = await asyncio.create_subprocess_exec(
        *compose.command(*words),
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=STDOUT,
        cwd=compose.folder,
        env=compose.environment,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def run(compose: Compose, *words: str, code: int = 0) -> str:
    """What a command printed, stderr included."""
    async with started(compose, *words) as process:
        out, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == code, out.decode()
    return out.decode()


async def containers(daemon: Daemon) -> dict[str, Container]:
    return {container.name: container for container in await daemon.engine.list()}


def service_label(container: Container, name: str) -> str:
    return container.labels[f"com.docker.compose.{name}"]


async def test_a_project_comes_up_and_goes(compose: Compose, daemon: Daemon) -> None:
    await run(compose, "up", "-d")
    found = await containers(daemon)
    assert set(found) == {compose.name("web"), compose.name("job")}
    web = found[compose.name("web")]
    assert (service_label(web, "project"), service_label(web, "service")) == ("shop", "web")
    assert (web.labels["tier"], web.spec.stop_timeout) == ("front", 20)
    listed = await run(compose, "ps", "-a")
    assert all(name in listed for name in found)
    assert "Up" in listed
    assert "Exit" in listed
    logged = await run(compose, "logs", "--no-color")
    assert all(line in logged for line in ("| hanging", "| line 0", "| line 1"))
    await run(compose, "down")
    assert await daemon.nothing_left()


async def test_programs_run_in_a_service(compose: Compose) -> None:
    await run(compose, "up", "-d")
    assert "ROLE=web\n" in await run(compose, "exec", "-T", "web", "set")
    assert await run(compose, "exec", "-T", "web", "exit", "5", code=5) == ""
    assert "cannot find the file" in await run(compose, "exec", "-T", "web", "nothing", code=127)


async def test_what_did_not_change_is_left_alone(compose: Compose, daemon: Daemon) -> None:
    await run(compose, "up", "-d")
    before = await containers(daemon)
    await run(compose, "up", "-d", "web")
    assert (await containers(daemon))[compose.name("web")] == before[compose.name("web")]
    compose.write(PROJECT.replace("ROLE: web", "ROLE: other"))
    await run(compose, "up", "-d")
    after = await containers(daemon)
    assert after[compose.name("web")].id != before[compose.name("web")].id
    assert after[compose.name("job")].id == before[compose.name("job")].id
    assert "ROLE=other\n" in await run(compose, "exec", "-T", "web", "set")
    hashes = {service_label(one, "config-hash") for one in (*before.values(), *after.values())}
    assert len(hashes) == 3


async def test_a_service_grows_and_shrinks(compose: Compose, daemon: Daemon) -> None:
    names = {compose.name("web", number) for number in (1, 2, 3)}
    await run(compose, "up", "-d", "--scale", "web=3", "web")
    assert set(await containers(daemon)) == names
    await run(compose, "up", "-d", "--scale", "web=1", "web")
    assert len(await containers(daemon)) == 1


async def test_the_verbs(compose: Compose, daemon: Daemon) -> None:
    await run(compose, "up", "-d")
    web = compose.name("web")
    first = (await containers(daemon))[web]
    await run(compose, "restart", "web")
    again = (await containers(daemon))[web]
    assert (again.id, again.status) == (first.id, "running")
    assert again.started_at > first.started_at
    await run(compose, "pause", "web")
    assert (await containers(daemon))[web].status == "paused"
    await run(compose, "unpause", "web")
    assert "hang.exe" in await run(compose, "top", "web")
    assert "nanoserver" in await run(compose, "images")
    await run(compose, "stop")
    stopped = (await containers(daemon))[web]
    assert (stopped.status, stopped.exit_code) == ("exited", 0xC000013A)
    await run(compose, "start", "web")
    await run(compose, "kill", "web")
    assert (await containers(daemon))[web].exit_code == 137
    await run(compose, "rm", "-f")
    assert await daemon.nothing_left()


async def test_a_single_run_returns_its_exit_code(compose: Compose, daemon: Daemon) -> None:
    printed = await run(compose, "run", "--rm", "-T", "-e", "MINE=1", "job", "set")
    assert "MINE=1\n" in printed
    await run(compose, "run", "--rm", "-T", "job", "exit", "6", code=6)
    assert await daemon.nothing_left()


async def test_in_the_foreground_until_one_ends(compose: Compose, daemon: Daemon) -> None:
    compose.write(PROJECT.replace('["lines", "2"]', '["exit", "9"]'))
    printed = await run(compose, "up", "--no-color", "--exit-code-from", "job", code=9)
    assert "exited with code 9" in printed
    assert {one.status for one in (await containers(daemon)).values()} == {"exited"}


async def test_ctrl_c_stops_what_runs_in_the_foreground(compose: Compose, daemon: Daemon) -> None:
    async with started(compose, "up", "--no-color", "web") as process:
        assert process.stdout
        while b"hanging" not in (line := await asyncio.wait_for(process.stdout.readline(), 30)):
            assert line, "it ended"
        os.kill(process.pid, signal.SIGINT)
        rest = await asyncio.wait_for(process.stdout.read(), 30)
        await process.wait()
    assert b"got TERM" in rest or b"topp" in rest
    web = (await containers(daemon))[compose.name("web")]
    assert (web.status, web.exit_code) == ("exited", 0xC000013A)


async def test_one_service_waits_for_the_health_of_another(compose: Compose, daemon: Daemon) -> None:
    compose.write(WAITING)
    await run(compose, "up", "-d")
    ended = await daemon.engine.wait(compose.name("job"), "not-running")
    await ended
    found = await containers(daemon)
    assert found[compose.name("web")].health == "healthy"
    assert found[compose.name("job")].exit_code == 7


async def test_a_service_that_becomes_sick_holds_the_others_back(compose: Compose, daemon: Daemon) -> None:
    compose.write(WAITING.replace("doctor", "denied"))
    assert "unhealthy" in await run(compose, "up", "-d", code=1)
    assert not (await containers(daemon))[compose.name("web")].finished_at


async def test_events_are_told(compose: Compose, daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    follow, following = Events.follow, asyncio.Event()

    def follows(events: Events, **since: int | None) -> Follower:
        following.set()
        return follow(events, **since)

    monkeypatch.setattr(Events, "follow", follows)
    async with started(compose, "events", "--json") as process:
        assert process.stdout
        await asyncio.wait_for(following.wait(), 30)
        await run(compose, "up", "-d", "web")
        seen = []
        while "start" not in seen:
            event = json.loads(await asyncio.wait_for(process.stdout.readline(), 30))
            assert event["service"] == "web"
            seen.append(event["action"])
    assert seen == ["create", "start"]


async def test_an_image_that_cannot_be_had(compose: Compose, daemon: Daemon) -> None:
    compose.write(PROJECT.replace("microsoft/nanoserver", "no/such"))
    code = {"v1": 1, "v2": 18}[compose.generation]
    assert "pull access denied for no/such" in await run(compose, "up", "-d", code=code)
    assert await daemon.nothing_left()


async def test_what_linwin_refuses_reaches_the_user(compose: Compose, daemon: Daemon) -> None:
    compose.write(PROJECT.replace("network_mode: none", "network_mode: none\n    privileged: true"))
    printed = await run(compose, "up", "-d", code=1)
    assert "linwin does not support privileged containers" in printed
    assert "Leave out --privileged" in printed
    assert await daemon.nothing_left()


async def test_a_project_is_taken_down_by_its_name_alone(compose2: Compose, daemon: Daemon) -> None:
    await run(compose2, "up", "-d")
    (compose2.folder / FILE).unlink()
    await run(compose2, "down")
    assert await daemon.nothing_left()


async def test_a_project_has_a_network_of_its_own(compose: Compose, docker: Docker, daemon: Daemon) -> None:
    compose.write(PROJECT.replace("    network_mode: none\n", ""))
    await run(compose, "up", "-d")
    ours = ("network", "ls", "--filter", "label=com.docker.compose.project=shop", "--format", "{{.Name}}")
    assert (await docker(*ours)).out == b"shop_default\n"
    shown = await docker("inspect", "--format", "{{json .NetworkSettings.Networks}}", compose.name("web"))
    assert "web" in json.loads(shown.out)["shop_default"]["Aliases"]
    await run(compose, "down")
    assert (await docker(*ours)).out == b""
    assert await daemon.nothing_left()


async def test_projects_are_listed(compose2: Compose) -> None:
    await run(compose2, "up", "-d")
    (project,) = json.loads(await run(compose2, "ls", "--format", "json"))
    assert (project["Name"], project["Status"]) == ("shop", "running(1)")


async def test_files_go_in_and_out(compose2: Compose, tmp_path: Path) -> None:
    await run(compose2, "up", "-d")
    (tmp_path / "f.txt").write_text("content")
    await run(compose2, "cp", f"{tmp_path}/f.txt", "web:C:/new.txt")
    await run(compose2, "cp", "web:/new.txt", f"{tmp_path}/back.txt")
    assert (tmp_path / "back.txt").read_text() == "content"


async def test_up_waits_for_health(compose2: Compose, daemon: Daemon) -> None:
    compose2.write(WAITING)
    await run(compose2, "up", "-d", "--wait", "web")
    assert (await containers(daemon))[compose2.name("web")].health == "healthy"


@pytest.mark.parametrize("generation", ["v1", "v2"])
async def test_a_project_outlives_a_killed_daemon(
    generation: str, short_folder: Path, tmp_path: Path
) -> None:
    """The next daemon knows the project by its labels, and compose leaves its containers alone."""
    fakes, paths = Fakes(), make_root(short_folder)
    compose = Compose(compose_program(generation), generation, tmp_path, f"unix://{paths.socket}")
    compose.write(PROJECT)
    async with killed_at_the_end(fakes, paths) as dying:
        await run(compose, "up", "-d", "web")
        before = await containers(dying)
    async with served(fakes, paths) as daemon:
        await run(compose, "up", "-d", "web")
        web = (await containers(daemon))[compose.name("web")]
        assert (web.id, web.started_at) == (before[web.name].id, before[web.name].started_at)
        await run(compose, "down")
        assert await daemon.nothing_left()
