"""Disks that cannot become templates: each is told in a sentence, stays as it was, and leaves no template."""

from __future__ import annotations

import asyncio
import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from linwin.errors import Conflict, InvalidRequest, Unavailable, Unsupported
from linwin.model.progress import Progress
from linwin.templates.windows import disk_file, hive
from linwin.templates.windows.hive import Edits
from tests.unit.templates.windows import disks, media
from tests.unit.templates.windows.disks import Installed, windows_disk
from tests.unit.templates.windows.place import NAME, Place
from tests.unit.templates.windows.spoil import fingerprint, on_volume, open_journal, with_hive, write
from tests.unit.templates.windows.test_import import PHASES, virtio

SECTOR = 512


def current(**values: str) -> Edits:
    return {disks.KEY: {name: hive.text(text) for name, text in values.items()}}


async def test_a_disk_without_drivers_needs_their_iso(place: Place, raw: Path) -> None:
    error = await place.import_refused(raw)
    assert isinstance(error, InvalidRequest)
    assert error.message == (
        "the Windows on user.raw lacks the drivers viostor, vioserial, without which no guest starts"
    )
    assert error.hint == "give them: linwin template import user.raw --name mine --virtio virtio-win.iso"


async def test_an_iso_without_the_driver_for_that_build_is_told(place: Place, raw: Path) -> None:
    iso = virtio(place.folder, "2k12")
    error = await place.import_refused(raw, iso)
    assert isinstance(error, Unsupported)
    assert error.message == (
        f"{iso} has no driver viostor for Windows of build 20348: "
        "it is looked for in viostor/2k22/amd64 or viostor/2k19/amd64"
    )


async def test_bitlocker_is_told(place: Place, raw: Path) -> None:
    write(raw, disks.C_START, b"\xeb\x58\x90-FVE-FS-")
    error = await place.import_refused(raw)
    assert isinstance(error, Unsupported)
    assert error.message == "user.raw is encrypted by BitLocker"
    assert error.hint == "decrypt it on Windows, and wait for its end: manage-bde -off C:; manage-bde -status"


@pytest.mark.parametrize(
    "spoil",
    [lambda c: media.run("ntfsfix", c), open_journal],  # the first has Windows look at it
    ids=["dirty", "journal"],
)
async def test_a_volume_that_was_not_let_go_is_told(
    place: Place, raw: Path, spoil: Callable[[Path], object]
) -> None:
    await asyncio.to_thread(on_volume, raw, spoil)
    error = await place.import_refused(raw)
    assert isinstance(error, InvalidRequest)
    assert error.message == "Windows on user.raw was not shut down: its volume is dirty"
    assert error.hint == "start it once more on Windows and shut it down wholly: shutdown /s /t 0"


async def test_fast_startup_is_told(place: Place, raw: Path) -> None:
    image = raw.with_name("hiberfil.sys")
    image.write_bytes(b"hibr".ljust(8192, b"\1"))
    on_volume(raw, lambda c: media.run("ntfscp", "-q", c, image, "hiberfil.sys"))
    error = await place.import_refused(raw)
    assert error.message == "Windows on user.raw is hibernated, or was shut down with fast startup on"
    assert error.hint == (
        "turn fast startup off on Windows (powercfg /h off) and shut it down: shutdown /s /t 0"
    )


async def test_a_volume_with_faults_is_told(place: Place, raw: Path) -> None:
    def spoil(c: Path) -> None:
        table = struct.unpack_from("<Q", _first(c), 48)[0] * 4096
        write(c, table, b"FAKE" * 1024)

    on_volume(raw, spoil)
    error = await place.import_refused(raw)
    assert isinstance(error, InvalidRequest)
    assert error.message == "the volume of Windows on user.raw has faults"
    assert error.hint == "on Windows: chkdsk C: /f"


