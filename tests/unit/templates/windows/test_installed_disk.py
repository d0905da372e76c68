"""Disks that Setup may leave: one that is not as wanted is told, becomes no template, and is not kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from linwin.model.installation import Installation
from tests.unit.templates.windows import infs, media
from tests.unit.templates.windows.media import run
from tests.unit.templates.windows.setup_media import Left, installed, setup_iso
from tests.unit.templates.windows.setup_place import SetupPlace, leaving, on_c

UNFIT = "the disk that Setup has left cannot become a template: "


def on_system(c: Path, edit: str) -> bytes:
    """Edit the hive SYSTEM as hivexregedit is told; the names of its services, as they were before."""
    system, edits = c.with_name("SYSTEM"), c.with_name("edits")
    system.write_bytes(run("ntfscat", c, f"{media.CONFIG}/SYSTEM"))
    services = run("hivexsh", system, input=f"cd {media.CONTROL_SET}\\Services\nls\n".encode())
    edits.write_text(f"Windows Registry Editor Version 5.00\n\n{edit}\n\n", "ascii")
    run("hivexregedit", "--merge", system, edits)
    run("ntfscp", "--quiet", c, system, f"{media.CONFIG}/SYSTEM")
    return services


@pytest.fixture
def place(tmp_path: Path) -> SetupPlace:
    return SetupPlace(tmp_path)


@pytest.mark.parametrize(
    ("left", "why"),
    [
        (Left(build=17763), "it holds Server Core of build 17763"),
        (Left(installation="Server"), "it holds Server of build 20348"),
        (Left(state="IMAGE_STATE_COMPLETE"), "its Windows is not generalized"),
        (Left(drivers=("viostor", "NetKVM")), "its Windows lacks the driver vioser"),
        (Left(drivers=("viostor", "vioserial")), "its Windows lacks the driver netkvm"),
    ],
)
async def test_a_disk_that_is_not_as_wanted_is_no_template(place: SetupPlace, left: Left, why: str) -> None:
    disk = await installed(place.folder / "left", place.virtio, left)
    error = await place.refused(setup_iso(place.folder), leaving(disk))
    assert error.message == f"the disk that Setup has left cannot become a template: {why}"
    assert error.hint == "what its machine said and showed last is in the folder reports of LINWIN_ROOT"
    assert place.kept() == []  # it would not be another the next time


async def test_an_empty_disk_is_no_template(place: SetupPlace) -> None:
    async def machine(_: Installation) -> None:
        """Setup writes nothing."""

    error = await place.refused(setup_iso(place.folder), machine)
    assert error.message.endswith("it is no disk: it has no partition table")


@pytest.mark.parametrize(
    ("hibernated", "why"),
    [
        (False, "the volume of Windows on it has faults"),
        (True, "Windows on it is hibernated, or was shut down with fast startup on"),
    ],
)
async def test_a_disk_whose_c_is_not_clean_is_no_template(
    place: SetupPlace, installed_disk: Path, hibernated: bool, why: str
) -> None:
    def spoil(c: Path) -> None:
        if hibernated:
            image = place.folder / "hiberfil.sys"
            image.write_bytes(b"hibr".ljust(4096, b"\0"))  # as ntfs-3g knows one
            run("ntfscp", "--quiet", c, image, "hiberfil.sys")
            return
        volume = bytearray(c.read_bytes())
        at = volume.index(b"\0\0\0\0\0\0\0\0\3\1\0\0")  # $VOLUME_INFORMATION of NTFS 3.1
        volume[at + 10] = 1  # VOLUME_IS_DIRTY, in one of its two places
        c.write_bytes(volume)

    error = await place.refused(setup_iso(place.folder), leaving(on_c(installed_disk, place.folder, spoil)))
    assert error.message == f"the disk that Setup has left cannot become a template: {why}"


async def test_a_c_of_another_kind_is_no_template(place: SetupPlace, installed_disk: Path) -> None:
    spoilt = on_c(installed_disk, place.folder, lambda c: c.write_bytes(bytes(c.stat().st_size)))
    error = await place.refused(setup_iso(place.folder), leaving(spoilt))
    assert error.message.endswith(": its C: is not an NTFS volume")
    assert place.kept() == []


async def test_a_disk_that_names_a_file_of_the_host_is_no_template(
    place: SetupPlace, installed_disk: Path
) -> None:
    """What wrote it may be an emulator that its guest has taken over: no file of the host is read for it."""

    async def machine(installation: Installation) -> None:
        run("qemu-img", "create", "-q", "-f", "qcow2", "-b", installed_disk, "-F", "qcow2", installation.disk)

    error = await place.refused(setup_iso(place.folder), machine)
    assert error.message.startswith("the disk that Setup has left cannot become a template: ")
    assert error.message.endswith(" holds only what differs from another disk, its backing file")
    assert place.kept() == []


async def test_a_driver_that_no_device_of_the_machine_has_asked_for_needs_no_service(
    place: SetupPlace,
) -> None:
    """Windows makes its service when such a device is there, and the machine of Setup has no NIC."""
    with_service = {name: infs.ALL[name] for name in ("viostor", "vioserial", "NetKVM")}
    place.virtio = media.virtio_iso(place.folder / "other", with_service, "2k22")
    disk = await installed(place.folder / "left", place.virtio)

    def edit(c: Path) -> None:
        assert b"netkvm" in on_system(c, f"[-\\{media.CONTROL_SET}\\Services\\netkvm]")

    await place.build(setup_iso(place.folder), leaving(on_c(disk, place.folder, edit)))


async def test_a_last_partition_that_is_not_c_is_told(place: SetupPlace, installed_disk: Path) -> None:
    raw, edited = place.folder / "raw", place.folder / "edited.qcow2"
    run("qemu-img", "convert", "-O", "raw", installed_disk, raw)
    run("sgdisk", "--typecode=3:2700", raw)
    run("qemu-img", "convert", "-O", "qcow2", raw, edited)
    error = await place.refused(setup_iso(place.folder), leaving(edited))
    assert error.message == f"{UNFIT}it has no boot partition, or its last partition is not C:"


def without_service(c: Path) -> None:
    on_system(c, f"[-\\{media.CONTROL_SET}\\Services\\linwin-agent]")


def with_another_agent(c: Path) -> None:
    other = c.with_name("other.exe")
    content = (media.AGENTS / "linwin-agent.exe").read_bytes()
    other.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    run("ntfscp", "--quiet", c, other, "Program Files/linwin/linwin-agent.exe")


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (without_service, "its Windows has no service linwin-agent"),
        (with_another_agent, "its agent is not the one that was given to it"),
    ],
)
async def test_an_agent_that_is_not_ours_is_told(
    place: SetupPlace, installed_disk: Path, spoil: Callable[[Path], None], why: str
) -> None:
    error = await place.refused(setup_iso(place.folder), leaving(on_c(installed_disk, place.folder, spoil)))
    assert error.message == UNFIT + why
