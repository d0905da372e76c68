"""Empty overlays: remembered, and never others than qemu-img makes."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import pytest

from linwin.disks import qcow2
from linwin.disks.qcow2 import Overlays, create_overlay

SIZES = (1 << 20, 40 << 30, (3 << 40) + 512)


@pytest.mark.parametrize("size", SIZES)
def test_a_remembered_overlay_is_the_one_that_qemu_img_makes(tmp_path: Path, size: int) -> None:
    base, made = tmp_path / "base.qcow2", [tmp_path / f"{number}.qcow2" for number in range(2)]
    qemu_img("create", "-q", "-f", "qcow2", base, str(size))

    async def create() -> None:
        overlays = Overlays()
        for path in made:
            await overlays.create(path, backing="base.qcow2", size=size)
        await create_overlay(tmp_path / "asked.qcow2", backing="base.qcow2", size=size)

    asyncio.run(create())
    assert {path.read_bytes() for path in made} == {(tmp_path / "asked.qcow2").read_bytes()}
    qemu_img("check", "-q", made[1])
    qemu_img("compare", "-q", made[1], base)


def qemu_img(*words: str | Path) -> None:
    subprocess.run(["qemu-img", *words], check=True)


async def test_another_backing_file_or_size_is_another_overlay(tmp_path: Path) -> None:
    overlays, path = Overlays(), tmp_path / "overlay.qcow2"
    for backing, size in (("one", 1 << 20), ("other", 1 << 20), ("other", 2 << 20), ("one", 1 << 20)):
        await overlays.create(path, backing=backing, size=size)
        assert qcow2.read_header(path) == qcow2.Header(size, backing)


async def test_what_an_unfinished_one_left_is_written_over(tmp_path: Path) -> None:
    overlays, path = Overlays(), tmp_path / "overlay.qcow2"
    await overlays.create(path, backing="one", size=1 << 20)
    whole = path.read_bytes()
    path.write_bytes(b"x" * (1 << 20))
    await overlays.create(path, backing="one", size=1 << 20)
    assert path.read_bytes() == whole


async def test_the_oldest_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    async def noted(path: Path, *, backing: str, size: int) -> None:
        asked.append(backing)
        await create_overlay(path, backing=backing, size=size)

    monkeypatch.setattr(qcow2, "MOST_KEPT", 2)
    monkeypatch.setattr(qcow2, "create_overlay", noted)
    overlays = Overlays()
    for backing in ("one", "two", "two", "three", "two", "one"):
        await overlays.create(tmp_path / "overlay.qcow2", backing=backing, size=1 << 20)
    assert asked == ["one", "two", "three", "one"]
