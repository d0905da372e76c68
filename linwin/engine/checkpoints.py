"""Making checkpoints: a guest is booted without a container, warmed, and frozen."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from linwin.daemon_log import context_about
from linwin.engine.create import maker_uid
from linwin.engine.power import HELLO_TIMEOUT, spare_tap
from linwin.errors import LinwinError, Unavailable, Unsupported
from linwin.model.machine import Boot, Checkpoint, FirmwareBoot, LinuxBoot, MachineSpec
from linwin.model.progress import Progress, Report
from linwin.model.template import Template
from linwin.paths import VARIABLES

if TYPE_CHECKING:
    from linwin.engine.engine import Engine

logger = logging.getLogger(__name__)

DEFAULT_MEMORY = 512
"""MiB of a guest for which the user named no limit."""
MAKER = "checkpoint"
"""The id of the machine that is being made into one."""


def guest_spec(
    template: Template,
    *,
    id: str,
    memory: int,
    cpus: int,
    run_dir: Path,
    uid: int,
    c_disk: Path,
    nic: bool,
    title: str = "",
) -> MachineSpec:
    """A machine that boots from a template. ``memory`` in MiB and ``cpus`` are 0 for the defaults."""
    return MachineSpec(
        id=id,
        boot=boot(template, c_disk),
        memory=memory or max(DEFAULT_MEMORY, template.minimum_memory),
        cpus=cpus,
        run_dir=run_dir,
        uid=uid,
        template=template.digest,
        c_disk=c_disk,
        nic=nic,
        screen=template.has_screen,
        title=title,
    )


def boot(template: Template, c_disk: Path) -> Boot:
    """How a guest of the template starts; firmware's variables lie beside its disk."""
    if template.boots_before_c:
        return LinuxBoot(template.kernel, template.initrd, template.cmdline, template.root_disk)
    return FirmwareBoot(c_disk.with_name(VARIABLES))


async def has_nic(engine: Engine, template: Template) -> bool:
    """Whether guests of the template have a NIC from their start.

    To meet one takes a guest long, so one that is frozen has met it before. Without networks there is
    no tap for it.
    """
    able = template.boots_before_c and engine.rooms.machine.abilities.first_nic
    return able and not await engine.rooms.network.unavailable()


