"""Builds that cannot be: each is told in a sentence, and leaves no template."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from linwin.errors import InvalidRequest, NotFound, Unavailable, Unsupported
from linwin.model.progress import Progress
from linwin.model.template import Media
from linwin.templates.windows import room
from tests.unit.templates.windows import media
from tests.unit.templates.windows.infs import VIOSTOR
from tests.unit.templates.windows.place import NAME, PHASES, Place


@pytest.mark.slow
@pytest.mark.parametrize("phase", PHASES[:-1])
async def test_one_that_is_interrupted_is_not_there(
    place: Place, iso: Path, virtio: Path, phase: str
) -> None:
    reached = asyncio.Event()

    def report(progress: Progress) -> None:
        if progress.status == phase:
            reached.set()

    task = asyncio.create_task(place.templates.build(NAME, report, Media(iso, virtio)))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await place.nothing_left()


async def test_another_iso_is_told(place: Place, tmp_path: Path, virtio: Path) -> None:
    iso = await media.windows_iso(tmp_path, name="install.wim")
    error = await place.refused(iso, virtio)
    assert isinstance(error, InvalidRequest)
    assert error.message == f"{iso} has no NanoServer/NanoServer.wim"
    assert error.hint == "this template is made from an ISO of Windows Server 2016"


async def test_what_is_no_iso_is_told(place: Place, tmp_path: Path, virtio: Path) -> None:
    path = tmp_path / "letter.iso"
    path.write_bytes(b"Dear all, " * 1000)
    error = await place.refused(path, virtio)
    assert error.message == f"{path} is not an ISO image"
    assert error.hint == "give the .iso file itself, whole and not unpacked"


async def test_an_iso_that_is_cut_short_is_told(place: Place, iso: Path, virtio: Path) -> None:
    with iso.open("r+b") as file:
        file.truncate(file.seek(0, 2) // 3)
    error = await place.refused(iso, virtio)
    assert isinstance(error, InvalidRequest | Unavailable)
    assert error.message.startswith(str(iso))


async def test_a_missing_file_is_told(place: Place, tmp_path: Path, virtio: Path) -> None:
    error = await place.refused(tmp_path / "gone.iso", virtio)
    assert isinstance(error, NotFound)
    assert error.message == f"there is no file {tmp_path}/gone.iso"
    assert error.hint == "the daemon reads it: give a path on the daemon's own host"


@pytest.mark.parametrize("given", [Media(), Media(iso=Path("/a")), Media(virtio=Path("/b"))])
async def test_both_isos_are_asked_for(place: Place, given: Media) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await place.templates.build(NAME, place.report, given)
    assert caught.value.message == (
        "the template nanoserver-2016 needs two ISOs: an ISO of Windows Server 2016, "
        "and virtio-win with the drivers"
    )
    assert caught.value.hint == (
        "give both: linwin template build nanoserver-2016 --iso WINDOWS.iso --virtio virtio-win.iso"
    )


@pytest.mark.parametrize("given", [Media(iso=Path("/a")), Media(virtio=Path("/a")), Media(index=1)])
async def test_a_wine_template_takes_no_iso(place: Place, given: Media) -> None:
    shutil.copytree(media.REPOSITORY / "vm-templates/wine", place.recipes / "wine")
    with pytest.raises(InvalidRequest) as caught:
        await place.templates.build("wine", place.report, given)
    assert caught.value.message == "the template wine is made from Debian's packages, not from an ISO"
    assert caught.value.hint == (
        "leave out --iso, --virtio, --index and --product-key: linwin template build wine"
    )


async def test_a_product_key_is_for_setup_alone(place: Place, iso: Path, virtio: Path) -> None:
    given = Media(iso, virtio, product_key="AAAAA-BBBBB-CCCCC-DDDDD-EEEEE")
    with pytest.raises(InvalidRequest) as caught:
        await place.templates.build("nanoserver-2016", place.report, given)
    assert caught.value.message == "the template nanoserver-2016 takes no product key"
    assert caught.value.hint == "leave out --product-key: its image is used as it is"


async def test_an_index_that_is_not_there_is_told(place: Place, iso: Path, virtio: Path) -> None:
    error = await place.refused(iso, virtio, index=3)
    assert error.message == "NanoServer/NanoServer.wim of WS2016.iso has no image with the index 3"
    assert error.hint == (
        "choose with --index: 1 is Windows Server 2016 SERVERSTANDARDNANO, 10.0.14393.2363; "
        "2 is Windows Server 2016 SERVERDATACENTERNANO, 10.0.14393.2363"
    )


async def test_another_build_is_told(place: Place, tmp_path: Path, virtio: Path) -> None:
    iso = await media.windows_iso(tmp_path, WINDOWS_VERSION_BUILD="17763")
    error = await place.refused(iso, virtio)
    assert error.message == (
        "image 2 of NanoServer/NanoServer.wim of WS2016.iso is Windows 10.0.17763.2363, not of build 14393"
    )


async def test_32_bit_windows_is_told(place: Place, tmp_path: Path, virtio: Path) -> None:
    iso = await media.windows_iso(tmp_path, WINDOWS_ARCH="0")
    error = await place.refused(iso, virtio)
    assert isinstance(error, Unsupported)
    assert error.message == (
        "image 2 of NanoServer/NanoServer.wim of WS2016.iso is for 32-bit x86, and guests are 64-bit PCs"
    )
    assert error.hint == "use the ISO for x64"


async def test_an_image_that_lacks_its_boot_manager_is_told(
    place: Place, tmp_path: Path, virtio: Path
) -> None:
    iso = await media.windows_iso(tmp_path, without=("Windows/Boot/EFI/bootmgfw.efi",))
    error = await place.refused(iso, virtio)
    assert error.message == (
        "image 2 (Windows Server 2016 SERVERDATACENTERNANO) cannot become a template: "
        "it has no Windows/Boot/EFI/bootmgfw.efi"
    )


async def test_a_driver_for_another_windows_is_told(place: Place, iso: Path, tmp_path: Path) -> None:
    virtio = media.virtio_iso(tmp_path, system="2k22")
    error = await place.refused(iso, virtio)
    assert isinstance(error, Unsupported)
    assert error.message == (
        f"{virtio} has no driver viostor for Windows of build 14393: "
        "it is looked for in viostor/2k16/amd64 or viostor/w10/amd64"
    )
    assert error.hint == (
        "take a release of the virtio-win ISO that still serves that Windows, as it is published"
    )


async def test_a_driver_for_a_newer_build_is_told(place: Place, iso: Path, tmp_path: Path) -> None:
    newer = VIOSTOR.replace("Block,NTamd64", "Block,NTamd64.10.0...17763")
    virtio = media.virtio_iso(tmp_path, {"viostor": newer})
    error = await place.refused(iso, virtio)
    assert error.message == "viostor.inf has no driver for 64-bit Windows of build 14393"


async def test_a_disk_that_is_too_small_is_told(place: Place, tmp_path: Path, virtio: Path) -> None:
    iso = await media.windows_iso(tmp_path, TOTALBYTES=str(3 << 30))
    error = await place.refused(iso, virtio)
    assert isinstance(error, InvalidRequest)
    assert error.message == "a disk of 2.0 GiB is too small: this Windows needs 4.1 GiB"
    assert error.hint == "give more in the recipe, under disk.size_gib"


async def test_a_host_without_room_is_told_before_anything_is_written(
    place: Place, iso: Path, virtio: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    error = await place.refused(iso, virtio)
    assert isinstance(error, Unavailable)
    assert error.message == (
        f"the build needs 0.0 GiB for a while in {place.folder}/root/tmp, where 0.0 GiB are free"
    )
    assert error.hint == "free some space, or start the daemon with a LINWIN_ROOT on another disk"


@pytest.mark.root
@pytest.mark.parametrize("mebibytes", [1, 5, 12])
async def test_a_disk_that_fills_up_is_told(
    place: Place, iso: Path, virtio: Path, monkeypatch: pytest.MonkeyPatch, mebibytes: int
) -> None:
    monkeypatch.setattr(room, "check", lambda *_: None)
    scratch = place.folder / "root/tmp"
    scratch.mkdir(parents=True)
    media.run("mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", scratch)
    try:
        error = await place.refused(iso, virtio)
        assert isinstance(error, Unavailable)
        assert error.message.startswith(f"{scratch} is full: ")
        assert error.hint == "free some space, or start the daemon with a LINWIN_ROOT on another disk"
    finally:
        media.run("umount", scratch)