def _first(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(SECTOR)


@pytest.mark.parametrize(
    ("architecture", "told"), [("x86", "32-bit x86"), ("ARM64", "64-bit ARM"), ("", "an unknown processor")]
)
async def test_another_processor_is_told(place: Place, raw: Path, architecture: str, told: str) -> None:
    value = {"PROCESSOR_ARCHITECTURE": hive.text(architecture)}
    await with_hive(raw, "SYSTEM", {disks.ENVIRONMENT: value})
    error = await place.import_refused(raw)
    assert isinstance(error, Unsupported)
    assert error.message == f"the Windows on user.raw is for {told}, and guests are 64-bit PCs"


@pytest.mark.parametrize(
    ("edits", "message"),
    [
        (
            current(CurrentBuildNumber="22621"),
            "user.raw holds a Windows of build 22621, and no container image is for that build",
        ),
        (
            current(CurrentBuildNumber="many"),
            "the Windows on user.raw does not say in its registry of which build it is",
        ),
        (
            current(InstallationType="IoTUAP"),
            "the Windows on user.raw is of the type IoTUAP, which is not known here",
        ),
        (
            {disks.STATE: {"ImageState": hive.text("IMAGE_STATE_UNDEPLOYABLE")}},
            "setup of the Windows on user.raw was broken off, and it cannot go on",
        ),
        (
            {disks.STATE: {"ImageState": hive.text("IMAGE_STATE_GENERALIZE_RESEAL_TO_AUDIT")}},
            "the Windows on user.raw would start in audit mode",
        ),
    ],
)
async def test_a_windows_that_no_template_can_be_of_is_told(
    place: Place, raw: Path, edits: Edits, message: str
) -> None:
    await with_hive(raw, "SOFTWARE", edits)
    assert (await place.import_refused(raw)).message == message


async def test_a_hive_that_was_not_closed_is_told(place: Place, raw: Path) -> None:
    path = raw.with_name("SOFTWARE")

    def spoil(c: Path) -> None:
        path.write_bytes(media.run("ntfscat", c, f"{media.CONFIG}/SOFTWARE"))
        write(path, 4, struct.pack("<I", 77))
        media.run("ntfscp", "-q", c, path, f"{media.CONFIG}/SOFTWARE")

    await asyncio.to_thread(on_volume, raw, spoil)
    error = await place.import_refused(raw)
    assert error.message == (
        "the registry hive SOFTWARE was not closed: its last changes are in its log alone"
    )


async def test_a_disk_without_windows_is_told(place: Place, raw: Path) -> None:
    on_volume(raw, lambda c: media.run("mkntfs", "--quick", "--force", "--quiet", c))
    error = await place.import_refused(raw)
    assert isinstance(error, InvalidRequest)
    assert error.message == "there is no Windows on user.raw: no volume has Windows/System32/config/SYSTEM"


async def test_two_windows_are_told(place: Place, raw: Path) -> None:
    size, second = disks.SIZE - disks.TAIL - disks.C_START, disks.SIZE
    os.truncate(raw, second + size + (2 << 20))
    media.run("sgdisk", "--move-second-header", "--set-alignment=1", raw)
    first = f"--new=6:{second // SECTOR}:{(second + size) // SECTOR - 1}"
    media.run("sgdisk", "--set-alignment=1", first, "--typecode=6:0700", raw)

    def twice(c: Path) -> None:
        media.run("dd", f"if={c}", f"of={raw}", "bs=1M", "conv=notrunc,sparse", "oflag=seek_bytes",
                  f"seek={second}")  # fmt: skip

    await asyncio.to_thread(on_volume, raw, twice)
    error = await place.import_refused(raw)
    assert isinstance(error, InvalidRequest)
    assert error.message == "user.raw has 2 volumes with a Windows on them, and a template has one"


async def test_a_boot_partition_without_its_manager_is_told(place: Place, raw: Path) -> None:
    media.run("mdel", "-i", f"{raw}@@{disks.ESP_START}", "::EFI/Microsoft/Boot/bootmgfw.efi")
    error = await place.import_refused(raw)
    assert error.message == (
        "user.raw cannot be started: its EFI system partition has no EFI/Microsoft/Boot/bootmgfw.efi"
    )
    assert error.hint == "write it on Windows: bcdboot W:\\Windows /s S: /f UEFI"


async def test_a_disk_without_a_boot_partition_is_told(place: Place, raw: Path) -> None:
    media.run("sgdisk", "--typecode=1:0700", raw)
    error = await place.import_refused(raw)
    assert error.message == ("user.raw has no EFI system partition, and guests start from the one")


async def test_a_dynamic_disk_is_told(place: Place, raw: Path) -> None:
    media.run("sgdisk", "--typecode=3:4200", raw)
    error = await place.import_refused(raw)
    assert isinstance(error, Unsupported)
    assert error.message == "user.raw is a dynamic disk, whose volumes Windows alone can put together"


async def test_a_disk_that_is_too_small_for_containers_is_told(place: Place, tmp_path: Path) -> None:
    raw = await windows_disk(tmp_path / "user", Installed(size=640 << 20))
    error = await place.import_refused(raw, virtio(tmp_path))
    assert isinstance(error, InvalidRequest)
    assert error.message == (
        "C: of user.raw is too small for containers: of 0.5 GiB 0.5 GiB are free, and 1 GiB are needed"
    )
    assert error.hint == "make it larger on Windows: Resize-VHD or its like, then Resize-Partition"


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "a" * 65, "-x", "ä"])
async def test_a_name_that_cannot_be_is_told(place: Place, raw: Path, name: str) -> None:
    error = await place.import_refused(raw, name=name)
    assert isinstance(error, InvalidRequest)
    assert error.message == f"{name!r} cannot be the name of a template"


