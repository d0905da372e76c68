"""Files that are no disks of one Windows, or point to others: each is told, and nothing else is read."""

from __future__ import annotations

import asyncio
import os
import struct
from pathlib import Path

import pytest

from linwin.errors import InvalidRequest, NotFound, Unsupported
from linwin.templates.windows import gpt
from tests.unit.templates.windows import disks, media
from tests.unit.templates.windows.disks import converted
from tests.unit.templates.windows.place import Place
from tests.unit.templates.windows.spoil import write

SECTOR = 512


@pytest.mark.parametrize(
    ("at", "data", "message", "hint"),
    [
        (0, b"Dear all, ", "user.raw is no disk: it has no partition table", None),
        (0, b"MSWIM\0\0\0", "{path} is no disk: it is a WIM file, which holds files and is no disk", None),
        (0, b"PK\3\4", "{path} is no disk: it is a ZIP archive: unpack it first", None),
        (
            0x8001, b"CD001",
            "{path} is no disk: it is an ISO image: templates are made of those by linwin template build",
            None,
        ),
        (
            446, b"\x80\0\0\0\x07\0\0\0\1\0\0\0\0\x10\0\0".ljust(64, b"\0") + b"\x55\xaa",
            "user.raw is partitioned with an MBR, and guests start by UEFI, from a GPT",
            "convert it on Windows, while it runs from it: mbr2gpt /convert /allowFullOS",
        ),
        (
            3, b"NTFS    ".ljust(507, b"\0") + b"\x55\xaa",
            "user.raw is a single volume, and no disk with a partition table",
            "take an image of the whole disk that Windows starts from",
        ),
        (
            446, b"\0\0\0\0\xee".ljust(64, b"\0") + b"\x55\xaa",
            "the partition table of user.raw is damaged",
            "look at it with gdisk, or make a new copy of the disk",
        ),
        (
            4096, b"EFI PART",
            "user.raw has sectors of 4096 bytes, and guests have disks with sectors of 512",
            "install Windows on a disk with sectors of 512 bytes, as New-VHD makes them",
        ),
    ],
)  # fmt: skip
async def test_what_is_no_disk_with_a_gpt_is_told(
    place: Place, tmp_path: Path, at: int, data: bytes, message: str, hint: str | None
) -> None:
    path = tmp_path / "user.raw"
    path.write_bytes(bytes(1 << 20))
    write(path, at, data)
    error = await place.import_refused(path)
    assert isinstance(error, InvalidRequest)
    assert (error.message, error.hint) == (message.format(path=path), hint)


async def test_a_file_of_a_few_bytes_is_told(place: Place, tmp_path: Path) -> None:
    path = tmp_path / "user.raw"
    path.write_bytes(b"hello")
    assert (await place.import_refused(path)).message == f"{path} is no disk: it has 5 bytes"


async def test_a_file_that_is_not_there_is_told(place: Place, tmp_path: Path) -> None:
    with pytest.raises(NotFound) as caught:
        await place.import_disk(tmp_path / "none.vhdx")
    assert caught.value.message == f"there is no file {tmp_path}/none.vhdx"
    assert caught.value.hint == "the daemon reads it: give a path on the daemon's own host"


@pytest.mark.parametrize("version", [2, 3])
async def test_no_other_file_of_the_host_is_read_in_place_of_a_disk(
    place: Place, raw: Path, version: int
) -> None:
    """A raw disk in front of which somebody wrote the header of a qcow2, naming a file of the host."""
    named = b"/etc/hostname"
    header = struct.pack(">4sIQIIQI", b"QFI\xfb", version, 0x200000, len(named), 16, disks.SIZE, 0)
    write(raw, 0, header)
    write(raw, 0x200000, named)
    error = await place.import_refused(raw)
    assert isinstance(error, Unsupported)
    assert error.message == f"{raw} holds only what differs from another disk, its backing file"
    assert error.hint == (
        "merge it with what it stands on first, as with: qemu-img convert -O qcow2 user.raw whole.qcow2"
    )


async def test_a_qcow2_that_keeps_its_data_elsewhere_is_told(place: Place, tmp_path: Path) -> None:
    path = tmp_path / "user.qcow2"
    media.run("qemu-img", "create", "-q", "-f", "qcow2", "-o", f"data_file={tmp_path}/data", path, "64M")
    error = await place.import_refused(path)
    assert error.message == f"{path} keeps its data in another file"


async def test_an_encrypted_qcow2_is_told(place: Place, tmp_path: Path) -> None:
    path = tmp_path / "user.qcow2"
    media.run("qemu-img", "create", "-q", "-f", "qcow2", path, "64M")
    write(path, 35, b"\2")  # as those that LUKS is in
    assert (await place.import_refused(path)).message == f"{path} is encrypted by QEMU"


