"""A template is installed by a machine: firmware, discs and an empty disk are real, Windows is not there.

A program of ours stands in Setup's place on the disc, and in Windows' on the disk that it copies there. The
engine, its machine under QEMU and the room of templates are the real ones, so that what is seen is the whole
way: the disc that starts without a key, the disk that is started after it, words, bytes and restarts, the
disk's own hives afterwards, and what is left of an installation that fails.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from linwin.engine import setup_progress
from linwin.engine.engine import Engine
from linwin.engine.install import INSTALLER, Installations
from linwin.engine.setup_progress import Limits
from linwin.errors import Unavailable
from linwin.machine import QemuMachines
from linwin.model.machine import MachineSpec
from linwin.model.progress import Progress
from linwin.model.template import Media, Template
from linwin.paths import Paths
from linwin.templates import InstalledTemplates
from tests.scenario.fakes import Fakes
from tests.unit.templates.windows import media
from tests.unit.templates.windows.setup_media import installed, setup_iso
from tests.vm.efi import compiled

NAME = "servercore-2022"
PATIENT = Limits(silence=240, phase=480)
HASTY = Limits(silence=45, phase=480)
_MIB = 1 << 20


class Place:
    """A root with a real machine driver and real templates; a recipe with a small disk and three drivers."""

    def __init__(self, folder: Path, virtio: Path, limits: Limits) -> None:
        folder.chmod(0o711)  # the machine's user passes through
        recipe = folder / "recipes" / NAME
        shutil.copytree(media.REPOSITORY / "vm-templates" / NAME, recipe)
        path = recipe / "template.yaml"
        text = path.read_text().replace("vioscsi, ", "").replace(", Balloon, viorng", "")
        path.write_text(text.replace("size_gib: 40", "size_gib: 2").replace("memory: 4096", "memory: 512"))
        self.folder, self.virtio = folder, virtio
        self.paths = Paths(folder / "root", folder / "root/s")
        for made in (self.paths.root, self.paths.scratch, self.paths.containers):
            made.mkdir(mode=0o711)
        fakes = Fakes()
        fakes.settle(self.paths)
        self.machines = QemuMachines(self.paths)
        self.templates = InstalledTemplates(
            self.paths, recipes=recipe.parent, agents=media.AGENTS, cache=folder / "cache"
        )
        rooms = replace(fakes.rooms, machine=self.machines, templates=self.templates)
        self.engine = Engine(rooms, self.paths)
        self.engine.installations = Installations(self.engine, {"kvm": limits, "tcg": limits})
        self.said: list[Progress] = []
        self.heard = asyncio.Event()
        self.until = ""

    def report(self, progress: Progress) -> None:
        self.said.append(progress)
        if progress.status == self.until:
            self.heard.set()

    async def build(self, iso: Path) -> Template:
        return await self.engine.build_template(NAME, self.report, Media(iso, self.virtio))

    async def failure(self, mode: str) -> Unavailable:
        program = await asyncio.to_thread(compiled, "setup.c", self.folder / "failing.efi", f"MODE={mode}")
        iso = await asyncio.to_thread(setup_iso, self.folder, silent=program)
        with pytest.raises(Unavailable) as caught:
            await self.build(iso)
        await self.nothing_left()
        return caught.value

    async def nothing_left(self) -> None:
        assert await self.templates.list() == await self.templates.unusable() == []
        assert list(self.paths.scratch.iterdir()) == []
        assert not self.paths.installing.exists()
        assert not list(self.paths.installed_disks.glob("*"))
        run_dir = self.paths.installing
        assert await self.machines.adopt(MachineSpec.of_running(INSTALLER, run_dir), 0) is None

    def phases(self) -> list[str]:
        return list(dict.fromkeys(progress.status for progress in self.said if progress.id == NAME))

    def picture(self) -> tuple[int, int]:
        """Width and height of the picture that was kept, which a decoder of others reads."""
        path = self.paths.reports / f"{NAME}.png"
        told = media.run("file", "--brief", path).decode()
        assert told.startswith("PNG image data, "), told
        width, height = told.split(", ")[1].split(" x ")
        return int(width), int(height)


@pytest.fixture(scope="module")
def shared() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="lw-setup-") as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def virtio(shared: Path) -> Path:
    return media.virtio_iso(shared, system="2k22")


@pytest.fixture
async def place(virtio: Path, request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    with tempfile.TemporaryDirectory(prefix="lw-") as folder:
        place = Place(Path(folder), virtio, getattr(request, "param", PATIENT))
        await place.engine.open()
        yield place
        await place.engine.close()


async def test_a_template_is_installed_by_its_machine(
    place: Place, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(setup_progress, "_NOTEWORTHY", _MIB)
    program = await asyncio.to_thread(compiled, "setup.c", place.folder / "setup.efi")
    asking = await asyncio.to_thread(compiled, "setup.c", place.folder / "asks.efi", "MODE=ASKS")
    disk = await installed(place.folder / "left", place.virtio, boot=program)
    iso = await asyncio.to_thread(setup_iso, place.folder, silent=program, asking=asking, disk=disk)
    template = await place.build(iso)
    assert {base.os_version for base in template.provides} == {"10.0.20348.587"}
    # What the machine's guest has written is what was made for it, and none of it is missing.
    same = await asyncio.to_thread(media.run, "qemu-img", "compare", disk, template.c_disk)
    assert same == b"Images are identical.\n"
    phases = place.phases()
    begin = phases.index("Firmware starts the installer")
    assert phases[begin : phases.index("Looking at the disk that Setup has left")] == [
        "Firmware starts the installer",
        "Windows PE is running",
        "Copying Windows to the disk",
        "Restarted from the disk (1)",
        "Windows configures itself for this machine",
        "First logon",
        "Installing drivers",
        "Installing the agent",
        "Giving back what the disk does not need",
        "Generalizing (sysprep)",
    ]
    assert max(progress.current or 0 for progress in place.said) > _MIB
    assert place.picture() >= (640, 400)
    assert "the machine ended as it should" in (place.paths.reports / f"{NAME}.txt").read_text()
    assert list(place.paths.scratch.iterdir()) == []
    assert not place.paths.installing.exists()


@pytest.mark.parametrize("place", [HASTY], indirect=True)
async def test_an_installer_that_says_nothing_is_given_up(place: Place) -> None:
    error = await place.failure("NOTHING")
    assert error.message == (
        f"Windows was not installed for the template {NAME}: nothing was heard or seen of it for 1 min "
        "(phase: Firmware starts the installer)"
    )
    reports = place.paths.reports
    assert error.hint == (
        f"what its screen showed and its console said: {reports}/{NAME}.png and {reports}/{NAME}.txt"
    )
    assert place.picture() >= (640, 400)


async def test_an_installer_that_restarts_for_ever_is_given_up(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(setup_progress, "MOST_RESTARTS", 1)
    error = await place.failure("RESTART")
    assert " restarted " in error.message
    assert error.message.endswith(" times and got nowhere (phase: Restarted from the disk (2))")
    assert place.picture() >= (640, 400)


async def test_an_installer_that_goes_off_is_told(place: Place) -> None:
    error = await place.failure("OFF")
    assert error.message == (
        f"Windows was not installed for the template {NAME}: "
        "its machine switched itself off before it was done (phase: Windows PE is running)"
    )
    assert "linwin-setup: pe" in (place.paths.reports / f"{NAME}.txt").read_text()


async def test_an_installer_that_gives_up_is_told_with_a_picture(place: Place) -> None:
    error = await place.failure("GIVE_UP")
    assert error.message == (
        f"Windows was not installed for the template {NAME}: the script in the new Windows gave up: "
        "as it was told to (phase: Windows PE is running)"
    )
    assert place.picture() >= (640, 400)


async def test_an_interrupted_one_leaves_nothing(place: Place) -> None:
    program = await asyncio.to_thread(compiled, "setup.c", place.folder / "quiet.efi", "MODE=NOTHING")
    iso = await asyncio.to_thread(setup_iso, place.folder, silent=program)
    place.until = "Firmware starts the installer"
    task = asyncio.create_task(place.build(iso))
    await place.heard.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await place.nothing_left()


async def test_a_machine_that_a_killed_daemon_left_is_ended_by_the_next(place: Place) -> None:
    """The daemon is not there to end it: its engine is let go of as it stands."""
    program = await asyncio.to_thread(compiled, "setup.c", place.folder / "quiet.efi", "MODE=NOTHING")
    iso = await asyncio.to_thread(setup_iso, place.folder, silent=program)
    place.until = "Firmware starts the installer"
    task = asyncio.create_task(place.build(iso))
    await place.heard.wait()
    run_dir = place.paths.installing
    other = QemuMachines(place.paths)
    assert await asyncio.to_thread((run_dir / "pid").exists)
    rooms = replace(place.engine.rooms, machine=other)
    next_one = Engine(rooms, place.paths)
    # QEMU's monitor serves one daemon at a time; the first has it, so the next ends the machine unheard.
    await Installations(next_one).recover()
    with pytest.raises(Unavailable):
        await task
    await place.nothing_left()
