"""install: a machine is run until Windows' own Setup, or whatever its disc starts, has written its disk.

One at a time. What was seen of one that ended or was given up is left in a report, with a picture of
the last screen: nobody sits before it. A machine that is given up is not gone on with; the disk of one
that switched itself off is its template's to judge.
"""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from linwin.engine.checkpoints import delete_files
from linwin.engine.create import installer_uid
from linwin.engine.interfaces import Machine
from linwin.engine.setup_progress import LIMITS, Limits, SetupProgress
from linwin.errors import LinwinError, Unavailable
from linwin.model.installation import Installation
from linwin.model.machine import FirmwareBoot, MachineExit, MachineSpec
from linwin.model.progress import Progress, Report
from linwin.paths import VARIABLES

if TYPE_CHECKING:
    from linwin.engine.engine import Engine

logger = logging.getLogger(__name__)

INSTALLER = "installer"
"""The id of the machine."""
LOOK_SECONDS = 5.0
"""How often the disk, the restarts and the screen are looked at: nothing tells of bytes written."""
EMULATED = "This host has no usable KVM: Windows is installed in emulation, which takes many hours"

_CONSOLE_LINES = 20


class Installations:
    """Runs installers, one at a time. ``limits`` are by accelerator."""

    def __init__(self, engine: Engine, limits: dict[str, Limits] | None = None) -> None:
        self._engine = engine
        self._limits = limits or LIMITS
        self._turn = asyncio.Lock()

    async def recover(self) -> None:
        """End an installer that an earlier daemon left running: its build is gone, and starts anew."""
        run_dir = self._engine.paths.installing
        machine = await self._engine.rooms.machine.adopt(MachineSpec.of_running(INSTALLER, run_dir), 0)
        if machine is not None:
            logger.warning("an installer of an earlier daemon was ended; build its template again")
            await machine.quit()
        await asyncio.to_thread(delete_files, run_dir)

    async def run(self, installation: Installation, report: Report) -> None:
        """Return when the installer's machine has switched itself off, with its work done for all one knows.

        Raises Unavailable, naming phase and report, when it does not come to that.
        """
        accelerator = await self._engine.rooms.machine.accelerator()
        if accelerator != "kvm":
            report(Progress(EMULATED, id=installation.template))
        if self._turn.locked():
            report(Progress("Waiting for another installation to end", id=installation.template))
        async with self._turn:
            spec = self._spec(installation)
            try:
                await self._run(installation, spec, self._limits[accelerator], report)
            except OSError as error:
                raise Unavailable(f"the installer could not be run: {error}") from error

    def _spec(self, installation: Installation) -> MachineSpec:
        paths = self._engine.paths
        return MachineSpec(
            id=INSTALLER,
            boot=FirmwareBoot(installation.disk.with_name(VARIABLES), discs=installation.discs),
            memory=installation.memory,
            cpus=0,
            run_dir=paths.installing,
            uid=installer_uid(paths.tag),
            c_disk=installation.disk,
            screen=True,
            title=f"linwin: Windows is being installed for the template {installation.template}",
        )

    async def _run(
        self, installation: Installation, spec: MachineSpec, limits: Limits, report: Report
    ) -> None:
        # Counted as starting all the while: it may come to use all of its memory at any time.
        async with self._engine.admission.admitted(spec), AsyncExitStack() as undo:
            undo.callback(delete_files, spec.run_dir)
            await asyncio.to_thread(_hand_over, installation, spec)
            machine = await self._engine.rooms.machine.boot(spec, None)
            undo.push_async_callback(machine.quit)
            watch = _Watch(self._engine, machine, SetupProgress(limits), installation.template, report)
            await watch.to_the_end()


