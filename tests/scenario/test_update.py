"""update, and whether the host has room for a guest, by docker's own command line and docker-py."""

from __future__ import annotations

import asyncio

import pytest

from linwin.errors import Unavailable
from linwin.model.container import ContainerSpec
from tests.scenario.docker_py import off_loop
from tests.scenario.fakes.gate import Gate
from tests.scenario.harness import IMAGE, Daemon, Docker, Finished

FORM = (
    "{{with .HostConfig}}{{.Memory}} {{.CpuCount}} {{.NanoCpus}} "
    "{{.RestartPolicy.Name}} {{.RestartPolicy.MaximumRetryCount}}{{end}}"
)


async def shown(docker: Docker, name: str = "pet") -> bytes:
    return (await docker("inspect", "--format", FORM, name)).out


async def test_a_stopped_container_takes_everything(docker: Docker, daemon: Daemon) -> None:
    await docker("create", "--name", "pet", "--cpus", "1", IMAGE, "hang")
    assert await shown(docker) == b"0 1 1000000000 no 0\n"
    options = ["--memory", "1g", "--memory-swap", "1g", "--cpus", "1.5", "--restart", "on-failure:3"]
    assert await docker("update", *options, "pet") == Finished(0, b"pet\n", b"")
    assert await shown(docker) == b"1073741824 2 1500000000 on-failure 3\n"
    await docker("start", "pet")
    (machine,) = daemon.fakes.machines.running.values()
    assert (machine.spec.memory, machine.spec.cpus) == (1024, 2)


async def test_a_running_one_takes_a_policy_and_no_more(docker: Docker, daemon: Daemon) -> None:
    made = await docker("run", "-d", "--name", "pet", IMAGE, "hang")
    assert await docker("update", "--restart", "always", "pet") == Finished(0, b"pet\n", b"")
    assert await shown(docker) == b"0 0 0 always 0\n"
    refused = await docker("update", "--memory", "1g", "pet")
    identity = made.out.decode().strip()
    assert refused.code == 1
    assert (
        f"Cannot update container {identity}: "
        "the memory and the CPUs of a guest that runs cannot be changed\n"
        "Stop it first (linwin stop pet); they count from its next start on."
    ).encode() in refused.err


async def test_what_is_refused_and_ignored(docker: Docker, daemon: Daemon) -> None:
    await docker("create", "--name", "pet", "--rm", IMAGE)
    rm = await docker("update", "--restart", "always", "pet")
    assert b"Restart policy cannot be updated because AutoRemove is enabled for the container" in rm.err
    small = await docker("update", "--memory", "100m", "pet")
    assert b"100 MiB of memory are too few for the template wine" in small.err
    large = await docker("update", "--memory", "100g", "pet")
    assert (
        b"102400 MiB of memory are more than this host can give: a guest of it needs 102500 MiB "
        b"with its emulator, and there are 65536 MiB"
    ) in large.err
    ignored = await docker("update", "--cpu-shares", "512", "pet")
    assert b"CpuShares has no meaning for a Windows container and is ignored" in ignored.out + ignored.err
    missing = await docker("update", "--restart", "always", "nobody")
    assert b"No such container: nobody" in missing.err


async def test_a_policy_of_no_ends_the_wait_for_a_restart(docker: Docker, daemon: Daemon) -> None:
    await docker("create", "--name", "pet", "--restart", "always", IMAGE, "hang")
    container = await daemon.engine.inspect("pet")
    await daemon.engine.start("pet")
    daemon.engine.live(container.id).delay = 50  # as after many restarts
    ended = await daemon.engine.wait("pet", "next-exit")
    await daemon.fakes.guests.last.signal("KILL")
    await ended
    listed = await docker("ps", "--format", "{{.Status}}")
    assert listed.out.startswith(b"Restarting (137) ")
    state = "{{.State.Restarting}} {{.State.Running}} {{.RestartCount}}"
    assert (await docker("inspect", "--format", state, "pet")).out == b"true true 1\n"
    assert (await docker("update", "--restart", "no", "pet")).code == 0
    assert (await daemon.engine.inspect("pet")).status == "exited"


@pytest.mark.usefixtures("daemon")
async def test_docker_py(python: object) -> None:
    def work() -> tuple[str, str]:
        client = python
        container = client.containers.create(  # type: ignore[attr-defined]
            IMAGE,
            "hang",
            restart_policy={"Name": "on-failure", "MaximumRetryCount": 5},
            healthcheck={"test": ["CMD", "doctor"], "interval": 10**9},
        )
        assert container.update(restart_policy={"Name": "unless-stopped"}) == {"Warnings": []}
        container.start()
        container.reload()
        health = container.attrs["State"]["Health"]["Status"]
        policy = container.attrs["HostConfig"]["RestartPolicy"]["Name"]
        container.remove(force=True)
        return health, policy

    assert await off_loop(work) == ("starting", "unless-stopped")


# Room on the host


async def test_a_host_without_room_says_so_before_anything_starts(docker: Docker, daemon: Daemon) -> None:
    daemon.fakes.machines.available = 611
    done = await docker("run", "--rm", IMAGE, "echo", "hi")
    assert done.code == 125
    assert (
        b"not enough memory for a guest of 512 MiB: it needs 612 MiB with its emulator, "
        b"and 611 MiB are available\nStop other containers, or give this one less memory with --memory."
    ) in done.err
    assert await daemon.nothing_left()
    daemon.fakes.machines.available = 612
    assert (await docker("run", "--rm", IMAGE, "echo", "hi")).out == b"hi\n"


async def test_guests_that_are_starting_count_whole(daemon: Daemon) -> None:
    daemon.fakes.machines.available = 1000
    daemon.fakes.machines.gate = gate = Gate()
    for name in ("one", "two"):
        await daemon.engine.create(ContainerSpec(image=IMAGE, cmd=("hang",)), name)
    first = asyncio.create_task(daemon.engine.start("one"))
    await gate.reached.wait()
    with pytest.raises(Unavailable) as caught:
        await daemon.engine.start("two")
    assert caught.value.message == (
        "not enough memory for a guest of 512 MiB: it needs 612 MiB with its emulator, "
        "and 1000 MiB are available, 612 of them for guests that are starting"
    )
    assert (await daemon.engine.inspect("two")).status == "created"
    gate.opened.set()
    await first
    assert await daemon.engine.start("two")  # what runs is in the reading


async def test_a_start_that_fails_gives_its_room_back(daemon: Daemon) -> None:
    daemon.fakes.machines.available = 1000
    daemon.fakes.machines.broken = "no machine today"
    await daemon.engine.create(ContainerSpec(image=IMAGE, cmd=("hang",)), "one")
    for _ in range(3):
        with pytest.raises(Unavailable, match="no machine today"):
            await daemon.engine.start("one")


async def test_more_memory_than_the_host_has_is_refused_at_create(docker: Docker, daemon: Daemon) -> None:
    done = await docker("create", "--memory", "64g", IMAGE)
    assert b"Give at most 65436 MiB, as in --memory 65436m." in done.err
    assert await daemon.nothing_left()
