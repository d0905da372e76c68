"""Looking after chains beside those who use them: builders, containers, a daemon that is killed."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import sys
from contextlib import suppress

import pytest

from linwin.model.progress import Progress
from linwin.model.upkeep import Finding
from tests.unit.disks.conftest import chain_id, overwrite, title
from tests.unit.disks.test_chains import DAEMON, LARGE, ignore
from tests.unit.disks.test_check_chains import DELETE
from tests.unit.layers.windows_tar import docker_on_windows


async def test_a_repair_spares_what_is_being_built_upon(check, disks, base, store) -> None:
    lower, upper = store(docker_on_windows({"lower": b"x"})), store(LARGE)
    _, end = await disks.chain(base, [lower], ignore)
    overwrite(end, 79, b"\x02")
    started = asyncio.Event()

    def watch(step: Progress) -> None:
        if step.status == "Extracting":
            started.set()

    building = asyncio.create_task(disks.chain(base, [lower, upper], watch))
    await started.wait()
    assert await check(repair=True) == [Finding(title(end), "is marked as corrupt", DELETE)]
    assert end.exists()
    building.cancel()
    with pytest.raises(asyncio.CancelledError):
        await building


async def test_prune_deletes_damaged_chains_too(disks, three) -> None:
    overwrite(three[1], 0, b"no qcow2")
    assert await disks.prune(frozenset({chain_id(three[0])})) > 0
    assert [path.exists() for path in three] == [True, False, False]


async def test_usage_is_what_deleting_would_free(disks, base, three, paths) -> None:
    sizes = {chain_id(path): path.stat().st_blocks * 512 for path in three[1:]}
    assert await disks.usage() == {base.digest: 0, **sizes}
    assert await disks.prune(frozenset({chain_id(three[1])})) == sizes[chain_id(three[2])]
    base.c_disk.unlink()
    assert (await disks.usage())[base.digest] == three[0].stat().st_blocks * 512


async def test_which_chain_an_overlay_stands_on(disks, three, paths, tmp_path) -> None:
    overlay = paths.overlay("c1")
    await disks.overlay(three[2], overlay, uid=os.geteuid())
    assert await disks.backing(overlay) == chain_id(three[2])
    assert await disks.backing(three[0]) is None
    elsewhere = tmp_path / "elsewhere.qcow2"
    overlay.rename(elsewhere)
    assert await disks.backing(elsewhere) is None
    elsewhere.write_bytes(b"no qcow2")
    assert await disks.backing(elsewhere) is None


@pytest.mark.slow
async def test_a_killed_daemon_leaves_nothing_that_a_check_faults(base, paths, store, disks) -> None:
    layer = store(LARGE)
    chance = random.Random(seed := int.from_bytes(os.urandom(4)))
    print(f"seed {seed}")
    for _ in range(8):
        daemon = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", DAEMON, paths.root, base.c_disk, layer.blob, layer.diff_id),
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        for _ in range(chance.randrange(12)):
            await daemon.stdout.readline()
        with suppress(ProcessLookupError):
            daemon.kill()
        await daemon.wait()
        shutil.rmtree(paths.scratch, ignore_errors=True)  # as the next daemon's start does
        assert await disks.check(frozenset(), [base], ignore, repair=False) == []
    _, end = await disks.chain(base, [layer], ignore)
    assert await disks.check(frozenset({chain_id(end)}), [base], ignore, repair=False) == []
