"""Random changes to a container's C:, whose layer has to give the same volume again, on a layer of such."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.disks.conftest import template
from tests.unit.disks.container_disk import (
    ContainerDisk,
    set_attributes,
    set_extended,
    set_security,
    set_stream,
    volume,
)
from tests.unit.layers.windows_tar import ADMINISTRATORS, FULL_FOR_SYSTEM

pytestmark = pytest.mark.root

NAMES = ("a", "b", "c", "d", "e", "long " * 40 + "name")
SIZES = (0, 10, 600, 5_000, 70_000)
DESCRIPTORS = (FULL_FOR_SYSTEM, FULL_FOR_SYSTEM.replace(ADMINISTRATORS, ADMINISTRATORS[:-1] + b"\x03", 1))


class Changes:
    """Does something at random to a mounted volume, and to nothing that is not there."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._steps: list[Callable[[Path], None]] = [
            self.write, self.write, self.folder, self.folder, self.remove, self.move, self.move, self.link,
            self.link, self.overwrite, self.metadata, self.stream, self.tree,
        ]  # fmt: skip

    def some(self, c: Path, count: int) -> None:
        for _ in range(count):
            self._chance.choice(self._steps)(c)

    def new(self, c: Path) -> Path:
        folders = [c, *(path for path in sorted(c.rglob("*")) if path.is_dir())]
        return self._chance.choice(folders) / self._chance.choice(NAMES)

    def old(self, c: Path, *, file: bool = False) -> Path | None:
        found = [path for path in sorted(c.rglob("*")) if not file or path.is_file()]
        return self._chance.choice(found) if found else None

    def write(self, c: Path) -> None:
        path = self.new(c)
        if not path.is_dir():
            path.write_bytes(self._chance.randbytes(self._chance.choice(SIZES)))

    def folder(self, c: Path) -> None:
        if not (path := self.new(c)).exists():
            path.mkdir()

    def remove(self, c: Path) -> None:
        if (path := self.old(c)) is not None:
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def move(self, c: Path) -> None:
        path, target = self.old(c), self.new(c)
        if path is not None and not target.is_relative_to(path) and not path.is_relative_to(target):
            if target.is_dir():
                shutil.rmtree(target)
            elif target.exists():
                target.unlink()
            path.rename(target)

    def link(self, c: Path) -> None:
        path, target = self.old(c, file=True), self.new(c)
        if path is not None and not target.exists():
            os.link(path, target)

    def overwrite(self, c: Path) -> None:
        path = self.old(c, file=True)
        if path is not None and (size := path.stat().st_size):
            with path.open("r+b") as file:
                file.seek(self._chance.randrange(size))
                file.write(b"overwritten")

    def metadata(self, c: Path) -> None:
        if (path := self.old(c)) is not None:
            set_attributes(path, self._chance.choice([0x20, 0x22, 0x2102]))
            set_security(path, self._chance.choice(DESCRIPTORS))
            os.utime(path, ns=(self._chance.randrange(10**18), self._chance.randrange(10**18)))

    def stream(self, c: Path) -> None:
        if (path := self.old(c)) is not None:
            set_stream(
                path, self._chance.choice("st"), self._chance.randbytes(self._chance.choice(SIZES[1:4]))
            )
            set_extended(path, "EA", self._chance.randbytes(20))

    def tree(self, c: Path) -> None:
        path, target = self.old(c), self.new(c)
        if path is not None and path.is_dir() and not target.exists() and not target.is_relative_to(path):
            shutil.copytree(path, target)


def check(seed: int, folder: Path) -> None:
    changes = Changes(seed)
    before = volume(folder / "before.raw", folder / "mount", lambda c: changes.some(c, 60))
    container = ContainerDisk.on(before, folder, template)
    container.change(lambda c: changes.some(c, 25))
    container.confirm()


@pytest.mark.parametrize("seed", range(4))
def test_random_changes(tmp_path: Path, seed: int) -> None:
    check(seed, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 140))
def test_more_random_changes(tmp_path: Path, seed: int) -> None:
    check(seed, tmp_path)
