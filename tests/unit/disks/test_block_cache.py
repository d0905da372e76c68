"""The writer's block cache, made so small that it evicts, sends behind and reads again all the time."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from linwin.disks import worker
from linwin.disks.job import Job
from linwin.disks.qcow2 import create_overlay
from tests.unit.disks.conftest import make_c_disk
from tests.unit.disks.ntfs_reader import VolumeReader
from tests.unit.layers.windows_tar import docker_on_windows


@pytest.fixture
def small_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("linwin.disks.volume.CACHE_BYTES", 1)


async def test_every_byte_survives_a_small_cache(small_cache, store, tmp_path) -> None:
    chance = random.Random(7)
    files = {
        f"folder {chance.randrange(40)}/file {n}": chance.randbytes(int(chance.lognormvariate(9, 1.5)))
        for n in range(2500)
    }
    disk, overlay = make_c_disk(tmp_path, 512 << 20), tmp_path / "overlay.qcow2"
    await create_overlay(overlay, backing=disk.name, size=512 << 20)
    layer = store(docker_on_windows(files))
    worker.apply(
        Job(
            blob=str(layer.blob),
            diff_id=layer.diff_id,
            kind="wine",
            lower=[],
            overlay=str(overlay),
            backing=str(disk),
            offset=0,
            run_dir=str(tmp_path),
            parent=os.getpid(),
        )
    )
    assert VolumeReader(overlay, tmp_path / "raw").files() == files


def taken(path: Path) -> int:
    return path.stat().st_blocks * 512


async def test_small_files_lie_together(disks, base, store) -> None:
    layer = store(docker_on_windows({f"file {n}": os.urandom(2000) for n in range(500)}))
    _, end = await disks.chain(base, [layer], lambda _: None)
    clusters = 500 * 4096
    assert taken(end) < clusters + (2 << 20)


async def test_a_layer_leaves_the_clusters_of_lower_ones_alone(disks, base, store) -> None:
    """Holes between older files are not filled: each would take a copy of what lies around it."""
    files = {f"file {n}": os.urandom(5000) for n in range(500)}
    lower = store(docker_on_windows(files))
    holes = docker_on_windows({f".wh.file {n}": b"" for n in range(0, 500, 2)})
    upper = store(docker_on_windows({f"more {n}": os.urandom(5000) for n in range(200)}))
    _, end = await disks.chain(base, [lower, store(holes), upper], lambda _: None)
    assert taken(end) < 200 * 8192 + (2 << 20)
