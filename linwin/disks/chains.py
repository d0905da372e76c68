"""Content-addressed chains of qcow2 overlays, and containers' overlays on top of them."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from linwin.disks.failures import no_space
from linwin.disks.job import Job
from linwin.disks.qcow2 import create_overlay, read_header
from linwin.disks.supervise import run_job
from linwin.errors import Internal, LinwinError, Unavailable
from linwin.layers import short
from linwin.model.chain import chain_ids
from linwin.model.image import Layer
from linwin.model.progress import Progress, Report
from linwin.model.template import Template
from linwin.paths import Paths

SUFFIX = ".qcow2"


class ChainDisks:
    """Implements :class:`linwin.engine.interfaces.Disks` below ``paths.chains``.

    Chain id 0 is a hard link to the template's C: disk, so a chain's files lie
    in one folder and name each other without a path: the root can be moved, and
    a template that is built again takes nothing away from older chains.
    """

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._locks: dict[str, asyncio.Lock] = {}
        self._in_use: Counter[str] = Counter()

    async def chain(self, template: Template, layers: Sequence[Layer], report: Report) -> tuple[str, Path]:
        ids = chain_ids(template.digest, [layer.diff_id for layer in layers])
        with translated(), self._used(ids):
            async with self._lock(ids[0]):
                await asyncio.to_thread(self._adopt_base, template)
            for parent, chain_id, layer in zip(ids, ids[1:], layers, strict=False):
                async with self._lock(chain_id):
                    await self._extend(parent, chain_id, layer, report)
        return ids[-1], self._path(ids[-1])

    async def overlay(self, chain_end: Path, path: Path, *, uid: int) -> None:
        with translated():
            header = await asyncio.to_thread(read_header, chain_end)
            path.parent.mkdir(parents=True, exist_ok=True)
            unfinished = path.with_name(path.name + ".new")
            try:
                await create_overlay(unfinished, backing=relative(chain_end, path), size=header.size)
                unfinished.chmod(0o600)
                if os.geteuid() == 0:
                    os.chown(unfinished, uid, uid)
                unfinished.rename(path)
            finally:
                unfinished.unlink(missing_ok=True)

    async def prune(self, keep: frozenset[str]) -> int:
        with translated():
            return self._prune(keep | self._in_use.keys())

    # ---- building ----------------------------------------------------------

    def _adopt_base(self, template: Template) -> None:
        base = self._path(template.digest)
        if base.exists():
            return
        if read_header(template.c_disk).backing is not None:
            raise Internal(f"the C: disk of template {template.name} is not complete in itself")
        self._paths.chains.mkdir(parents=True, exist_ok=True)
        try:
            os.link(template.c_disk, base)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            with self._work_dir() as work:
                shutil.copyfile(template.c_disk, work / base.name)
                self._publish(work / base.name, base)
        base.chmod(0o444)

    async def _extend(self, parent: str, chain_id: str, layer: Layer, report: Report) -> None:
        path = self._path(chain_id)
        layer_name = short(layer.digest)
        if path.exists():
            report(Progress("Already exists", layer_name))
            return
        backing = self._path(parent)
        with self._work_dir() as work:
            unfinished = work / path.name
            await create_overlay(unfinished, backing=backing.name, size=read_header(backing).size)
            job = Job(
                blob=str(layer.blob),
                diff_id=layer.diff_id,
                overlay=str(unfinished),
                backing=str(backing),
                offset=0,
                run_dir=str(work),
                parent=os.getpid(),
            )
            applied = await run_job(
                job, lambda used: report(Progress("Extracting", layer_name, used, layer.size))
            )
            await asyncio.to_thread(self._publish, unfinished, path)
        if applied.hives:
            report(Progress(f"Registry changes left out: {', '.join(applied.hives)}", layer_name))
        report(Progress("Extracted", layer_name, layer.size, layer.size))

    def _publish(self, unfinished: Path, path: Path) -> None:
        """Make a finished file appear under its name, whole or not at all."""
        unfinished.chmod(0o444)
        sync(unfinished)
        unfinished.rename(path)
        sync(path.parent)

    @contextmanager
    def _work_dir(self) -> Iterator[Path]:
        self._paths.scratch.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="chain-", dir=self._paths.scratch) as work:
            yield Path(work)

    # ---- pruning -----------------------------------------------------------

    def _prune(self, keep: frozenset[str] | set[str]) -> int:
        parents = {path.name: read_header(path).backing for path in self._paths.chains.glob(f"*{SUFFIX}")}
        needed: set[str] = set()
        for chain_id in keep:
            name: str | None = self._path(chain_id).name
            while name is not None and name in parents and name not in needed:
                needed.add(name)
                name = parents[name]
        doomed = parents.keys() - needed
        freed = 0
        while doomed:
            # Ends first: a chain never lacks its lower part, wherever this is cut short.
            for name in sorted(doomed - {parents[name] for name in doomed}):
                path = self._paths.chains / name
                freed += freed_by_unlinking(path)
                path.unlink()
                doomed.remove(name)
        return freed

    # ---- names and locks ---------------------------------------------------

    def _path(self, chain_id: str) -> Path:
        return self._paths.chains / (chain_id.removeprefix("sha256:") + SUFFIX)

    @asynccontextmanager
    async def _lock(self, chain_id: str) -> AsyncIterator[None]:
        """One builder a chain id; the others wait and find its work done."""
        async with self._locks.setdefault(chain_id, asyncio.Lock()):
            yield

    @contextmanager
    def _used(self, ids: Sequence[str]) -> Iterator[None]:
        """Keep chains from being pruned while a longer one is built on them."""
        self._in_use.update(ids)
        try:
            yield
        finally:
            self._in_use.subtract(ids)
            self._in_use += Counter()
            for chain_id in set(ids) - self._in_use.keys():
                self._locks.pop(chain_id, None)


def relative(backing: Path, overlay: Path) -> str:
    """How an overlay names its backing file, so that the root can be moved."""
    return os.path.relpath(backing, overlay.parent)


def freed_by_unlinking(path: Path) -> int:
    status = path.stat()
    return status.st_blocks * 512 if status.st_nlink == 1 else 0


def sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def translated() -> Iterator[None]:
    """Turn this room's foreign exceptions into linwin's."""
    try:
        yield
    except LinwinError as error:
        if isinstance(error, Unavailable) and os.strerror(errno.ENOSPC) in error.message:
            raise no_space() from error
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise no_space() from error
        raise Unavailable(f"a disk cannot be written: {error}") from error
