"""Templates that Setup makes: what its machine is given, what its disk has to be, what is refused before.

The machine is played by a function that puts a disk of ours in the place of the empty one; the whole with a
machine is in tests/vm/test_setup.py. No file of Microsoft's was ever in these ISOs.
"""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
from pathlib import Path

import pytest

from linwin.errors import InvalidRequest, Unavailable
from linwin.host import locks
from linwin.model.installation import Installation
from linwin.model.progress import Progress
from linwin.model.template import Media
from linwin.templates import manifest
from linwin.templates.windows import boot_disc, setup_answers, setup_script
from linwin.templates.windows.iso import File, Iso
from tests.unit.templates.windows import media
from tests.unit.templates.windows.media import run
from tests.unit.templates.windows.setup_media import EDITIONS, SetupIso, setup_iso
from tests.unit.templates.windows.setup_place import NAME, SetupPlace, leaving, never


@pytest.fixture
def place(tmp_path: Path) -> SetupPlace:
    return SetupPlace(tmp_path)


async def test_a_disk_that_setup_left_becomes_a_template(place: SetupPlace, installed_disk: Path) -> None:
    template = await place.build(setup_iso(place.folder), leaving(installed_disk))
    assert (template.kind, template.name, template.minimum_memory) == ("windows", NAME, 1024)
    assert {base.os_version for base in template.provides} == {"10.0.20348.587"}
    assert manifest.read(place.paths.templates / NAME).packages[0] == (
        "Windows Server 2022 Datacenter Evaluation ServerDatacenterEval 10.0.20348.587"
    )
    assert run("qemu-img", "compare", installed_disk, template.c_disk) == b"Images are identical.\n"
    assert place.kept() == []
    assert place.said == [
        "Reading",
        "Choosing drivers in virtio-win.iso",
        "Looking for sources/install.wim in WS2022.iso",
        "Copying sources/install.wim out of WS2022.iso",
        "Copying WS2022.iso, so that it starts without a key being pressed",
        "Writing the disc with the answers, the drivers and the agent",
        "Looking at the disk that Setup has left",
        "Compressing the disk",
        "Hashing the disk",
        "Storing the build",
        "Installed",
    ]


async def test_the_machine_is_given_an_empty_disk_and_two_discs(
    place: SetupPlace, installed_disk: Path
) -> None:
    iso = setup_iso(place.folder)
    seen: list[bytes] = []

    async def machine(installation: Installation) -> None:
        def look() -> None:
            size = b'"virtual-size": 2147483648'
            assert size in run("qemu-img", "info", "--output=json", installation.disk)
            windows, answers = installation.discs
            # The boot image that does not ask is where the one that does was, and nothing else has changed.
            before, after = iso.read_bytes(), windows.read_bytes()
            names = (boot_disc.ASKING, boot_disc.SILENT)
            asking, silent = (run("7zz", "e", "-so", iso, name) for name in names)
            assert asking != silent
            assert after == before.replace(asking, silent)
            # Read by two programs that did not write it.
            assert b"Volume id: LINWIN" in run("isoinfo", "-d", "-i", answers)
            listed = run("isoinfo", "-J", "-f", "-i", answers).decode().split()
            assert "/Autounattend.xml" in listed
            unpacked = installation.disk.with_name("unpacked")
            run("7zz", "x", f"-o{unpacked}", answers)
            folder = unpacked / setup_answers.FOLDER
            seen.append((unpacked / setup_answers.FILE).read_bytes())
            assert (folder / "linwin-agent.exe").read_bytes() == (
                media.AGENTS / "linwin-agent.exe"
            ).read_bytes()
            assert (folder / "setup.cmd").read_bytes() == setup_script.script()
            clones = (folder / setup_script.CLONE_ANSWERS).read_bytes()
            assert b'<settings pass="generalize">' in clones
            drivers = folder / setup_answers.DRIVERS
            assert sorted(path.name for path in drivers.iterdir()) == ["netkvm", "vioserial", "viostor"]
            assert (drivers / "viostor/viostor.inf").is_file()

        await asyncio.to_thread(look)
        await leaving(installed_disk)(installation)

    await place.build(iso, machine)
    (answers,) = seen
    assert b"<Value>3</Value>" in answers  # Datacenter Core is the third here
    assert b"<UILanguage>en-US</UILanguage>" in answers
    assert place.given[0].memory == 4096


