"""Where checkpoints are kept: keys, budget, eviction, and what is found damaged."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from linwin.errors import NotFound, Unavailable
from linwin.machine import checkpoints, frozen, qemu
from linwin.machine.checkpoints import CheckpointStore, described, evictions, key_of
from linwin.model.machine import Checkpoint, LinuxBoot, MachineSpec

PAGES = 16
SIZE = PAGES * frozen.PAGE


def checkpoint(name: str, *, size: int = 10, used: int = 0) -> Checkpoint:
    return Checkpoint(key_of(name, [], []), "sha256:t", 1, 1, "tcg", size, 1, used)


@pytest.fixture
def parts() -> Iterator[tuple[int, int]]:
    ram, state = frozen.empty_memory("ram", 1 << 20), frozen.empty_memory("state")
    os.pwrite(ram, b"r" * SIZE, 0)
    os.write(state, b"state")
    yield ram, state
    os.close(ram)
    os.close(state)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[CheckpointStore]:
    store = CheckpointStore(tmp_path / "checkpoints", 3 * SIZE)
    yield store
    store.close()


def test_the_key_depends_on_everything() -> None:
    keys = {
        key_of("t", ["-m", "512"], ["qemu", 1]),
        key_of("u", ["-m", "512"], ["qemu", 1]),
        key_of("t", ["-m", "513"], ["qemu", 1]),
        key_of("t", ["-m", "512"], ["qemu", 2]),
    }
    assert len(keys) == 4


def test_the_key_of_a_machine_is_not_its_own(spec: MachineSpec) -> None:
    key = qemu._key(spec, "tcg")
    assert isinstance(spec.boot, LinuxBoot)
    parts = {name: Path("/other") / name for name in ("kernel", "initrd", "root_disk")}
    elsewhere = replace(spec.boot, **parts)  # type: ignore[arg-type]
    sibling = replace(spec, id="other", uid=7, boot=elsewhere, run_dir=Path("/other"))
    assert qemu._key(sibling, "tcg") == key
    changes: list[dict[str, object]] = [
        {"memory": 128}, {"cpus": 2}, {"spare_ports": 5}, {"template": "sha256:x"},
        {"boot": replace(spec.boot, cmdline="quiet")},
    ]  # fmt: skip
    for change in changes:
        assert qemu._key(replace(spec, **change), "tcg") != key  # type: ignore[arg-type]
    assert qemu._key(spec, "kvm") != key


def test_the_least_recently_used_go_first() -> None:
    kept = [checkpoint("a", used=3), checkpoint("b", used=1), checkpoint("c", used=2)]
    assert evictions(kept, 10, 100) == []
    assert evictions(kept, 10, 40) == []
    assert evictions(kept, 10, 39) == [kept[1]]
    assert evictions(kept, 10, 20) == [kept[1], kept[2]]
    assert evictions(kept, 10, 0) == [kept[1], kept[2], kept[0]]


async def test_what_is_kept_is_opened_again_by_another_daemon(
    store: CheckpointStore, parts: tuple[int, int], tmp_path: Path
) -> None:
    made = await store.keep(described("a" * 64, "sha256:t", 1, 1, "tcg"), *parts)
    assert made.size > SIZE
    assert store.has("a" * 64)
    assert [replace(kept, used_at=0) for kept in store.kept()] == [replace(made, used_at=0)]
    other = CheckpointStore(tmp_path / "checkpoints", 0)
    opened = await other.open("a" * 64)
    assert opened is not None
    assert os.pread(opened.ram, SIZE, 0) == b"r" * SIZE
    opened.close()
    other.close()
    assert await store.open("b" * 64) is None


async def test_a_budget_evicts_what_was_used_longest_ago(
    store: CheckpointStore, parts: tuple[int, int]
) -> None:
    for name in "ab":
        await store.keep(described(name * 64, "sha256:t", 1, 1, "tcg"), *parts)
    used = await store.open("a" * 64)
    assert used is not None
    await store.keep(described("c" * 64, "sha256:t", 1, 1, "tcg"), *parts)
    assert {kept.key[0] for kept in store.kept()} == {"a", "c"}
    used.close()


async def test_one_that_is_larger_than_the_budget_is_refused_and_nothing_left(
    tmp_path: Path, parts: tuple[int, int]
) -> None:
    store = CheckpointStore(tmp_path, 1000)
    with pytest.raises(Unavailable) as caught:
        await store.keep(described("a" * 64, "sha256:t", 1, 1, "tcg"), *parts)
    assert caught.value.message == "the checkpoint takes 0 MiB, and all of them may take 0"
    assert caught.value.hint == "Set a larger LINWIN_CHECKPOINT_BUDGET, in MiB."
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (checkpoints.RAM, "its ram has another size than it had"),
        (checkpoints.STATE, "its state has another size than it had"),
        (checkpoints.RECORD, "its record cannot be read"),
    ],
)
async def test_a_truncated_one_is_discarded_once_it_is_wanted(
    store: CheckpointStore, parts: tuple[int, int], tmp_path: Path, name: str, why: str
) -> None:
    await store.keep(described("a" * 64, "sha256:t", 1, 1, "tcg"), *parts)
    path = tmp_path / "checkpoints" / ("a" * 64) / name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(Unavailable) as caught:
        await store.open("a" * 64)
    assert caught.value.message == f"the checkpoint was damaged ({why}) and is discarded"
    assert await store.open("a" * 64) is None
    assert list((tmp_path / "checkpoints").iterdir()) == []


async def test_one_that_belongs_elsewhere_is_discarded(
    store: CheckpointStore, parts: tuple[int, int], tmp_path: Path
) -> None:
    await store.keep(described("a" * 64, "sha256:t", 1, 1, "tcg"), *parts)
    (tmp_path / "checkpoints" / ("a" * 64)).rename(tmp_path / "checkpoints" / ("b" * 64))
    with pytest.raises(Unavailable, match="its record cannot be read"):
        await store.open("b" * 64)


async def test_a_record_that_promises_too_much_is_discarded(
    store: CheckpointStore, parts: tuple[int, int], tmp_path: Path
) -> None:
    await store.keep(described("a" * 64, "sha256:t", 1, 1, "tcg"), *parts)
    record = tmp_path / "checkpoints" / ("a" * 64) / checkpoints.RECORD
    told = json.loads(record.read_bytes())
    told["parts"]["ram"]["digest"] = "0" * 64
    record.write_text(json.dumps(told))
    with pytest.raises(Unavailable, match="its RAM is not what was written"):
        await store.open("a" * 64)


async def test_removal_goes_by_the_beginning_of_a_key(store: CheckpointStore, parts: tuple[int, int]) -> None:
    await store.keep(described("ab" * 32, "sha256:t", 1, 1, "tcg"), *parts)
    await store.keep(described("ac" * 32, "sha256:t", 1, 1, "tcg"), *parts)
    for wrong in ("a", "", "x"):
        with pytest.raises(NotFound) as caught:
            await store.remove(wrong)
        assert caught.value.message == f"No such checkpoint: {wrong}"
        assert caught.value.hint == "List them with: linwin checkpoint ls"
    opened = await store.open("ab" * 32)
    assert opened is not None
    await store.remove("ab")
    assert os.pread(opened.ram, 1, 0) == b"r"  # what a clone uses lives on
    opened.close()
    assert [kept.key for kept in store.kept()] == ["ac" * 32]


async def test_the_memory_of_few_is_held(
    store: CheckpointStore, parts: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "MOST_LOADED", 1)
    for name in "ab":
        await store.keep(described(name * 64, "sha256:t", 1, 1, "tcg"), *parts)
    opened = await asyncio.gather(store.open("a" * 64), store.open("b" * 64), store.open("a" * 64))
    assert list(store._loaded) == ["a" * 64]
    for memory in opened:
        assert memory is not None
        memory.close()