async def test_the_name_of_a_recipe_is_taken(place: Place, raw: Path) -> None:
    error = await place.import_refused(raw, name=NAME)
    assert isinstance(error, Conflict)
    assert error.message == f"{NAME} is the name of a template that linwin builds"


async def test_a_name_that_is_taken_is_told(place: Place, raw: Path) -> None:
    iso = virtio(place.folder)
    first = await place.import_disk(raw, iso)
    with pytest.raises(Conflict) as caught:
        await place.import_disk(raw, iso)
    assert caught.value.message == "there is a template mine already"
    assert caught.value.hint == "choose another name with --name, or remove it: linwin template rm mine"
    assert await place.templates.list() == [first]


async def test_one_whose_record_is_damaged_is_told(place: Place, raw: Path) -> None:
    template = await place.import_disk(raw, virtio(place.folder))
    record = template.c_disk.parents[1] / "template.json"
    record.write_text(record.read_text().replace('"added"', '"lost"'))
    (found,) = await place.templates.unusable()
    assert found.remedy == "remove it, and import its disk again: linwin template rm mine"
    await place.templates.remove("mine")
    assert await place.templates.unusable() == []


async def test_of_two_imports_under_one_name_one_is_told(place: Place, raw: Path) -> None:
    iso = virtio(place.folder)
    ended = await asyncio.gather(
        place.import_disk(raw, iso), place.import_disk(raw, iso), return_exceptions=True
    )
    assert sorted(type(one).__name__ for one in ended) == ["Conflict", "Template"]


async def test_a_disk_that_is_written_to_meanwhile_is_told(place: Place, raw: Path) -> None:
    iso = virtio(place.folder)

    def report(progress: Progress) -> None:
        if progress.status == "Writing the disk":
            write(raw, disks.SIZE - 4096, b"x")

    with pytest.raises(Conflict) as caught:
        await place.templates.import_disk("mine", report, raw, iso)
    assert caught.value.message == f"{raw} was written to while it was read"
    await place.nothing_left()


async def test_room_is_looked_at_for_all_that_a_disk_holds(
    place: Place, raw: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not for C: alone: the template has every byte of the user's disk."""
    more = os.urandom(15 << 20)
    write(raw, disks.RECOVERY_START, more)
    source = await disk_file.open_disk(raw)
    c = await disk_file.content_size(source, disks.C_START, disks.SIZE - disks.TAIL - disks.C_START)
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=2 * c + len(more)))
    error = await place.import_refused(raw, virtio(place.folder))
    assert isinstance(error, Unavailable)
    assert error.message.startswith("the import needs ")


async def test_a_host_without_room_is_told(place: Place, raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    error = await place.import_refused(raw)
    assert isinstance(error, Unavailable)
    assert error.message.startswith("the import needs 0.")
    assert error.message.endswith(f" GiB for a while in {place.folder}/root/tmp, where 0.0 GiB are free")
    assert error.hint == "free some space, or start the daemon with a LINWIN_ROOT on another disk"


@pytest.mark.root
@pytest.mark.parametrize("mebibytes", [2, 6, 12])
async def test_a_host_that_fills_up_is_told(
    place: Place, raw: Path, monkeypatch: pytest.MonkeyPatch, mebibytes: int
) -> None:
    monkeypatch.setattr("linwin.templates.windows.room.check", lambda *_: None)
    iso = virtio(place.folder)
    scratch = place.folder / "root/tmp"
    scratch.mkdir(parents=True)
    media.run("mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", scratch)
    try:
        error = await place.import_refused(raw, iso)
        assert isinstance(error, Unavailable), error.message
        assert error.message.startswith(f"{scratch} is full: ") or "No space left" in error.message
    finally:
        media.run("umount", scratch)


@pytest.mark.slow
@pytest.mark.parametrize("phase", PHASES[:-1])
async def test_one_that_is_interrupted_is_not_there(place: Place, raw: Path, phase: str) -> None:
    iso = virtio(place.folder)
    digest = fingerprint(raw)
    reached = asyncio.Event()

    def report(progress: Progress) -> None:
        if progress.status == phase:
            reached.set()

    task = asyncio.create_task(place.templates.import_disk("mine", report, raw, iso))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await place.nothing_left()
    assert fingerprint(raw) == digest