async def test_the_image_is_chosen_by_what_it_is(place: SetupPlace, installed_disk: Path) -> None:
    evaluation = tuple((name, f"{edition}Eval", kind) for name, edition, kind in reversed(EDITIONS))
    iso = setup_iso(place.folder, SetupIso(editions=evaluation))
    answers: list[bytes] = []

    async def machine(installation: Installation) -> None:
        answers.append(run("isoinfo", "-J", "-x", "/Autounattend.xml", "-i", installation.discs[1]))
        await leaving(installed_disk)(installation)

    await place.build(iso, machine)
    await place.build(iso, machine, index=3)
    assert [b"<Value>1</Value>" in text for text in answers] == [True, False]
    assert b"<Value>3</Value>" in answers[1]


async def test_a_finished_disk_is_not_installed_again(place: SetupPlace, installed_disk: Path) -> None:
    """The daemon dies while the disk is compressed: the next build goes on from there."""
    iso = setup_iso(place.folder)
    reached = asyncio.Event()

    def report(progress: Progress) -> None:
        if progress.status == "Compressing the disk":
            reached.set()

    build = place.templates.build(NAME, report, Media(iso, place.virtio), leaving(installed_disk))
    task = asyncio.create_task(build)
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await place.nothing_is_registered()
    assert len(place.kept()) == 1
    await place.build(iso, never)
    assert "Using the disk that Setup finished with before" in place.said
    assert place.kept() == []


async def test_a_machine_that_is_interrupted_leaves_nothing(place: SetupPlace) -> None:
    reached = asyncio.Event()

    async def machine(installation: Installation) -> None:
        reached.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(place.build(setup_iso(place.folder), machine))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await place.nothing_is_registered()
    assert place.kept() == []


async def test_a_disk_kept_for_another_build_is_given_up(place: SetupPlace, installed_disk: Path) -> None:
    """But not that of a build of the same name which is under way."""
    place.paths.installed_disks.mkdir(parents=True)
    given_up, used, of_another = f"{NAME}-{'a' * 64}", f"{NAME}-{'b' * 64}", f"servercore-2019-{'a' * 64}"
    for name in (given_up, used, of_another):
        (place.paths.installed_disks / f"{name}.qcow2").write_bytes(b"old")
    cache = place.folder / "cache"
    cache.mkdir()
    async with locks.locked(cache / f"{'b' * 64}.lock"):
        await place.build(setup_iso(place.folder), leaving(installed_disk))
    assert sorted(path.stem for path in place.kept()) == sorted((used, of_another))


async def test_a_disk_is_kept_until_its_template_is_published(
    place: SetupPlace, installed_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    iso = setup_iso(place.folder)

    def full(parts: Path, folder: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))

    with monkeypatch.context() as patched:
        patched.setattr("linwin.templates.installed._publish", full)
        error = await place.refused(iso, leaving(installed_disk))
    assert error.message.startswith(f"cannot build the template {NAME}: No space left on device: ")
    assert error.hint == "free some space, or start the daemon with a LINWIN_ROOT on another disk"
    assert len(place.kept()) == 1
    await place.build(iso, never)
    assert place.kept() == []


async def test_what_the_machine_says_of_its_failure_is_told(place: SetupPlace) -> None:
    async def machine(_: Installation) -> None:
        raise Unavailable("Windows was not installed", hint="look at the picture")

    error = await place.refused(setup_iso(place.folder), machine)
    assert (error.message, error.hint) == ("Windows was not installed", "look at the picture")


