"""Flattening: one file that shows what the chain shows, whole or absent."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
from pathlib import Path

import pytest

from linwin.errors import Unavailable
from linwin.host.process import run
from linwin.model.progress import Progress
from tests.unit.disks.conftest import make_c_disk, template
from tests.unit.disks.ntfs_reader import VolumeReader
from tests.unit.disks.test_chains import descendants, ignore
from tests.unit.layers.windows_tar import LayerTar, docker_on_windows


async def test_a_flat_disk_shows_what_its_chain_shows(disks, base, store, tmp_path, progress) -> None:
    layers = [
        store(docker_on_windows({"app/one.txt": b"1", "app/two.txt": b"2"})),
        store(LayerTar().add("Files/app/.wh.one.txt").bytes()),
    ]
    chain_id, end = await disks.chain(base, layers, ignore)
    target = tmp_path / "flat.qcow2"
    await disks.flatten(end, target, progress.append)
    shown = await run(["qemu-img", "info", "--output=json", target], check=True)
    info = json.loads(shown.stdout)
    assert info["format"] == "qcow2"
    assert "backing-filename" not in info
    assert info["virtual-size"] == 512 << 20
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    await run(["qemu-img", "compare", "-q", end, target], check=True)
    assert VolumeReader(target, tmp_path / "raw").files() == {"app/two.txt": b"2"}
    assert {step.status for step in progress} == {"Flattening"}
    assert {step.id for step in progress} == {chain_id[7:19]}
    sizes = [step.current for step in progress]
    assert sizes == sorted(sizes)
    assert progress[-1] == Progress("Flattening", chain_id[7:19], 512 << 20, 512 << 20)


async def test_a_flat_disk_replaces_the_file_that_was_there(disks, base, tmp_path) -> None:
    _, end = await disks.chain(base, [], ignore)
    target = tmp_path / "flat.qcow2"
    target.write_bytes(b"old")
    await disks.flatten(end, target, ignore)
    await run(["qemu-img", "compare", "-q", end, target], check=True)


@pytest.fixture
async def large_end(disks, paths, store, tmp_path) -> Path:
    """The end of a chain that takes a while to read."""
    layer = store(LayerTar().add("Files/big", os.urandom(200 << 20)).bytes())
    _, end = await disks.chain(template(make_c_disk(tmp_path, 1 << 30)), [layer], ignore)
    return end


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """A file that is there already, alone in its folder."""
    target = tmp_path / "out" / "flat.qcow2"
    target.parent.mkdir()
    target.write_bytes(b"old")
    return target


async def test_a_cancelled_flattening_leaves_the_old_file(disks, large_end, target) -> None:
    started = asyncio.Event()
    task = asyncio.create_task(disks.flatten(large_end, target, lambda _: started.set()))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert target.read_bytes() == b"old"
    assert list(target.parent.iterdir()) == [target]
    assert descendants("qemu-img") == []


async def test_a_killed_qemu_img_leaves_the_old_file(disks, large_end, target) -> None:
    def kill(_: Progress) -> None:
        for process in descendants("qemu-img"):
            os.kill(process, signal.SIGKILL)

    with pytest.raises(Unavailable) as raised:
        await disks.flatten(large_end, target, kill)
    assert raised.value.message == "the disk cannot be flattened: it ended with status -9"
    assert target.read_bytes() == b"old"
    assert list(target.parent.iterdir()) == [target]


async def test_prune_spares_what_is_being_flattened(disks, large_end, target) -> None:
    started = asyncio.Event()
    task = asyncio.create_task(disks.flatten(large_end, target, lambda _: started.set()))
    await started.wait()
    assert await disks.prune(frozenset()) == 0
    await task
    await run(["qemu-img", "compare", "-q", large_end, target], check=True)


@pytest.mark.root
async def test_a_full_disk_is_said_to_be_full(disks, large_end, small_root) -> None:
    with pytest.raises(Unavailable) as raised:
        await disks.flatten(large_end, small_root / "flat.qcow2", ignore)
    assert raised.value.message == "no space left on device while a disk was being written"
    assert raised.value.hint == "free space below LINWIN_ROOT, for example with: linwin image prune"
    assert list(small_root.iterdir()) == []


async def test_a_chain_that_is_not_there(disks, paths, target) -> None:
    with pytest.raises(Unavailable) as raised:
        await disks.flatten(paths.chains / "nothing.qcow2", target, ignore)
    assert raised.value.message.startswith("a disk cannot be read or written: [Errno 2]")
    assert target.read_bytes() == b"old"