class Checkpoints:
    """Makes checkpoints, one at a time. ``enabled`` is false where there are to be none."""

    def __init__(self, engine: Engine, *, enabled: bool = True) -> None:
        self._engine = engine
        self._enabled = enabled
        self._making = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._failed: set[tuple[str, int, int]] = set()

    def wanted(self, template: Template) -> bool:
        """Whether containers of the template are to be restored from a checkpoint."""
        return self._enabled and template.boots_before_c

    async def make(
        self, template: Template, report: Report, *, memory: int = 0, cpus: int = 0
    ) -> Checkpoint | None:
        """Make the checkpoint for guests of this size; None where it is there already.

        Raises Unsupported for templates that have none, Unavailable when the guest
        does not come up or cannot be stored.
        """
        if not template.boots_before_c:
            raise Unsupported(
                f"guests of the template {template.name} cannot be restored from a checkpoint",
                hint="They start from C:, which differs from image to image.",
            )
        async with self._making:
            spec = await self._spec(template, memory, cpus)
            if await self._engine.rooms.machine.has_checkpoint(spec):
                self._engine.pool.refill()  # its template may be what was missing
                return None
            try:
                made = await self._make(template, spec, report)
            except OSError as error:
                raise Unavailable(f"the checkpoint could not be made: {error}") from error
        self._engine.pool.refill()
        return made

    def make_later(self, template: Template, *, memory: int, cpus: int) -> bool:
        """Make it in the background; False for one that failed before, and is not tried again by itself."""
        wanted = (template.digest, memory, cpus)
        if wanted in self._failed:
            return False
        task = asyncio.create_task(
            self._make_quietly(template, wanted), name="making a checkpoint", context=context_about("")
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def recover(self) -> None:
        """End a machine that an earlier daemon was about to freeze."""
        run_dir = self._engine.paths.freezing
        machine = await self._engine.rooms.machine.adopt(MachineSpec.of_running(MAKER, run_dir), 0)
        if machine is not None:
            await machine.quit()
        await asyncio.to_thread(delete_files, run_dir)

    async def close(self) -> None:
        """Give up what is under way."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def kept(self) -> Sequence[Checkpoint]:
        return await self._engine.rooms.machine.checkpoints()

    async def remove(self, reference: str) -> Checkpoint:
        removed = await self._engine.rooms.machine.remove_checkpoint(reference)
        await self._engine.pool.drop()
        self._engine.pool.refill()
        return removed

    async def prune(self, *, everything: bool) -> list[Checkpoint]:
        """Delete those that no installed template can use any more, or all."""
        digests = {template.digest for template in await self._engine.rooms.templates.list()}
        doomed = [c for c in await self.kept() if everything or c.template not in digests]
        return [await self.remove(checkpoint.key) for checkpoint in doomed]

    async def _spec(self, template: Template, memory: int, cpus: int) -> MachineSpec:
        paths = self._engine.paths
        return guest_spec(
            template,
            id=MAKER,
            memory=memory,
            cpus=cpus,
            run_dir=paths.freezing,
            uid=maker_uid(paths.tag),
            c_disk=scratch_disk(paths.freezing),
            nic=await has_nic(self._engine, template),
            title=f"linwin: a guest of {template.name}, about to be frozen",
        )

    async def _make(self, template: Template, spec: MachineSpec, report: Report) -> Checkpoint:
        rooms = self._engine.rooms
        report(Progress("Booting a guest to be frozen", id="checkpoint"))
        await asyncio.to_thread(_make_folder, spec.run_dir)
        async with self._engine.admission.admitted(spec), AsyncExitStack() as undo:
            undo.callback(delete_files, spec.run_dir)
            tap = await spare_tap(self._engine, spec, undo)
            await rooms.disks.overlay(template.c_disk, scratch_disk(spec.run_dir), uid=spec.uid)
            mold = await rooms.machine.mold(spec, tap)
            undo.push_async_callback(mold.quit)
            guest = await rooms.guest.connect(mold, timeout=HELLO_TIMEOUT[await rooms.machine.accelerator()])
            undo.push_async_callback(guest.close)
            report(Progress("Warming the guest", id="checkpoint"))
            await guest.warm()
            await guest.close()
            report(Progress("Freezing the guest", id="checkpoint"))
            checkpoint = await mold.freeze()
        logger.info("checkpoint %s of %d MiB was made", checkpoint.key[:12], checkpoint.memory)
        return checkpoint

    async def _make_quietly(self, template: Template, wanted: tuple[str, int, int]) -> None:
        _, memory, cpus = wanted
        try:
            await self.make(template, self._engine.unreported, memory=memory, cpus=cpus)
        except LinwinError as error:
            self._failed.add(wanted)
            logger.warning("no checkpoint of the template %s was made: %s", template.name, error)
            self._engine.metrics.failed("checkpoint", error)


def scratch_disk(run_dir: Path) -> Path:
    """What stands for C: in a guest that has no container yet.

    It lies beside the run folder, which the host user of its machine may not enter.
    """
    return run_dir.with_suffix(".qcow2")


def delete_files(run_dir: Path) -> None:
    """Delete a run folder and the disk beside it, whole or half made. Idempotent."""
    if run_dir.exists():
        shutil.rmtree(run_dir)
    for disk in run_dir.parent.glob(f"{run_dir.name}.*"):
        disk.unlink(missing_ok=True)


def _make_folder(run_dir: Path) -> None:
    run_dir.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
    if run_dir.exists():
        shutil.rmtree(run_dir)
    run_dir.mkdir(mode=0o700)