REFUSED: dict[str, tuple[SetupIso, int, str, str]] = {
    "another release": (
        SetupIso(build=17763), 0,
        "image 3 of sources/install.wim of WS2022.iso is Windows 10.0.17763.169, not of build 20348",
        "use an ISO of that build, or another index: 1 is Windows Server 2022 SERVERSTANDARDCORE, "
        "10.0.17763.169; 2 is Windows Server 2022 SERVERDATACENTER, 10.0.17763.169; "
        "3 is Windows Server 2022 SERVERDATACENTERCORE, 10.0.17763.169",
    ),
    "no such image": (
        SetupIso(), 9,
        "sources/install.wim of WS2022.iso has no image with the index 9",
        "choose with --index: 1 is Windows Server 2022 SERVERSTANDARDCORE, 10.0.20348.169; "
        "2 is Windows Server 2022 SERVERDATACENTER, 10.0.20348.169; "
        "3 is Windows Server 2022 SERVERDATACENTERCORE, 10.0.20348.169",
    ),
    "no core": (
        SetupIso(editions=EDITIONS[1:2]), 0,
        "sources/install.wim of WS2022.iso has no image of the edition ServerDatacenter, Server Core",
        "choose another with --index: 1 is Windows Server 2022 SERVERDATACENTER (ServerDatacenter, Server)",
    ),
    "no language": (
        SetupIso(language=""), 0,
        "image 3 of sources/install.wim of WS2022.iso does not say which language it speaks",
        "this template is made from an ISO of Windows Server 2022, as Microsoft ships it",
    ),
    "another ISO": (
        SetupIso(without=("sources/install.wim",)), 0,
        "{iso} has no sources/install.wim",
        "this template is made from an ISO of Windows Server 2022",
    ),
    "a boot image that asks, and no other": (
        SetupIso(without=(boot_disc.SILENT,)), 0,
        f"{{iso}} cannot be started without a key being pressed: it lacks {boot_disc.SILENT}",
        "use the ISO as its publisher has it, not one that was made anew",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
async def test_it_is_refused_before_a_machine_starts(place: SetupPlace, case: str) -> None:
    like, index, message, hint = REFUSED[case]
    iso = setup_iso(place.folder, like)
    error = await place.refused(iso, never, index)
    assert isinstance(error, InvalidRequest)
    assert (error.message, error.hint) == (message.format(iso=iso), hint)


async def test_a_boot_image_that_never_asked_stays(place: SetupPlace, installed_disk: Path) -> None:
    iso = setup_iso(place.folder, SetupIso(asking=False))
    same: list[bool] = []

    async def machine(installation: Installation) -> None:
        same.append(await asyncio.to_thread(installation.discs[0].read_bytes) == iso.read_bytes())
        await leaving(installed_disk)(installation)

    await place.build(iso, machine)
    assert same == [True]


async def test_a_host_without_room_is_told_before_a_machine_starts(
    place: SetupPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    iso, usage = setup_iso(place.folder), shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    error = await place.refused(iso, never)
    assert error.message == (
        f"the build needs 0.0 GiB for a while in {place.paths.scratch}, where 0.0 GiB are free"
    )


@pytest.mark.parametrize("catalogue", [True, False])
async def test_an_iso_that_boots_something_else_is_told(place: SetupPlace, catalogue: bool) -> None:
    iso = setup_iso(place.folder)
    content = bytearray(iso.read_bytes())
    if catalogue:
        with iso.open("rb") as file:
            at = boot_disc.efi_image(file.fileno())
        assert at is not None
        listed = int.from_bytes(content[17 * 2048 + 0x47 :][:4], "little") * 2048
        entry = content.index((at // 2048).to_bytes(4, "little"), listed)
        content[entry : entry + 4] = (at // 2048 + 1).to_bytes(4, "little")
        why = f"its boot image is not its {boot_disc.ASKING}"
    else:
        content[17 * 2048 : 18 * 2048] = bytes(2048)
        why = "it has no boot image for UEFI"
    iso.write_bytes(content)
    error = await place.refused(iso, never)
    assert error.message == f"{iso} cannot be started without a key being pressed: {why}"


def test_an_iso_without_a_boot_catalogue_has_no_boot_image(tmp_path: Path) -> None:
    path = tmp_path / "plain"
    path.write_bytes(bytes(64 << 10))
    with path.open("rb") as file:
        assert boot_disc.efi_image(file.fileno()) is None


async def test_a_boot_image_without_bound_is_not_read(tmp_path: Path) -> None:
    files = {name: File(name, 1 << 40) for name in (boot_disc.ASKING, boot_disc.SILENT)}
    with pytest.raises(InvalidRequest) as caught:
        await boot_disc.copy(Iso(tmp_path / "huge.iso", files), tmp_path / "copy", tmp_path)
    assert caught.value.message.endswith(f": its {boot_disc.ASKING} is larger than any boot image")
