"""The pool: guests that are restored, greeted and halted before a container needs one.

A guest of the pool has a host user and a run folder of its own under
``Paths.pool``, by which the next daemon finds and ends what a killed one left.
A start that takes it gives both to the container: its user becomes the
container's, and its folder is renamed to the container's.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from linwin.daemon_log import context_about
from linwin.engine import unreadable
from linwin.engine.checkpoints import delete_files, guest_spec, has_nic, scratch_disk
from linwin.engine.create import free_uid
from linwin.engine.interfaces import Guest, Machine
from linwin.engine.power import RESTORED_TIMEOUT, spare_tap
from linwin.errors import LinwinError
from linwin.model.container import Container
from linwin.model.machine import C_SERIAL, FIRST_MAC, MachineSpec
from linwin.model.network import Interface
from linwin.model.pool import PoolPlan
from linwin.model.template import Template

if TYPE_CHECKING:
    from linwin.engine.engine import Engine

NIC = Interface(FIRST_MAC, ("192.0.2.1/24",), gateway4="192.0.2.2", dns=("192.0.2.2",))
"""The NIC of a guest that is nobody's yet, with addresses that are for examples (RFC 5737)."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pooled:
    """One guest that waits. ``tap`` is that of the NIC it has, if it has one, which ``files`` closes."""

    spec: MachineSpec
    machine: Machine
    guest: Guest
    tap: int | None
    files: ExitStack

    def suits(self, spec: MachineSpec) -> bool:
        """Whether it is what a start would restore for ``spec``."""
        return _kind(self.spec) == _kind(spec)


