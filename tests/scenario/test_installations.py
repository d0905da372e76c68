"""Installers: what a person is told of one, what is left of one that failed, and that nothing else is."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from linwin.engine.engine import Engine
from linwin.engine.install import EMULATED, INSTALLER, LOOK_SECONDS, Installations
from linwin.engine.setup_progress import Limits
from linwin.errors import Unavailable
from linwin.model.installation import Installation
from linwin.model.machine import FirmwareBoot, MachineSpec
from linwin.model.progress import Progress
from linwin.model.template import Media
from tests.scenario.fakes import Fakes
from tests.scenario.fakes.machine import PICTURE, FakeMachine
from tests.scenario.fakes.timing import FakeTiming
from tests.scenario.harness import make_root

WORDS = ("specialize", "logon", "drivers", "agent", "trim", "sysprep")
LIMITS = {"tcg": Limits(silence=60, phase=300)}


class Place:
    """An engine whose templates room asks for one installation, and time that tests move."""

    def __init__(self, folder: Path) -> None:
        self.fakes, self.timing = Fakes(), FakeTiming()
        self.paths = make_root(folder)
        self.fakes.settle(self.paths)
        self.engine = Engine(self.fakes.rooms, self.paths, timing=self.timing)
        self.engine.installations = Installations(self.engine, LIMITS)
        self.work = self.paths.scratch / "template-1"
        self.work.mkdir()
        names = ("disk.qcow2", "windows.iso", "answers.iso")
        disk, *discs = (self.work / name for name in names)
        for path in (disk, *discs):
            path.write_bytes(b"made")
        self.installation = Installation("core", disk, tuple(discs), 4096)
        self.fakes.templates.installation = self.installation
        self.said: list[Progress] = []
        self.build: asyncio.Task[Any] | None = None

    def begin(self) -> None:
        self.build = asyncio.create_task(self.engine.build_template("core", self.said.append, Media()))

    async def machine(self) -> FakeMachine:
        """The machine that was started, once it is waited for."""
        await self.timing.waits.get()
        (machine,) = self.fakes.machines.running.values()
        return machine

    async def look(self, seconds: float = LOOK_SECONDS) -> None:
        """Let time pass until the installer has been looked at and is waited for again."""
        self.timing.advance(seconds)
        await self.timing.waits.get()

    async def failure(self) -> Unavailable:
        assert self.build is not None
        with pytest.raises(Unavailable) as caught:
            await self.build
        return caught.value

    @property
    def phases(self) -> list[str]:
        return list(dict.fromkeys(progress.status for progress in self.said))

    def hint(self) -> str:
        reports = self.paths.reports
        return f"what its screen showed and its console said: {reports}/core.png and {reports}/core.txt"

    def nothing_runs(self) -> bool:
        return not self.fakes.machines.running and not self.paths.installing.exists()


@pytest.fixture
async def place(short_folder: Path) -> AsyncIterator[Place]:
    place = Place(short_folder)
    await place.engine.open()
    yield place
    if place.build is not None:
        place.build.cancel()
        await asyncio.gather(place.build, return_exceptions=True)
    await place.engine.close()


async def test_phases_are_told_and_the_machine_is_one_for_it(place: Place) -> None:
    place.begin()
    machine = await place.machine()
    spec = machine.spec
    assert isinstance(spec.boot, FirmwareBoot)
    assert spec.boot.discs == place.installation.discs
    assert spec.boot.reboots
    assert (spec.id, spec.memory, spec.screen, spec.nic) == (INSTALLER, 4096, True, False)
    assert spec.c_disk == place.installation.disk
    # One of the discs holds a password.
    assert [stat.S_IMODE(path.stat().st_mode) for path in place.installation.discs] == [0o600, 0o600]
    machine.written.put_nowait("linwin-setup: pe\n")
    await place.look()
    machine.on_disk = 200 << 20
    await place.look()
    machine.restarted = 1
    await place.look()
    for word in WORDS:
        machine.written.put_nowait(f"linwin-setup: {word}\n")
        await place.look()
    machine.end(0)
    assert place.build is not None
    await place.build
    assert place.phases == [
        "Fetching packages",
        EMULATED,
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
    assert place.said[-1].current == 200 << 20
    assert place.nothing_runs()
    report = (place.paths.reports / "core.txt").read_text()
    assert report.startswith("installation for the template core: the machine ended as it should\n")
    assert "Installing drivers" in report
    assert (place.paths.reports / "core.png").read_bytes() == PICTURE


async def test_a_report_that_cannot_be_written_costs_no_installation(place: Place) -> None:
    place.paths.reports.write_bytes(b"")  # where its folder has to be
    place.begin()
    machine = await place.machine()
    machine.written.put_nowait("linwin-setup: sysprep\n")
    await place.look()
    machine.end(0)
    assert place.build is not None
    await place.build


async def test_a_report_that_cannot_be_written_hides_no_failure(place: Place) -> None:
    place.paths.reports.write_bytes(b"")
    place.begin()
    machine = await place.machine()
    machine.end(0)
    error = await place.failure()
    assert "its machine switched itself off before it was done" in error.message
    reports = place.paths.reports
    assert error.hint == (
        f"what its screen showed and its console said: {reports}/core.txt could not be written: File exists"
    )


async def test_silence_ends_it(place: Place) -> None:
    place.begin()
    await place.machine()
    for _ in range(12):
        await place.look()
    place.timing.advance(LOOK_SECONDS)
    error = await place.failure()
    assert error.message == (
        "Windows was not installed for the template core: nothing was heard or seen of it for 1 min "
        "(phase: Firmware starts the installer)"
    )
    assert error.hint == place.hint()
    assert (place.paths.reports / "core.png").read_bytes() == PICTURE
    assert "Kernel panic: this is a fake" in (place.paths.reports / "core.txt").read_text()
    assert place.nothing_runs()


async def test_endless_restarts_end_it(place: Place) -> None:
    place.begin()
    machine = await place.machine()
    machine.restarted = 13
    place.timing.advance(LOOK_SECONDS)
    error = await place.failure()
    assert error.message == (
        "Windows was not installed for the template core: its machine restarted 13 times and got nowhere "
        "(phase: Restarted from the disk (13))"
    )
    assert place.nothing_runs()


async def test_a_machine_that_goes_off_early_is_told_with_what_it_showed_last(place: Place) -> None:
    place.begin()
    machine = await place.machine()
    machine.written.put_nowait("linwin-setup: pe\n")
    await place.look()
    machine.end(0)
    error = await place.failure()
    assert error.message == (
        "Windows was not installed for the template core: its machine switched itself off before it was done "
        "(phase: Windows PE is running)"
    )
    assert (place.paths.reports / "core.png").read_bytes() == PICTURE
    assert error.hint == place.hint()


async def test_a_machine_that_goes_off_at_once_has_no_picture(place: Place) -> None:
    place.paths.reports.mkdir()
    (place.paths.reports / "core.png").write_bytes(b"of another time")
    place.begin()
    (await place.machine()).end(1)
    error = await place.failure()
    assert error.message == (
        "Windows was not installed for the template core: its emulator ended with code 1 "
        "(phase: Firmware starts the installer)"
    )
    assert error.hint == (
        f"what its screen showed and its console said: {place.paths.reports}/core.txt; "
        "it never had a screen to show"
    )
    assert not (place.paths.reports / "core.png").exists()


async def test_a_script_that_gives_up_ends_it(place: Place) -> None:
    place.begin()
    machine = await place.machine()
    machine.written.put_nowait("linwin-setup: agent\nlinwin-setup: failed the agent could not be installed\n")
    error = await place.failure()
    assert error.message.endswith("gave up: the agent could not be installed (phase: Installing the agent)")


async def test_an_interrupted_one_leaves_no_machine(place: Place) -> None:
    place.begin()
    await place.machine()
    assert place.build is not None
    place.build.cancel()
    with pytest.raises(asyncio.CancelledError):
        await place.build
    assert place.nothing_runs()


async def test_one_waits_for_another(place: Place) -> None:
    place.begin()
    machine = await place.machine()
    waits = asyncio.Event()

    def report(progress: Progress) -> None:
        if progress.status == "Waiting for another installation to end":
            waits.set()

    second = asyncio.create_task(place.engine.build_template("core", report, Media()))
    await waits.wait()
    assert list(place.fakes.machines.running.values()) == [machine]
    machine.end(1)
    await place.failure()
    (await place.machine()).end(1)
    with pytest.raises(Unavailable):
        await second


async def test_a_host_without_memory_for_it_says_so(place: Place) -> None:
    place.fakes.machines.available = 1000
    place.begin()
    error = await place.failure()
    assert error.message.startswith("not enough memory for a guest of 4096 MiB")
    assert place.nothing_runs()


async def test_an_installer_that_a_killed_daemon_left_is_ended(place: Place) -> None:
    run_dir = place.paths.installing
    run_dir.mkdir()
    left = await place.fakes.machines.boot(
        MachineSpec(
            INSTALLER,
            FirmwareBoot(run_dir / "variables.fd"),
            memory=1,
            cpus=0,
            run_dir=run_dir,
            c_disk=place.installation.disk,
            screen=True,
        ),
        None,
    )
    await place.engine.installations.recover()
    assert left.exited.done()
    assert place.nothing_runs()


async def test_a_console_that_is_lost_costs_no_installation(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: object, **__: object) -> AsyncIterator[str]:
        yield "linwin-setup: sysprep\n"
        raise OSError("the log is gone")

    monkeypatch.setattr(FakeMachine, "console", broken)
    place.begin()
    machine = await place.machine()
    machine.end(0)
    assert place.build is not None
    await place.build
    assert "the log is gone" in caplog.text
