"""rename, restart, pause and unpause, by docker's own command line."""

from __future__ import annotations

from asyncio.subprocess import PIPE

import pytest

from tests.scenario.fakes.guest import FakeGuest
from tests.scenario.fakes.machine import FakeMachine
from tests.scenario.harness import IMAGE, Daemon, Docker, Finished
from tests.scenario.raw_http import RawConnection
from tests.scenario.test_hijack import UPGRADE


@pytest.fixture
async def box(docker: Docker) -> str:
    """A container that runs."""
    assert (await docker("run", "-d", "--name", "box", IMAGE, "hang")).code == 0
    return "box"


def guest_of(daemon: Daemon) -> tuple[FakeMachine, FakeGuest]:
    """The one machine that runs, and its guest."""
    ((machine, guest),) = daemon.fakes.guests._guests.items()
    return machine, guest


async def state(docker: Docker, name: str = "box") -> bytes:
    form = "{{.State.Status}} {{.State.Running}} {{.State.Paused}}"
    return (await docker("inspect", "--format", form, name)).out.strip()


async def test_rename(docker: Docker, box: str) -> None:
    assert await docker("rename", box, "crate") == Finished(0, b"", b"")
    assert (await docker("ps", "--format", "{{.Names}}")).out == b"crate\n"
    assert (await docker("inspect", box)).code == 1
    assert (await docker("stop", "crate")).code == 0
    assert (await docker("rename", "crate", "chest")).code == 0
    assert (await docker("start", "chest")).code == 0
    assert (await docker("rm", "-f", "chest")).code == 0


async def test_rename_to_what_is_taken_or_no_name(docker: Docker, box: str) -> None:
    await docker("create", "--name", "other", IMAGE)
    taken = await docker("rename", box, "other")
    assert taken.code == 1
    assert b'Conflict. The container name "/other" is already in use by container "' in taken.err
    bad = await docker("rename", box, "a b")
    assert b"Invalid container name (a b), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed" in bad.err
    missing = await docker("rename", "nobody", "x1")
    assert b"No such container: nobody" in missing.err
    assert (await docker("inspect", box)).code == 0


async def test_restart(docker: Docker, box: str) -> None:
    assert await docker("restart", box) == Finished(0, b"box\n", b"")
    assert await state(docker) == b"running true false"
    assert (await docker("logs", box)).out == b"hanging\ngot TERM\nhanging\n"
    await docker("stop", box)
    assert (await docker("restart", box)).code == 0
    assert await state(docker) == b"running true false"


async def test_restart_forces_after_its_timeout(docker: Docker) -> None:
    await docker("run", "-d", "--name", "s1", IMAGE, "stubborn")
    assert (await docker("restart", "-t", "0", "s1")).code == 0
    assert (await docker("logs", "s1")).out == b"hanging\nhanging\n"


async def test_restart_keeps_what_would_be_removed_at_its_end(docker: Docker, daemon: Daemon) -> None:
    await docker("run", "-d", "--rm", "--name", "brief", IMAGE, "hang")
    assert (await docker("restart", "brief")).code == 0
    assert await state(docker, "brief") == b"running true false"
    assert (await docker("stop", "brief")).code == 0
    await daemon.settled()
    assert await daemon.nothing_left()


async def test_pause(docker: Docker, daemon: Daemon, box: str) -> None:
    machine, guest = guest_of(daemon)
    assert await docker("pause", box) == Finished(0, b"box\n", b"")
    assert (machine.paused, guest.resting) == (True, True)
    assert await state(docker) == b"paused true true"
    listed = await docker("ps", "--filter", "status=paused", "--format", "{{.State}} {{.Status}}")
    assert listed.out == b"paused Up Less than a second (Paused)\n"
    assert await docker("unpause", box) == Finished(0, b"box\n", b"")
    assert (machine.paused, guest.resting) == (False, False)
    assert await state(docker) == b"running true false"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["pause"], b"is already paused"),
        (["start"], b"cannot start a paused container, try unpause instead"),
        (["exec", "box", "echo"], b"is paused, unpause the container before exec"),
    ],
)
async def test_what_a_paused_container_refuses(
    docker: Docker, box: str, words: list[str], message: bytes
) -> None:
    await docker("pause", box)
    verb, *rest = words
    done = await docker(verb, *(rest or [box]))
    assert done.code == 1
    assert message in done.err
    assert await state(docker) == b"paused true true"


async def test_attach_to_a_paused_container(docker: Docker, connection: RawConnection, box: str) -> None:
    await docker("pause", box)
    done = await docker("attach", box)  # docker's client looks first
    assert b"cannot attach to a paused container, unpause it first" in done.err
    answer = await connection.request("POST", f"/containers/{box}/attach?stream=1", **UPGRADE)
    assert answer.status == 409
    assert answer.json["message"].endswith(
        " is paused, unpause the container before attach\nlinwin unpause box"
    )


async def test_what_does_not_run_is_not_paused(docker: Docker) -> None:
    await docker("create", "--name", "made", IMAGE)
    assert b"is not running" in (await docker("pause", "made")).err
    assert b"is not paused" in (await docker("unpause", "made")).err


@pytest.mark.parametrize(
    ("words", "printed"),
    [
        (["stop"], b"hanging\ngot TERM\n"),
        (["kill"], b"hanging\n"),
        (["kill", "-s", "INT"], b"hanging\ngot INT\n"),
    ],
)
async def test_a_paused_container_can_be_ended(
    docker: Docker, daemon: Daemon, box: str, words: list[str], printed: bytes
) -> None:
    await docker("pause", box)
    async with docker.started("wait", box, stdin=PIPE) as waiting:
        assert (await docker(*words, box)).code == 0
        await waiting.wait()
    await daemon.settled()
    assert await state(docker) == b"exited false false"
    assert (await docker("logs", box)).out == printed


async def test_a_paused_container_can_be_removed_and_restarted(
    docker: Docker, daemon: Daemon, box: str
) -> None:
    await docker("pause", box)
    assert (await docker("restart", box)).code == 0
    assert await state(docker) == b"running true false"
    await docker("pause", box)
    assert (await docker("rm", "-f", box)).code == 0
    assert await daemon.nothing_left()