@pytest.mark.parametrize(
    ("at", "data", "message"),
    [
        (4, b"\0\0\0\1", "{path} is a qcow of version 1, which is not known here"),
        (79, b"\1", "{path} was not closed, or is damaged: its header says so"),
        (79, b"\2", "{path} was not closed, or is damaged: its header says so"),
    ],
)
async def test_a_qcow2_that_is_not_whole_is_told(
    place: Place, tmp_path: Path, at: int, data: bytes, message: str
) -> None:
    path = tmp_path / "user.qcow2"
    media.run("qemu-img", "create", "-q", "-f", "qcow2", path, "64M")
    write(path, at, data)
    assert (await place.import_refused(path)).message == message.format(path=path)


@pytest.mark.parametrize("subformat", ["monolithicFlat", "twoGbMaxExtentSparse"])
async def test_a_vmdk_in_several_files_is_told(place: Place, tmp_path: Path, subformat: str) -> None:
    path = tmp_path / "user.vmdk"
    media.run("qemu-img", "create", "-q", "-f", "vmdk", "-o", f"subformat={subformat}", path, "64M")
    error = await place.import_refused(path)
    assert isinstance(error, Unsupported)
    assert error.message == f"{path} is the description of a VMDK whose content lies in other files"
    assert error.hint == (
        "make one file of it where all of them are: qemu-img convert -O qcow2 user.vmdk whole.qcow2"
    )


async def test_a_vmdk_without_capacity_is_one_that_describes_others(place: Place, tmp_path: Path) -> None:
    """QEMU would take the description inside of it, and open what that names."""
    path = tmp_path / "user.vmdk"
    media.run("qemu-img", "create", "-q", "-f", "vmdk", path, "64M")
    write(path, 12, bytes(8))
    error = await place.import_refused(path)
    assert error.message == f"{path} is the description of a VMDK whose content lies in other files"


async def test_a_vmdk_with_a_parent_is_told(place: Place, tmp_path: Path) -> None:
    path, parent = tmp_path / "user.vmdk", tmp_path / "parent.vmdk"
    media.run("qemu-img", "create", "-q", "-f", "vmdk", parent, "64M")
    media.run("qemu-img", "create", "-q", "-f", "vmdk", "-F", "vmdk", "-b", parent, path)
    error = await place.import_refused(path)
    assert error.message == f"{path} holds only what differs from another disk, its parent"


async def test_a_vhd_with_a_parent_is_told(place: Place, tmp_path: Path) -> None:
    path = tmp_path / "user.vhd"
    media.run("qemu-img", "create", "-q", "-f", "vpc", path, "64M")
    write(path, path.stat().st_size - SECTOR + 60, b"\0\0\0\4")
    error = await place.import_refused(path)
    assert error.message == f"{path} holds only what differs from another disk, its parent"
    assert error.hint == "merge it on Windows first: Merge-VHD, or Edit Disk in the Hyper-V Manager"


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("raw", "user.raw0 is cut short: its partition table is for 1.25 GiB, and 0.98 GiB are there"),
        ("qcow2", "{path} is damaged or cut short: "),
        ("vhdx", "{path} cannot be read as a disk of the format VHDX: "),
        ("vmdk", "{path} is damaged or cut short: "),
        ("vpc", "{path} is cut short: it is a VHD without its end"),
    ],
)
async def test_a_file_that_is_cut_short_is_told(place: Place, raw: Path, kind: str, message: str) -> None:
    path = await asyncio.to_thread(converted, raw, kind)
    os.truncate(path, (1000 << 20) if kind == "raw" else path.stat().st_size * 2 // 3)
    error = await place.import_refused(path)
    assert isinstance(error, InvalidRequest)
    assert error.message.startswith(message.format(path=path))
    assert error.hint is not None
    assert error.hint.startswith("copy or download it again")


@pytest.mark.parametrize("at", [SECTOR + 16, SECTOR + 60, 2 * SECTOR + 3])
def test_a_table_with_a_flipped_bit_is_told(whole: Path, at: int) -> None:
    head = bytearray(_head(whole))
    head[at] ^= 1
    with pytest.raises(InvalidRequest, match=r"^the partition table of it is damaged\n"):
        gpt.partitions(bytes(head), disks.SIZE, "it")


def test_the_table_is_read_as_sgdisk_wrote_it(whole: Path) -> None:
    found = gpt.partitions(_head(whole), disks.SIZE, "it")
    assert [(part.number, part.start) for part in found] == [
        (1, disks.ESP_START), (2, disks.RESERVED_START), (4, disks.RECOVERY_START), (3, disks.C_START)
    ]  # fmt: skip
    assert found[-1].size == disks.SIZE - disks.TAIL - disks.C_START


def _head(raw: Path) -> bytes:
    with raw.open("rb") as file:
        return file.read(gpt.HEAD)
