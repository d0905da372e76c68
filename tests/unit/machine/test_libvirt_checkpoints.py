"""Checkpoints that libvirt saved, among those of QEMU's own kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from linwin.errors import Unavailable
from linwin.machine.checkpoints import SAVED, CheckpointStore, described

KEY = "a" * 64
CONTENT = b"LibvirtQemudSave" + bytes(5000)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "checkpoints"


async def keep(store: CheckpointStore, folder: Path, key: str = KEY) -> Path:
    saved = folder.parent / "saved"
    saved.write_bytes(CONTENT)
    kept = await store.keep_saved(described(key, "sha256:0", 512, 1, "tcg"), saved)
    assert (kept.key, kept.size, saved.exists()) == (key, len(CONTENT), False)
    return folder / key / SAVED


async def test_what_was_saved_is_opened_again(folder: Path) -> None:
    await keep(CheckpointStore(folder, 1 << 20), folder)
    store = CheckpointStore(folder, 1 << 20)
    assert [checkpoint.key for checkpoint in store.kept()] == [KEY]
    for _ in range(2):
        file = await store.open_saved(KEY)
        assert file is not None
        with file:
            assert file.read() == CONTENT
    assert await store.open_saved("b" * 64) is None


async def test_what_was_damaged_is_told_and_deleted(folder: Path) -> None:
    path = await keep(CheckpointStore(folder, 1 << 20), folder)
    path.write_bytes(CONTENT[:-1] + b"x")
    store = CheckpointStore(folder, 1 << 20)
    with pytest.raises(Unavailable, match="it is not what libvirt saved"):
        await store.open_saved(KEY)
    assert await store.open_saved(KEY) is None


async def test_one_kind_is_not_taken_for_the_other(folder: Path) -> None:
    store = CheckpointStore(folder, 1 << 20)
    await keep(store, folder)
    with pytest.raises(Unavailable, match="libvirt saved it"):
        await store.open(KEY)


async def test_the_budget_is_for_both_kinds(folder: Path) -> None:
    store = CheckpointStore(folder, len(CONTENT) + 10)
    await keep(store, folder)
    await keep(store, folder, "b" * 64)
    assert [checkpoint.key for checkpoint in store.kept()] == ["b" * 64]
    assert (await store.remove("bb")).size == len(CONTENT)
