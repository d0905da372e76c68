"""Real QEMU processes with tiny guests: frozen, restored, and kept from each other."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from linwin.errors import Unavailable
from linwin.host.pidfd import find_working_in
from linwin.machine import checkpoints
from linwin.machine.qemu import QemuMachines
from linwin.model.machine import MachineSpec

pytestmark = pytest.mark.usefixtures("emulated")


@pytest.fixture
async def cloned(machines: QemuMachines, spec: MachineSpec, room: Path) -> AsyncIterator[MachineSpec]:
    """A machine of which there is a checkpoint, made in another run folder."""
    (room / "freezing").mkdir()
    mold = await machines.mold(replace(spec, id="checkpoint", run_dir=room / "freezing"))
    made = await mold.freeze()
    await mold.quit()
    await mold.quit()
    assert find_working_in(room / "freezing") == []
    assert (made.memory, made.cpus, made.accelerator) == (64, 1, "tcg")
    assert await machines.checkpoints() == [replace(made, used_at=(await machines.checkpoints())[0].used_at)]
    yield spec
    machines.store.close()


async def test_without_a_checkpoint_nothing_is_restored(machines: QemuMachines, spec: MachineSpec) -> None:
    assert await machines.restore(spec) is None
    assert not await machines.has_checkpoint(spec)


async def test_a_clone_goes_on_where_its_original_stopped(
    machines: QemuMachines, cloned: MachineSpec
) -> None:
    machine = await machines.restore(cloned)
    assert machine is not None
    assert (await machine._execute("query-status"))["status"] == "running"
    assert await machine.console_tail() == ()  # it said hello before it was frozen
    await machine.quit()


async def test_clones_differ_in_their_generation_and_run_as_their_own_users(
    machines: QemuMachines, cloned: MachineSpec, room: Path
) -> None:
    uid = 1_900_000_001 if os.geteuid() == 0 else 0
    others = []
    for number in range(2):
        folder = room / f"clone{number}"
        folder.mkdir(mode=0o700)
        others.append(replace(cloned, id=f"{number}" * 64, run_dir=folder, uid=uid and uid + number))
    clones = [await machines.restore(other) for other in others]
    generations = set()
    for other, clone in zip(others, clones, strict=True):
        assert clone is not None
        assert os.stat(f"/proc/{clone.pid}").st_uid == other.uid
        generations.add((await clone._execute("query-vm-generation-id"))["guid"])
        await clone.quit()
    assert len(generations) == 2


async def test_a_clone_that_is_restored_from_foreign_state_is_discarded(
    machines: QemuMachines, cloned: MachineSpec, room: Path
) -> None:
    (kept,) = await machines.checkpoints()
    folder = room / "checkpoints" / kept.key
    state = folder / checkpoints.STATE
    state.write_bytes(b"QEVM" + bytes(state.stat().st_size - 4))
    record = folder / checkpoints.RECORD
    _, parts = checkpoints._read(folder) or pytest.fail("no record")
    digest = hashlib.sha256(state.read_bytes()).hexdigest()
    record.write_text(record.read_text().replace(parts["state"].digest, digest))
    with pytest.raises(Unavailable, match=r"^the checkpoint could not be restored: .+"):
        await machines.restore(cloned)
    assert find_working_in(cloned.run_dir) == []
    assert not await machines.has_checkpoint(cloned)
    assert await machines.restore(cloned) is None


async def test_a_clone_is_adopted_like_any_machine(machines: QemuMachines, cloned: MachineSpec) -> None:
    machine = await machines.restore(cloned)
    assert machine is not None
    await machine.release()
    adopted = await machines.adopt(cloned, machine.pid)
    assert adopted is not None
    await adopted.quit()


async def test_a_cancelled_restore_leaves_no_machine(machines: QemuMachines, cloned: MachineSpec) -> None:
    restoring = asyncio.create_task(machines.restore(cloned))
    async with asyncio.timeout(20):
        while not find_working_in(cloned.run_dir):  # noqa: ASYNC110
            await asyncio.sleep(0)
    restoring.cancel()
    with pytest.raises(asyncio.CancelledError):
        await restoring
    assert find_working_in(cloned.run_dir) == []
    assert await machines.has_checkpoint(cloned)


async def test_a_checkpoint_is_removed_under_a_running_clone(
    machines: QemuMachines, cloned: MachineSpec
) -> None:
    machine = await machines.restore(cloned)
    assert machine is not None
    (kept,) = await machines.checkpoints()
    await machines.remove_checkpoint(kept.key[:12])
    assert (await machine._execute("query-status"))["status"] == "running"
    await machine.quit()