class _Watch:
    """Follows one machine, and tells of it."""

    def __init__(
        self, engine: Engine, machine: Machine, progress: SetupProgress, template: str, report: Report
    ) -> None:
        self._engine = engine
        self._machine = machine
        self._progress = progress
        self._template = template
        self._report = report
        self._now = 0.0  # seconds, counted by the looks
        self._told = 0  # phases
        self._picture: bytes | None = None
        self._news = asyncio.Event()  # set when there is no point in waiting for the next look

    async def to_the_end(self) -> None:
        """Return when the machine has switched itself off as it should. Raises Unavailable."""
        exited = asyncio.ensure_future(self._machine.exited)
        exited.add_done_callback(lambda _: self._news.set())
        listening = asyncio.create_task(self._listen(), name="listening to an installer")
        try:
            fault = await self._follow(exited)
            if fault is None:
                await listening  # what was said last may not have been heard yet
                fault = self._progress.fault_at_the_end(exited.result())
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
        if not exited.done():
            await self._look()
        kept = await self._keep_report(fault)
        if fault is not None:
            raise Unavailable(
                f"Windows was not installed for the template {self._template}: {fault} "
                f"(phase: {self._progress.phase})",
                hint=f"what its screen showed and its console said: {kept}",
            )

    async def _follow(self, exited: asyncio.Future[MachineExit]) -> str | None:
        """What is wrong with a machine that still runs; None when it has ended."""
        while not exited.done():
            self._tell()
            if await self._engine.timing.elapsed(LOOK_SECONDS, self._news):
                self._now += LOOK_SECONDS
                await self._look()
            if not exited.done() and (fault := self._progress.fault(self._now)):
                return fault
        return None

    async def _look(self) -> None:
        # A machine that ends meanwhile is about to be told by its exit; without a picture it is no worse.
        with suppress(LinwinError):
            written, restarts = await self._machine.disk_written(), self._machine.restarts
            self._progress.see(written, restarts, self._now)
        with suppress(LinwinError):
            self._picture = await self._machine.screenshot()

    async def _listen(self) -> None:
        """Hear the console until the machine ends. One that is not heard any more is judged by its disk."""
        try:
            async for text in self._machine.console(last=None, follow=True):
                self._progress.hear(text, self._now)
                self._tell()
                if self._progress.fault(self._now):
                    self._news.set()
        except (LinwinError, OSError) as error:
            logger.warning("the console of the installer for %s is not heard: %s", self._template, error)

    def _tell(self) -> None:
        """Report each phase that was entered since the last time, and how much was written by now."""
        entered = self._progress.passed[self._told :] or self._progress.passed[-1:]
        for _, phase in entered:
            self._report(Progress(phase, id=self._template, current=self._progress.written))
        self._told = len(self._progress.passed)

    async def _keep_report(self, fault: str | None) -> str:
        """Write what was seen, in place of what was seen of an earlier one; its paths, for people."""
        lines = [
            f"installation for the template {self._template}: {fault or 'the machine ended as it should'}"
        ]
        lines += [f"{at:8.0f} s  {phase}" for at, phase in self._progress.passed]
        lines += [f"{self._now:8.0f} s  end; {self._progress.written} bytes were written", "", "console:"]
        lines += await self._machine.console_tail(_CONSOLE_LINES)
        text = self._engine.paths.reports / f"{self._template}.txt"
        screen = text.with_suffix(".png")
        try:
            await asyncio.to_thread(_write, text, screen, "\n".join(lines) + "\n", self._picture)
        except OSError as error:  # what was installed is worth more than what is said of it
            logger.error("the report of an installation could not be written: %s", error)
            return f"{text} could not be written: {error.strerror}"
        return f"{screen} and {text}" if self._picture else f"{text}; it never had a screen to show"


def _write(text: Path, screen: Path, content: str, picture: bytes | None) -> None:
    text.parent.mkdir(mode=0o700, exist_ok=True)
    text.write_text(content, encoding="utf-8")
    if picture:
        screen.write_bytes(picture)
    else:
        screen.unlink(missing_ok=True)


def _hand_over(installation: Installation, spec: MachineSpec) -> None:
    """Give the machine's files to its user, who may enter their folder and see nothing else there."""
    for path in (installation.disk, *installation.discs):
        path.chmod(0o600)  # one of the discs holds a password
        if spec.uid:
            os.chown(path, spec.uid, spec.uid)
    installation.disk.parent.chmod(0o711)  # when nobody else can read what is in it
    if spec.run_dir.exists():
        delete_files(spec.run_dir)
    spec.run_dir.mkdir(mode=0o700)