class Pool:
    """Keeps ``plan.size`` guests ready, in the background; what it lacks is restored as ever."""

    def __init__(self, engine: Engine, plan: PoolPlan) -> None:
        self.plan = plan
        self._engine = engine
        self._ready: list[Pooled] = []
        self._filling: asyncio.Task[None] | None = None
        self._uids: set[int] = set()
        self._closed = False

    @property
    def ready(self) -> int:
        """How many guests wait."""
        return len(self._ready)

    @property
    def uids(self) -> frozenset[int]:
        """The host users of its machines, which no container may be given."""
        return frozenset(self._uids)

    async def recover(self) -> None:
        """End what an earlier daemon had in its pool."""
        folder = self._engine.paths.pool
        if not folder.exists():
            return
        for run_dir in await asyncio.to_thread(_run_dirs, folder):
            machine = await self._engine.rooms.machine.adopt(MachineSpec.of_running(run_dir.name, run_dir), 0)
            if machine is not None:
                await machine.quit()
            try:
                await asyncio.to_thread(delete_files, run_dir)
            except OSError as error:  # what lies there by mistake must not keep the daemon from starting
                logger.warning("the pool of an earlier daemon left %s: %s", run_dir, error)

    def refill(self) -> None:
        """Begin to restore what is missing, unless that is under way."""
        if self.plan.size and not self._closed and (self._filling is None or self._filling.done()):
            self._filling = asyncio.create_task(
                self._fill(), name="filling the pool", context=context_about("")
            )

    async def take(
        self, container: Container, spec: MachineSpec, undo: AsyncExitStack, files: AsyncExitStack
    ) -> Pooled | None:
        """A guest that suits, as the container's own; ``undo`` ends it, ``files`` closes its tap.

        None where none is ready.
        """
        self._uids.add(container.uid)  # nobody else's until it is known which user the container keeps
        try:
            while (pooled := next((one for one in self._ready if one.suits(spec)), None)) is not None:
                self._ready.remove(pooled)
                try:
                    async with AsyncExitStack() as steps:
                        steps.push_async_callback(self._end, pooled)
                        await self._give(pooled, container)
                        await self._wake(pooled)
                        await undo.enter_async_context(steps.pop_all())
                except LinwinError as error:
                    logger.warning("a guest of the pool was of no use: %s", error.message)
                    await self._take_back(container)
                    continue
                self._uids.discard(pooled.spec.uid)
                files.callback(pooled.files.close)
                return pooled
        finally:
            self._uids.discard(container.uid)
        return None

    async def drop(self) -> bool:
        """End all that wait or are being restored, for want of memory or of their checkpoint.

        Tells whether there were any.
        """
        filling = await self._stop_filling()
        doomed, self._ready = self._ready, []
        await asyncio.gather(*(self._end(pooled) for pooled in doomed))
        return filling or bool(doomed)

    async def close(self) -> None:
        """End all of it, for good."""
        self._closed = True
        await self.drop()

    async def _stop_filling(self) -> bool:
        """Whether it was under way."""
        if self._filling is None or self._filling.done():
            return False
        self._filling.cancel()
        await asyncio.gather(self._filling, return_exceptions=True)
        return True

    async def _wake(self, pooled: Pooled) -> None:
        await pooled.machine.resume()
        pooled.guest.rest(False)

    async def _give(self, pooled: Pooled, container: Container) -> None:
        """Make the machine the container's: by folder, where a new daemon finds it, by user, by disk."""
        engine, uid, overlay = self._engine, pooled.spec.uid, self._engine.paths.overlay(container.id)
        await pooled.machine.move(engine.paths.machine(container.id))
        await engine.rooms.state.advance(
            container.id, "starting", pid=pooled.machine.pid, boot="restored", uid=uid
        )
        await asyncio.to_thread(own, overlay, uid)
        await pooled.machine.insert_disk(overlay)
        await asyncio.to_thread(delete_files, pooled.spec.run_dir)

    async def _take_back(self, container: Container) -> None:
        """Give a container back what it had before a guest that came to nothing: user, disk, empty folder.

        What is restored instead runs as that user, in that folder.
        """
        engine = self._engine
        await engine.rooms.state.advance(container.id, "starting", pid=0, uid=container.uid)
        await asyncio.to_thread(own, engine.paths.overlay(container.id), container.uid)
        await asyncio.to_thread(_empty, engine.paths.machine(container.id))

    async def _fill(self) -> None:
        try:
            template = await self._template()
            await self._end_unsuited(template)
            while template is not None and len(self._ready) < self.plan.size:
                pooled = await self._restore(template)
                if pooled is None:
                    logger.warning("the pool stays empty: there is no checkpoint of its size")
                    return
                self._ready.append(pooled)
        except (LinwinError, OSError) as error:
            logger.warning("the pool is not full: %s", error)
            self._engine.metrics.failed("pool", error)

    async def _end_unsuited(self, template: Template | None) -> None:
        """End those that no start can use any more, since networks have come to this host or gone."""
        nic = template is not None and await has_nic(self._engine, template)
        doomed = [pooled for pooled in self._ready if pooled.spec.nic != nic]
        self._ready = [pooled for pooled in self._ready if pooled not in doomed]
        await asyncio.gather(*(self._end(pooled) for pooled in doomed))

    async def _template(self) -> Template | None:
        rooms, wanted = self._engine.rooms, self._engine.checkpoints.wanted
        if self.plan.template:
            return await rooms.templates.get(self.plan.template)
        return next((template for template in await rooms.templates.list() if wanted(template)), None)

    async def _restore(self, template: Template) -> Pooled | None:
        """One more guest, halted; None where there is no checkpoint."""
        rooms, paths = self._engine.rooms, self._engine.paths
        async with AsyncExitStack() as undo:
            uid = await self._new_uid()
            undo.callback(self._uids.discard, uid)
            name = f"pool-{secrets.token_hex(4)}"
            run_dir = paths.pool / name
            _make(run_dir)  # in no thread: one whose waiter is cancelled would make it all the same
            undo.push_async_callback(asyncio.to_thread, delete_files, run_dir)
            spec = guest_spec(
                template,
                id=name,
                memory=self.plan.memory,
                cpus=self.plan.cpus,
                run_dir=run_dir,
                uid=uid,
                c_disk=scratch_disk(run_dir),
                nic=await has_nic(self._engine, template),
            )
            await rooms.disks.overlay(template.c_disk, scratch_disk(run_dir), uid=uid)
            files = undo.enter_context(ExitStack())
            tap = await spare_tap(self._engine, spec, files)
            async with self._engine.admission.admitted(spec, spared=False):
                machine = await rooms.machine.restore(spec, tap)
                if machine is None:
                    return None
                undo.push_async_callback(machine.quit)
                guest = await rooms.guest.connect(
                    machine, timeout=RESTORED_TIMEOUT[await rooms.machine.accelerator()]
                )
                undo.push_async_callback(guest.close)
                await _rehearse(spec, machine, guest)
                guest.rest(True)
                await machine.pause()
            undo.pop_all()
        return Pooled(spec, machine, guest, tap, files)

    async def _new_uid(self) -> int:
        engine = self._engine
        async with engine.creating:
            others = await engine.rooms.state.list()
            uid = free_uid(engine.paths.tag, unreadable.host_users(engine, others) | self._uids)
            self._uids.add(uid)
        return uid

    async def _end(self, pooled: Pooled) -> None:
        """End a guest with all that is its own. Idempotent."""
        pooled.files.close()
        await pooled.guest.close()
        await pooled.machine.quit()
        await asyncio.to_thread(delete_files, pooled.spec.run_dir)
        self._uids.discard(pooled.spec.uid)


def own(overlay: Path, uid: int) -> None:
    """Give a container's disk to the host user of its machine, where machines have users of their own."""
    if uid and overlay.exists() and overlay.stat().st_uid != uid:
        os.chown(overlay, uid, uid)


def _kind(spec: MachineSpec) -> tuple[object, ...]:
    """What two machines have in common that go on from one checkpoint."""
    return spec.template, spec.memory, spec.cpus, spec.nic


async def _rehearse(spec: MachineSpec, machine: Machine, guest: Guest) -> None:
    """What a start will have of the guest: its NIC, its disk, a program."""
    if spec.nic:
        await machine.connect_nic(connected=True)
        await guest.connect_interface(NIC)
        await guest.forget_interface(NIC.mac)
        await machine.connect_nic(connected=False)
    await guest.rehearse(C_SERIAL)


def _run_dirs(pool: Path) -> set[Path]:
    """Those of which anything is left: the folder, or the disk beside it, whole or not."""
    return {path.with_name(path.name.partition(".")[0]) for path in pool.iterdir()}


def _make(run_dir: Path) -> None:
    run_dir.mkdir(mode=0o700, parents=True)


def _empty(run_dir: Path) -> None:
    delete_files(run_dir)
    _make(run_dir)
