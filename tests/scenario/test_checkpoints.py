"""Restored or cold: which guest a container gets, what its user is told, and what is made for later."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE

import pytest

from linwin.engine.checkpoints import MAKER
from linwin.errors import NotFound, Unavailable, Unsupported
from linwin.model.container import ContainerSpec
from tests.scenario.fakes.gate import Gate
from tests.scenario.fakes.guest import Death
from tests.scenario.harness import IMAGE, Daemon

MIB = 1 << 20


async def linwin(daemon: Daemon, *words: str) -> tuple[int, str, str]:
    environment = {**os.environ, "LINWIN_HOST": daemon.host, "XDG_STATE_HOME": str(daemon.paths.root)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "linwin", *words, stdout=PIPE, stderr=PIPE, env=environment
    )
    out, err = await process.communicate()
    told = [line for line in err.decode().splitlines() if "not Windows" not in line]
    return process.returncode or 0, out.decode(), "\n".join(told)


async def made(daemon: Daemon) -> None:
    """Return when nothing is being made any more."""
    await asyncio.gather(*daemon.engine.checkpoints._tasks)


async def boot_of(daemon: Daemon, name: str) -> str:
    described = await asyncio.to_thread(daemon.client.get, f"/containers/{name}/json")
    assert isinstance(described["Linwin"]["Boot"], str)
    return described["Linwin"]["Boot"]


async def test_a_restored_container_says_nothing(daemon: Daemon) -> None:
    assert await linwin(daemon, "run", "--name", "pet", IMAGE, "complain") == (3, "to stdout\n", "to stderr")
    assert await boot_of(daemon, "pet") == "restored"


async def test_the_first_of_its_size_boots_cold_and_the_second_is_restored(daemon: Daemon) -> None:
    machines = daemon.fakes.machines
    machines.warm = False
    code, _, told = await linwin(daemon, "run", "--name", "first", "-m", "700m", IMAGE, "complain")
    assert code == 3
    assert told.splitlines()[0] == (
        "linwin: the guest booted cold: there was no checkpoint for its size; it is being made"
    )
    assert await boot_of(daemon, "first") == "cold"
    await made(daemon)
    assert [size for _, size, *_ in machines.kept] == [700]
    assert (await linwin(daemon, "run", "--name", "second", "-m", "700m", IMAGE, "complain"))[
        2
    ] == "to stderr"
    assert await boot_of(daemon, "second") == "restored"
    assert machines.running == {}


async def test_cold_is_a_choice_that_makes_no_checkpoint(daemon: Daemon) -> None:
    daemon.fakes.machines.warm = False
    for flag in ("--cold", "--no-checkpoint"):
        assert (await linwin(daemon, "run", "--name", "pet", flag, IMAGE, "complain"))[2] == "to stderr"
        assert await boot_of(daemon, "pet") == "cold"
        await daemon.engine.remove("pet")
    assert daemon.fakes.machines.kept == {}


async def test_a_failed_restore_is_told_and_the_container_runs(daemon: Daemon) -> None:
    daemon.fakes.machines.spoilt = "the checkpoint was damaged (its RAM is short) and is discarded"
    code, out, told = await linwin(daemon, "run", "--rm", IMAGE, "complain")
    assert (code, out) == (3, "to stdout\n")
    assert told.splitlines()[0] == (
        "linwin: the guest booted cold: the checkpoint was damaged (its RAM is short) and is discarded; "
        "it is being made"
    )
    await made(daemon)


async def test_a_restored_guest_that_is_lost_is_replaced_by_one_that_boots(daemon: Daemon) -> None:
    guests, machines = daemon.fakes.guests, daemon.fakes.machines
    guests.deaths = [Death("the guest closed the connection", -11)]
    code, out, told = await linwin(daemon, "run", "--name", "pet", IMAGE, "complain")
    assert (code, out) == (3, "to stdout\n")
    assert told.splitlines() == [
        "linwin: the guest booted cold: the one that was restored was lost: the container's machine ended "
        "by signal 11; last console lines: Kernel panic: this is a fake",
        "to stderr",
    ]
    assert await boot_of(daemon, "pet") == "cold"
    assert [guest.prepared is None for guest in guests.all if guest.machine.spec.id != MAKER] == [True, False]
    await made(daemon)
    assert machines.running == {}


async def test_nothing_is_tried_again_once_a_program_may_have_begun(daemon: Daemon) -> None:
    code, out, _ = await linwin(daemon, "run", "--name", "pet", IMAGE, "crash")
    assert (code, out) == (255, "before the end\n")
    assert len(daemon.fakes.guests.all) == 1


async def test_one_that_could_not_be_made_is_not_tried_at_every_run(daemon: Daemon) -> None:
    machines = daemon.fakes.machines
    machines.warm = False
    daemon.fakes.guests.mute = True
    told: list[str] = []
    for name in ("first", "second"):
        await daemon.engine.create(ContainerSpec(image=IMAGE, cmd=("complain",)), name)
        await daemon.engine.start(name, told.append)
        await made(daemon)
    assert told == [
        "the guest booted cold: there was no checkpoint for its size; it is being made",
        "the guest booted cold: there was no checkpoint for its size",
    ]
    assert machines.kept == {}
    assert [machine.spec.id for machine in machines.running.values() if machine.spec.id == MAKER] == []
    assert not daemon.paths.freezing.exists()


async def test_a_template_is_built_with_its_checkpoint(daemon: Daemon) -> None:
    daemon.fakes.machines.warm = False
    code, out, _ = await linwin(daemon, "template", "build", "wine")
    assert (code, out.splitlines()[-1]) == (0, "wine")
    code, out, _ = await linwin(daemon, "checkpoint", "ls", "--format", "{{.Template}} {{.Memory}} {{.Cpus}}")
    assert out == "wine 512MiB 0\n"


async def test_a_template_is_good_without_a_checkpoint(daemon: Daemon) -> None:
    daemon.fakes.machines.warm = False
    daemon.fakes.guests.mute = True
    code, out, told = await linwin(daemon, "template", "build", "wine")
    assert (code, out) == (0, "wine\n")
    assert "No checkpoint was made: this guest cannot be warmed" in told
    assert daemon.fakes.machines.kept == {}


async def test_checkpoints_are_made_listed_and_removed_by_hand(daemon: Daemon) -> None:
    daemon.fakes.machines.warm = False
    words = ("checkpoint", "create", "-m", "600m", "--cpus", "2", "wine")
    code, out, told = await linwin(daemon, *words)
    assert (code, out) == (0, f"{1:064x}\n")
    assert "Made checkpoint 000000000000" in told
    code, out, told = await linwin(daemon, *words)
    assert (code, out) == (0, "")
    assert "There is a checkpoint of this size already" in told
    assert (await linwin(daemon, "checkpoint", "create"))[1] == f"{2:064x}\n"
    listed = (await linwin(daemon, "checkpoint", "ls", "--format", "json"))[1]
    assert [(row["Memory"], row["Cpus"]) for row in map(json.loads, listed.splitlines())] == [
        ("600MiB", "2"),
        ("512MiB", "0"),
    ]
    (first, second) = (await linwin(daemon, "checkpoint", "ls", "-q", "--no-trunc"))[1].split()
    assert await linwin(daemon, "checkpoint", "rm", first) == (0, f"{first}\n", "")
    assert (await linwin(daemon, "checkpoint", "prune"))[1] == "Total reclaimed space: 0B\n"
    _, out, _ = await linwin(daemon, "checkpoint", "prune", "--all")
    assert out.splitlines()[0] == f"Deleted: {second}"
    assert (await linwin(daemon, "checkpoint", "rm", "zz"))[2].splitlines()[0] == (
        "linwin: No such checkpoint: zz"
    )


async def test_a_removed_template_takes_its_checkpoints_along(daemon: Daemon) -> None:
    daemon.fakes.machines.warm = False
    template = await daemon.engine.template("wine")
    await daemon.engine.checkpoints.make(template, daemon.engine.unreported)
    await daemon.engine.remove_template("wine")
    assert daemon.fakes.machines.kept == {}
    with pytest.raises(NotFound):
        await daemon.engine.template("wine")


async def test_a_template_that_boots_from_c_has_none(daemon: Daemon) -> None:
    from dataclasses import replace

    windows = replace(await daemon.engine.template("wine"), name="win", kind="windows")
    assert not daemon.engine.checkpoints.wanted(windows)
    with pytest.raises(Unsupported) as caught:
        await daemon.engine.checkpoints.make(windows, daemon.engine.unreported)
    assert str(caught.value.message) == "guests of the template win cannot be restored from a checkpoint"


async def test_a_daemon_that_ends_gives_up_what_it_makes(daemon: Daemon) -> None:
    machines = daemon.fakes.machines
    machines.warm = False
    machines.mold_gate = Gate()
    await daemon.engine.create(ContainerSpec(image=IMAGE, cmd=("complain",)), "pet")
    await daemon.engine.start("pet")
    await machines.mold_gate.reached.wait()
    await daemon.engine.close()
    assert machines.running == {}
    assert not daemon.paths.freezing.exists()


async def test_the_same_is_made_once_however_many_want_it(daemon: Daemon) -> None:
    daemon.fakes.machines.warm = False
    template = await daemon.engine.template("wine")
    make = daemon.engine.checkpoints.make
    outcomes = await asyncio.gather(*(make(template, daemon.engine.unreported) for _ in range(3)))
    assert sum(outcome is not None for outcome in outcomes) == 1
    daemon.fakes.guests.mute = True
    with pytest.raises(Unavailable, match="this guest cannot be warmed"):
        await make(template, daemon.engine.unreported, memory=900)
