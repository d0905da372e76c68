"""Checking chains: what is found, in words, and what a repair does about it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from dissect.ntfs import NTFS

from linwin.host.process import run
from linwin.model.progress import Progress
from linwin.model.upkeep import Finding
from tests.unit.disks.conftest import LAYERS, chain_id, overwrite, template, title, writable
from tests.unit.disks.ntfs_reader import VolumeReader
from tests.unit.disks.test_chains import descendants, ignore

DELETE = "Delete it with: linwin system check --repair; it is built again from its layers when it is needed"
MEND = "Mend it with: linwin system check --repair"
REMOVE = "Remove the containers that stand on it, then delete it with: linwin system check --repair"


async def write_to_disk(path: Path, at: int, data: bytes, scratch: Path) -> None:
    """Write to the virtual disk of a qcow2 file."""
    content = scratch / "content"
    content.write_bytes(data)
    with writable(path):
        await run(["qemu-io", "-f", "qcow2", "-c", f"write -s {content} {at} {len(data)}", path], check=True)


async def rebase(path: Path, backing: str) -> None:
    """Change the name in a header, whatever it stands for."""
    with writable(path):
        await run(["qemu-img", "rebase", "-u", "-f", "qcow2", "-F", "qcow2", "-b", backing, path], check=True)


# ---- sound chains -------------------------------------------------------------


async def test_sound_chains_have_no_findings(disks, base, three, progress) -> None:
    needed = frozenset({chain_id(three[2])})
    assert await disks.check(needed, [base], progress.append, repair=True) == []
    assert all(path.exists() for path in three)
    assert progress[0] == Progress("Checking", "chains", 0, 3)
    assert progress[-1] == Progress("Checking", "chains", 3, 3)


async def test_a_root_without_chains(check) -> None:
    assert await check(repair=True) == []


async def test_a_chain_of_an_older_template_is_sound(check, three, base, blank_disk) -> None:
    base.c_disk.unlink()
    base.c_disk.write_bytes(blank_disk.read_bytes())
    newer = template(base.c_disk, "sha256:" + "cd" * 32)
    assert await check(templates=(newer,)) == []


async def test_a_base_may_be_a_copy_of_the_templates_disk(check, three) -> None:
    data = three[0].read_bytes()
    three[0].unlink()
    three[0].write_bytes(data)
    three[0].chmod(0o444)
    assert await check() == []


# ---- what is wrong with one file ------------------------------------------------

DAMAGES = {
    "no header": (lambda path: overwrite(path, 0, b"no qcow2"), "has no valid qcow2 header"),
    "cut short": (lambda path: os.truncate(path, 50), "has no valid qcow2 header"),
    "long name": (lambda path: overwrite(path, 16, b"\xff" * 4), "has no valid qcow2 header"),
    "dirty": (lambda path: overwrite(path, 79, b"\x01"), "was not closed"),
    "corrupt": (lambda path: overwrite(path, 79, b"\x02"), "is marked as corrupt"),
    "external": (lambda path: overwrite(path, 79, b"\x04"), "keeps its data in another file"),
    "unknown feature": (
        lambda path: overwrite(path, 72, b"\x80"),
        "cannot be checked: qemu-img: Could not open '{path}': Unsupported qcow2 feature(s): "
        "Unknown incompatible feature: 8000000000000000",
    ),
    "other size": (
        lambda path: overwrite(path, 24, (1 << 30).to_bytes(8, "big")),
        "is not as large as {below}, on which it stands",
    ),
    "no reference counts": (
        lambda path: overwrite(path, 0x20000, bytes(1 << 16)),
        "has errors in its tables",
    ),
}


@pytest.fixture(params=DAMAGES)
def damaged(request: pytest.FixtureRequest, three: list[Path]) -> tuple[list[Path], str]:
    """A chain whose end is damaged, and the words for it."""
    harm, words = DAMAGES[request.param]
    with writable(three[2]):
        harm(three[2])
    return three, words.format(path=three[2], below=title(three[1]))


async def test_a_damaged_file_is_found_and_deleted(damaged, check, disks, base, store, tmp_path) -> None:
    (_, _, end), problem = damaged
    assert await check() == [Finding(title(end), problem, DELETE)]
    assert end.exists()
    assert await check(repair=True) == [Finding(title(end), problem, DELETE, repaired=True)]
    assert not end.exists()
    assert await check() == []
    assert await disks.chain(base, [store(layer) for layer in LAYERS], ignore) == (chain_id(end), end)
    assert VolumeReader(end, tmp_path / "raw").names() == {"lower", "upper"}


async def test_what_a_container_needs_is_only_reported(damaged, check) -> None:
    (_, _, end), problem = damaged
    assert await check(chain_id(end), repair=True) == [Finding(title(end), problem, REMOVE)]
    assert end.exists()


async def test_clusters_that_nothing_refers_to(check, three) -> None:
    overwrite(three[2], 0x20000 + 2 * (three[2].stat().st_size >> 16), b"\x00\x01")
    with writable(three[2]):
        os.truncate(three[2], three[2].stat().st_size + (1 << 16))
    assert await check() == [Finding(title(three[2]), "has clusters that nothing refers to", DELETE)]


BACKINGS = {
    "/etc/passwd": 'names the backing file "/etc/passwd", which is no chain\'s',
    "../templates/wine/c.qcow2": 'names the backing file "../templates/wine/c.qcow2", which is no chain\'s',
    "nbd://host/disk": 'names the backing file "nbd://host/disk", which is no chain\'s',
    "f" * 64 + ".qcow2": "stands on chain ffffffffffff, which is missing",
}


@pytest.mark.parametrize("backing", BACKINGS)
async def test_a_file_on_something_that_is_no_chain(backing, check, three) -> None:
    await rebase(three[2], backing)
    assert await check() == [Finding(title(three[2]), BACKINGS[backing], DELETE)]


async def test_files_that_stand_on_each_other(check, disks, three) -> None:
    for path, backing in ((three[1], three[2]), (three[2], three[1])):
        await rebase(path, backing.name)
    found = await check()
    assert {finding.subject for finding in found} == {title(three[1]), title(three[2])}
    assert {finding.problem for finding in found} == {"stands on itself"}
    assert len(await check(repair=True)) == 2
    assert await check() == []
    assert three[0].exists()


async def test_a_folder_by_a_chains_name(check, three) -> None:
    three[2].unlink()
    three[2].mkdir()
    assert await check() == [Finding(title(three[2]), "is not a file", DELETE)]


# ---- chains -------------------------------------------------------------------


async def test_what_stands_on_a_damaged_file_goes_with_it(check, three) -> None:
    overwrite(three[1], 0, b"no qcow2")
    expected = [
        (title(three[2]), f"stands on {title(three[1])}, which is damaged"),
        (title(three[1]), "has no valid qcow2 header"),
    ]
    assert [(finding.subject, finding.problem) for finding in await check()] == expected
    assert all(finding.repaired for finding in await check(repair=True))
    assert [path.exists() for path in three] == [True, False, False]
    assert await check() == []


async def test_a_missing_link(check, three) -> None:
    three[1].unlink()
    problem = f"stands on {title(three[1])}, which is missing"
    assert await check() == [Finding(title(three[2]), problem, DELETE)]


async def test_a_chain_that_a_container_needs_is_missing(check, three) -> None:
    three[2].unlink()
    assert await check(chain_id(three[2]), repair=True) == [
        Finding(
            title(three[2]),
            "is missing",
            "Remove the containers that stand on it: they have lost their disks",
        )
    ]


async def test_what_lies_below_a_needed_chain_is_needed(check, three) -> None:
    overwrite(three[1], 79, b"\x02")
    found = await check(chain_id(three[2]), repair=True)
    assert [finding.remedy for finding in found] == [REMOVE, REMOVE]
    assert all(path.exists() for path in three)


async def test_the_templates_own_disk_is_damaged(check, three, base) -> None:
    overwrite(three[0], 79, b"\x02")
    found = await check(repair=True)
    assert found[-1] == Finding(
        title(three[0]), "is marked as corrupt", "Build the template again: linwin template build wine"
    )
    assert base.c_disk.samefile(three[0])
    assert [path.exists() for path in three] == [True, False, False]


async def test_a_base_that_is_not_the_templates_disk(check, three, tmp_path) -> None:
    data = three[0].read_bytes()
    three[0].unlink()
    three[0].write_bytes(data + bytes(512))
    three[0].chmod(0o444)
    found = await check()
    assert (found[-1].subject, found[-1].problem) == (
        title(three[0]),
        "is not the C: disk of template wine",
    )


# ---- volumes --------------------------------------------------------------------


async def test_a_volume_that_cannot_be_opened(check, three, tmp_path) -> None:
    await write_to_disk(three[2], 0, bytes(512), tmp_path)
    problem = "shows no volume that can be opened: Invalid argument"
    assert await check() == [Finding(title(three[2]), problem, DELETE)]


async def test_damage_that_the_next_layer_hides_is_found(check, three, tmp_path) -> None:
    await write_to_disk(three[1], 0, bytes(512), tmp_path)
    assert [(finding.subject, finding.problem) for finding in await check()] == [
        (title(three[2]), f"stands on {title(three[1])}, which is damaged"),
        (title(three[1]), "shows no volume that can be opened: Invalid argument"),
    ]


def records(raw: bytes, number: int) -> list[int]:
    """Where a record of $MFT and its copy in $MFTMirr lie on a volume."""
    cluster = raw[13] * int.from_bytes(raw[11:13], "little")
    return [int.from_bytes(raw[at : at + 8], "little") * cluster + number * 1024 for at in (48, 56)]


def attribute(raw: bytes, record: int, kind: int) -> int:
    at = record + int.from_bytes(raw[record + 20 : record + 22], "little")
    while int.from_bytes(raw[at : at + 4], "little") != kind:
        at += int.from_bytes(raw[at + 4 : at + 8], "little")
    return at


async def test_a_volume_that_is_marked_as_dirty(check, three, tmp_path) -> None:
    await run(["qemu-img", "convert", "-O", "raw", three[2], tmp_path / "raw"], check=True)
    raw = (tmp_path / "raw").read_bytes()
    for record in records(raw, 3):
        flags = attribute(raw, record, 0x70) + 24 + 10
        await write_to_disk(three[2], flags, b"\x01", tmp_path)
    problem = "shows a volume that is marked as dirty"
    assert await check() == [Finding(title(three[2]), problem, DELETE)]


async def test_a_volume_whose_journal_is_not_clean(check, three, tmp_path) -> None:
    await run(["qemu-img", "convert", "-O", "raw", three[2], tmp_path / "raw"], check=True)
    with (tmp_path / "raw").open("rb") as file:
        volume = NTFS(file)
        journal = volume.mft.get(2).attributes[0x80][0].dataruns()[0][0] * volume.cluster_size
    await write_to_disk(three[2], journal, b"RSTR" + bytes(508), tmp_path)
    problem = "shows a volume whose journal is not clean"
    assert await check() == [Finding(title(three[2]), problem, DELETE)]


async def test_a_volume_whose_root_is_damaged(check, three, tmp_path) -> None:
    await run(["qemu-img", "convert", "-O", "raw", three[2], tmp_path / "raw"], check=True)
    with (tmp_path / "raw").open("rb") as file:
        volume = NTFS(file)
        index = volume.mft.root.attributes[0xA0][0].dataruns()[0][0] * volume.cluster_size
    await write_to_disk(three[2], index, b"XXXX", tmp_path)
    problem = "shows no volume that can be opened: No such file or directory"
    assert await check() == [Finding(title(three[2]), problem, DELETE)]


async def test_a_program_that_dies_of_a_volume_is_told(check, three, tmp_path, monkeypatch) -> None:
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\nkill -SEGV $$\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    found = await check()
    assert found[-1].problem == "shows a volume that cannot be looked at: -11"


async def test_a_look_that_takes_too_long_is_ended(check, three, monkeypatch) -> None:
    monkeypatch.setattr("linwin.disks.check.TIMEOUT", 0)
    found = await check()
    assert found[-1].problem == "could not be checked within 0 s"
    assert descendants("qemu-img") == []


# ---- what is no damage ------------------------------------------------------------


async def test_a_file_that_could_be_changed_is_made_read_only(check, three) -> None:
    three[2].chmod(0o644)
    assert await check() == [Finding(title(three[2]), "can be written to", MEND)]
    assert await check(chain_id(three[2]), repair=True) == [
        Finding(title(three[2]), "can be written to", MEND, repaired=True)
    ]
    assert await check() == []


async def test_what_is_no_chain_is_left_alone(check, three, paths) -> None:
    stray, folder = paths.chains / "notes.txt", paths.chains / "folder"
    stray.write_bytes(b"somebody's")
    folder.mkdir()
    expected = [
        Finding(str(path), "belongs to no chain", f"Delete it if nothing in it is missed: rm -r {path}")
        for path in (folder, stray)
    ]
    assert await check(repair=True) == expected
    assert stray.read_bytes() == b"somebody's"


async def test_leftovers_of_work_are_deleted(check, paths) -> None:
    leftover = paths.scratch / "chain-abc"
    leftover.mkdir(parents=True)
    (leftover / "file").write_bytes(b"x")
    (paths.scratch / "registry-abc").mkdir()
    problem = "is left over from work that was cut short"
    assert await check() == [Finding(str(leftover), problem, MEND)]
    assert await check(repair=True) == [Finding(str(leftover), problem, MEND, repaired=True)]
    assert [path.name for path in paths.scratch.iterdir()] == ["registry-abc"]
