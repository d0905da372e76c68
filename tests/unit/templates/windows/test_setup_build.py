"""Templates that Setup makes: what its machine is given, what its disk has to be, what is refused before.

The machine is played by a function that puts a disk of ours in the place of the empty one; the whole with a
machine is in tests/vm/test_setup.py. No file of Microsoft's was ever in these ISOs.
"""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from linwin.errors import InvalidRequest, LinwinError, Unavailable
from linwin.host import locks
from linwin.model.installation import Installation
from linwin.model.progress import Progress
from linwin.model.template import Media, Template
from linwin.paths import Paths
from linwin.templates import InstalledTemplates, manifest
from linwin.templates.windows import boot_disc, setup_answers, setup_script
from linwin.templates.windows.disk import C_START
from linwin.templates.windows.iso import File, Iso
from tests.unit.templates.windows import infs, media
from tests.unit.templates.windows.media import run
from tests.unit.templates.windows.setup_media import EDITIONS, Left, SetupIso, installed, setup_iso

NAME = "servercore-2022"
Machine = Callable[[Installation], Awaitable[None]]


class Place:
    """A root, the recipe with a small disk and three drivers, and the ISOs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        recipe = folder / "recipes" / NAME
        shutil.copytree(media.REPOSITORY / "vm-templates" / NAME, recipe)
        path = recipe / "template.yaml"
        text = path.read_text().replace("vioscsi, ", "").replace(", Balloon, viorng", "")
        path.write_text(text.replace("size_gib: 40", "size_gib: 2"))
        self.paths = Paths(folder / "root", folder / "root/s")
        self.templates = InstalledTemplates(
            self.paths, recipes=recipe.parent, agents=media.AGENTS, cache=folder / "cache"
        )
        self.virtio = media.virtio_iso(folder, system="2k22")
        self.said: list[str] = []
        self.given: list[Installation] = []

    def report(self, progress: Progress) -> None:
        if progress.status not in self.said:
            self.said.append(progress.status)

    async def build(self, iso: Path, machine: Machine, index: int = 0) -> Template:
        async def install(installation: Installation) -> None:
            self.given.append(installation)
            await machine(installation)

        return await self.templates.build(NAME, self.report, Media(iso, self.virtio, index), install)

    async def refused(self, iso: Path, machine: Machine, index: int = 0) -> LinwinError:
        with pytest.raises(LinwinError) as caught:
            await self.build(iso, machine, index)
        await self.nothing_is_registered()
        return caught.value

    async def nothing_is_registered(self) -> None:
        assert await self.templates.list() == await self.templates.unusable() == []
        assert list(self.paths.scratch.iterdir()) == []
        assert not list((self.folder / "cache").glob(f"*/{manifest.FILE}"))

    def kept(self) -> list[Path]:
        return list(self.paths.installed_disks.glob("*"))


def leaving(disk: Path) -> Machine:
    """A machine whose Setup leaves ``disk``."""

    async def machine(installation: Installation) -> None:
        await asyncio.to_thread(shutil.copyfile, disk, installation.disk)

    return machine


def on_c(disk: Path, folder: Path, edit: Callable[[Path], object]) -> Path:
    """A copy of a disk, on whose C: something was done."""
    raw, c, edited = folder / "raw", folder / "c", folder / "edited.qcow2"
    run("qemu-img", "convert", "-O", "raw", disk, raw)
    content = bytearray(raw.read_bytes())
    end = len(content) - (1 << 20)
    c.write_bytes(content[C_START:end])
    edit(c)
    content[C_START:end] = c.read_bytes()
    raw.write_bytes(content)
    run("qemu-img", "convert", "-O", "qcow2", raw, edited)
    return edited


async def never(_: Installation) -> None:
    raise AssertionError("no machine may be started for this")


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("installed")
    virtio = media.virtio_iso(folder, system="2k22")
    return asyncio.run(installed(folder / "left", virtio))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


async def test_a_disk_that_setup_left_becomes_a_template(place: Place, disk: Path) -> None:
    template = await place.build(setup_iso(place.folder), leaving(disk))
    assert (template.kind, template.name, template.minimum_memory) == ("windows", NAME, 1024)
    assert {base.os_version for base in template.provides} == {"10.0.20348.587"}
    assert manifest.read(place.paths.templates / NAME).packages[0] == (
        "Windows Server 2022 Datacenter Evaluation ServerDatacenterEval 10.0.20348.587"
    )
    assert run("qemu-img", "compare", disk, template.c_disk) == b"Images are identical.\n"
    assert place.kept() == []
    assert place.said == [
        "Reading",
        "Choosing drivers in virtio-win.iso",
        "Looking for sources/install.wim in WS2022.iso",
        "Reading sources/install.wim of WS2022.iso",
        "Copying WS2022.iso, so that it starts without a key being pressed",
        "Writing the disc with the answers, the drivers and the agent",
        "Looking at the disk that Setup has left",
        "Compressing the disk",
        "Hashing the disk",
        "Storing the build",
        "Installed",
    ]


async def test_the_machine_is_given_an_empty_disk_and_two_discs(place: Place, disk: Path) -> None:
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
        await leaving(disk)(installation)

    await place.build(iso, machine)
    (answers,) = seen
    assert b"<Value>3</Value>" in answers  # Datacenter Core is the third here
    assert b"<UILanguage>en-US</UILanguage>" in answers
    assert place.given[0].memory == 4096


async def test_the_image_is_chosen_by_what_it_is(place: Place, disk: Path) -> None:
    evaluation = tuple((name, f"{edition}Eval", kind) for name, edition, kind in reversed(EDITIONS))
    iso = setup_iso(place.folder, SetupIso(editions=evaluation))
    answers: list[bytes] = []

    async def machine(installation: Installation) -> None:
        answers.append(run("isoinfo", "-J", "-x", "/Autounattend.xml", "-i", installation.discs[1]))
        await leaving(disk)(installation)

    await place.build(iso, machine)
    await place.build(iso, machine, index=3)
    assert [b"<Value>1</Value>" in text for text in answers] == [True, False]
    assert b"<Value>3</Value>" in answers[1]


async def test_a_finished_disk_is_not_installed_again(place: Place, disk: Path) -> None:
    """The daemon dies while the disk is compressed: the next build goes on from there."""
    iso = setup_iso(place.folder)
    reached = asyncio.Event()

    def report(progress: Progress) -> None:
        if progress.status == "Compressing the disk":
            reached.set()

    build = place.templates.build(NAME, report, Media(iso, place.virtio), leaving(disk))
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


async def test_a_machine_that_is_interrupted_leaves_nothing(place: Place) -> None:
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


async def test_a_disk_kept_for_another_build_is_given_up(place: Place, disk: Path) -> None:
    """But not that of a build of the same name which is under way."""
    place.paths.installed_disks.mkdir(parents=True)
    given_up, used, of_another = f"{NAME}-{'a' * 64}", f"{NAME}-{'b' * 64}", f"servercore-2019-{'a' * 64}"
    for name in (given_up, used, of_another):
        (place.paths.installed_disks / f"{name}.qcow2").write_bytes(b"old")
    cache = place.folder / "cache"
    cache.mkdir()
    async with locks.locked(cache / f"{'b' * 64}.lock"):
        await place.build(setup_iso(place.folder), leaving(disk))
    assert sorted(path.stem for path in place.kept()) == sorted((used, of_another))


async def test_a_disk_is_kept_until_its_template_is_published(
    place: Place, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    iso = setup_iso(place.folder)

    def full(parts: Path, folder: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))

    with monkeypatch.context() as patched:
        patched.setattr("linwin.templates.installed._publish", full)
        error = await place.refused(iso, leaving(disk))
    assert error.message.startswith(f"cannot build the template {NAME}: No space left on device: ")
    assert error.hint == "free some space, or start the daemon with a LINWIN_ROOT on another disk"
    assert len(place.kept()) == 1
    await place.build(iso, never)
    assert place.kept() == []


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
async def test_a_disk_that_is_not_as_wanted_is_no_template(place: Place, left: Left, why: str) -> None:
    disk = await installed(place.folder / "left", place.virtio, left)
    error = await place.refused(setup_iso(place.folder), leaving(disk))
    assert error.message == f"the disk that Setup has left cannot become a template: {why}"
    assert error.hint == "what its machine said and showed last is in the folder reports of LINWIN_ROOT"
    assert place.kept() == []  # it would not be another the next time


async def test_an_empty_disk_is_no_template(place: Place) -> None:
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
    place: Place, disk: Path, hibernated: bool, why: str
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

    error = await place.refused(setup_iso(place.folder), leaving(on_c(disk, place.folder, spoil)))
    assert error.message == f"the disk that Setup has left cannot become a template: {why}"


async def test_a_c_of_another_kind_is_no_template(place: Place, disk: Path) -> None:
    spoilt = on_c(disk, place.folder, lambda c: c.write_bytes(bytes(c.stat().st_size)))
    error = await place.refused(setup_iso(place.folder), leaving(spoilt))
    assert error.message.endswith(": its C: is not an NTFS volume")
    assert place.kept() == []


async def test_a_disk_that_names_a_file_of_the_host_is_no_template(place: Place, disk: Path) -> None:
    """What wrote it may be an emulator that its guest has taken over: no file of the host is read for it."""

    async def machine(installation: Installation) -> None:
        run("qemu-img", "create", "-q", "-f", "qcow2", "-b", disk, "-F", "qcow2", installation.disk)

    error = await place.refused(setup_iso(place.folder), machine)
    assert error.message.startswith("the disk that Setup has left cannot become a template: ")
    assert error.message.endswith(" holds only what differs from another disk, its backing file")
    assert place.kept() == []


async def test_a_driver_that_no_device_of_the_machine_has_asked_for_needs_no_service(place: Place) -> None:
    """Windows makes its service when such a device is there, and the machine of Setup has no NIC."""
    with_service = {name: infs.ALL[name] for name in ("viostor", "vioserial", "NetKVM")}
    place.virtio = media.virtio_iso(place.folder / "other", with_service, "2k22")
    disk = await installed(place.folder / "left", place.virtio)
    system, edits = place.folder / "SYSTEM", place.folder / "edits"
    edits.write_text(
        f"Windows Registry Editor Version 5.00\n\n[-\\{media.CONTROL_SET}\\Services\\netkvm]\n\n", "ascii"
    )

    def edit(c: Path) -> None:
        system.write_bytes(run("ntfscat", c, f"{media.CONFIG}/SYSTEM"))
        assert b"netkvm" in run("hivexsh", system, input=f"cd {media.CONTROL_SET}\\Services\nls\n".encode())
        run("hivexregedit", "--merge", system, edits)
        run("ntfscp", "--quiet", c, system, f"{media.CONFIG}/SYSTEM")

    await place.build(setup_iso(place.folder), leaving(on_c(disk, place.folder, edit)))


async def test_what_the_machine_says_of_its_failure_is_told(place: Place) -> None:
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
async def test_it_is_refused_before_a_machine_starts(place: Place, case: str) -> None:
    like, index, message, hint = REFUSED[case]
    iso = setup_iso(place.folder, like)
    error = await place.refused(iso, never, index)
    assert isinstance(error, InvalidRequest)
    assert (error.message, error.hint) == (message.format(iso=iso), hint)


async def test_a_boot_image_that_never_asked_stays(place: Place, disk: Path) -> None:
    iso = setup_iso(place.folder, SetupIso(asking=False))
    same: list[bool] = []

    async def machine(installation: Installation) -> None:
        same.append(await asyncio.to_thread(installation.discs[0].read_bytes) == iso.read_bytes())
        await leaving(disk)(installation)

    await place.build(iso, machine)
    assert same == [True]


async def test_a_host_without_room_is_told_before_a_machine_starts(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    iso, usage = setup_iso(place.folder), shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    error = await place.refused(iso, never)
    assert error.message == (
        f"the build needs 0.0 GiB for a while in {place.paths.scratch}, where 0.0 GiB are free"
    )


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
