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
from itertools import pairwise
from pathlib import Path

from linwin.disks.c_start import SUFFIX as NOTE_SUFFIX
from linwin.disks.c_start import write_note
from linwin.disks.check import examine
from linwin.disks.durable import publish, sync
from linwin.disks.failures import translated
from linwin.disks.files import UNFINISHED, DiskFiles, copy_disk
from linwin.disks.findings import Judgement, missing
from linwin.disks.flatten import flatten
from linwin.disks.job import Job
from linwin.disks.qcow2 import Overlays, create_overlay, read_header
from linwin.disks.supervise import run_job
from linwin.disks.survey import NAME, READ_ONLY, SUFFIX, Survey, survey
from linwin.errors import Internal
from linwin.host.files import sync_folder
from linwin.layers import short
from linwin.model.chain import chain_ids
from linwin.model.files import Change
from linwin.model.image import Layer
from linwin.model.layer import WrittenLayer
from linwin.model.progress import Progress, Report
from linwin.model.template import Template
from linwin.model.upkeep import Finding
from linwin.paths import Paths

WORK = "chain-"
"""How the folders of unfinished work in the scratch folder begin."""


class ChainDisks:
    """Implements :class:`linwin.engine.interfaces.Disks` below ``paths.chains``.

    Chain id 0 is a hard link to the template's C: disk, so a chain's files lie
    in one folder and name each other without a path: the root can be moved, and
    a template that is built again takes nothing away from older chains.
    """

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._overlays = Overlays()
        self._locks: dict[str, asyncio.Lock] = {}
        self._in_use: Counter[str] = Counter()
        self._working: set[Path] = set()
        self._upkeep = asyncio.Lock()

    async def chain(self, template: Template, layers: Sequence[Layer], report: Report) -> tuple[str, Path]:
        ids = chain_ids(template.digest, [layer.diff_id for layer in layers])
        with translated(), self._used(ids):
            async with self._lock(ids[0]):
                await self._adopt_base(template)
            for number, (parent, chain_id) in enumerate(pairwise(ids)):
                async with self._lock(chain_id):
                    await self._extend(template, parent, chain_id, layers[: number + 1], report)
        return ids[-1], self._path(ids[-1])

    async def overlay(self, chain_end: Path, path: Path, *, uid: int) -> None:
        with translated():
            header = await asyncio.to_thread(read_header, chain_end)
            path.parent.mkdir(parents=True, exist_ok=True)
            unfinished = path.with_name(path.name + ".new")
            try:
                await self._overlays.create(unfinished, backing=relative(chain_end, path), size=header.size)
                unfinished.chmod(0o600)
                if os.geteuid() == 0:
                    os.chown(unfinished, uid, uid)
                await asyncio.to_thread(publish, unfinished, path)
            finally:
                unfinished.unlink(missing_ok=True)

    async def backing(self, overlay: Path) -> str | None:
        with translated():
            try:
                header = await asyncio.to_thread(read_header, overlay)
            except Internal:
                return None
        below = self._paths.chains / Path(header.backing or "").name
        if NAME.fullmatch(below.name) and header.backing == relative(below, overlay):
            return chain_id_of(below.name)
        return None

    def files(self, overlay: Path) -> DiskFiles:
        return DiskFiles(overlay, self._paths.scratch)

    async def changes(self, overlay: Path) -> list[Change]:
        return await self.files(overlay).changes()

    async def layer(
        self, overlay: Path, output: Path, *, kind: str, latest: int | None = None
    ) -> WrittenLayer:
        return await self.files(overlay).layer(output, kind=kind, latest=latest)

    async def copy(self, overlay: Path, target: Path) -> None:
        unfinished = target.with_name(target.name + UNFINISHED)
        with translated():
            try:
                await copy_disk(overlay, unfinished)
                await asyncio.to_thread(publish, unfinished, target)
            finally:
                unfinished.unlink(missing_ok=True)

    async def plain_copy(self, archive: Path, output: Path, overlay: Path) -> None:
        await DiskFiles(overlay, self._paths.scratch).flatten(archive, output)

    async def flatten(self, chain_end: Path, target: Path, report: Report) -> None:
        with translated(), self._used([chain_id_of(chain_end.name)]):
            size = (await asyncio.to_thread(read_header, chain_end)).size

            def advanced(part: float) -> None:
                report(Progress("Flattening", short(chain_end.stem), int(part * size), size))

            await flatten(chain_end, target, advanced)

    async def usage(self) -> dict[str, int]:
        """Bytes that deleting each chain's own file would free; a template's disk is the template's."""
        with translated():
            return await asyncio.to_thread(self._usage)

    async def prune(self, keep: frozenset[str]) -> int:
        with translated():
            async with self._upkeep:
                return self._prune(keep | self._in_use.keys())

    async def check(
        self, needed: frozenset[str], templates: Sequence[Template], report: Report, *, repair: bool
    ) -> Sequence[Finding]:
        bases = {self._path(template.digest).name: template for template in templates}
        with translated():
            async with self._upkeep:
                found = await asyncio.to_thread(survey, self._paths.chains)
                await examine(found, bases, self._work_dir, report)
                # Nothing is awaited from here on: what nobody uses now is free to be deleted.
                wanted = {self._path(chain_id).name for chain_id in needed}
                judgement = Judgement(found.closure(wanted), self._busy(found), bases, repair)
                findings = judgement.of_files(found) + judgement.of_leftovers(self._leftovers())
                return findings + [missing(name) for name in sorted(wanted - found.files.keys())]

    # ---- building ----------------------------------------------------------

    async def _adopt_base(self, template: Template) -> None:
        base = self._path(template.digest)
        if base.exists():
            return
        self._paths.chains.mkdir(parents=True, exist_ok=True)
        with self._work_dir() as work:
            await asyncio.to_thread(write_note, base, template.c_start)
            await asyncio.to_thread(link_base, template, base, work / base.name)

    async def _extend(
        self, template: Template, parent: str, chain_id: str, layers: Sequence[Layer], report: Report
    ) -> None:
        """Build the overlay of the last of ``layers`` on the chain of those before it."""
        path, layer = self._path(chain_id), layers[-1]
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
                kind=template.kind,
                lower=[(str(below.blob), below.diff_id) for below in reversed(layers[:-1])],
                overlay=str(unfinished),
                backing=str(backing),
                offset=template.c_start,
                run_dir=str(work),
                parent=os.getpid(),
            )
            applied = await run_job(
                job, lambda used: report(Progress("Extracting", layer_name, used, layer.size))
            )
            await asyncio.to_thread(publish_read_only, unfinished, path)
        if applied.registry:
            report(Progress(applied.registry, layer_name))
        report(Progress("Extracted", layer_name, layer.size, layer.size))

    @contextmanager
    def _work_dir(self) -> Iterator[Path]:
        self._paths.scratch.mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(prefix=WORK, dir=self._paths.scratch)
        work = Path(folder.name)
        self._working.add(work)
        try:
            with folder:
                yield work
        finally:
            self._working.remove(work)

    # ---- upkeep ------------------------------------------------------------

    def _prune(self, keep: frozenset[str] | set[str]) -> int:
        found = survey(self._paths.chains)
        needed = found.closure(self._path(chain_id).name for chain_id in keep)
        freed = 0
        # Ends first: a chain never lacks its lower part, wherever this is cut short.
        for name in found.ends_first(found.files.keys() - needed):
            path = self._paths.chains / name
            freed += freed_by_unlinking(path)
            path.unlink()
        self._prune_notes(keep)
        return freed

    def _prune_notes(self, keep: frozenset[str] | set[str]) -> None:
        """Delete the notes of bases that are gone, or that never came."""
        for note in self._paths.chains.glob(f"*{NOTE_SUFFIX}"):
            if not note.with_suffix(SUFFIX).exists() and f"sha256:{note.stem}" not in keep:
                note.unlink()

    def _usage(self) -> dict[str, int]:
        files = [path for path in self._paths.chains.glob(f"*{SUFFIX}") if NAME.fullmatch(path.name)]
        return {chain_id_of(path.name): freed_by_unlinking(path) for path in files}

    def _busy(self, before: Survey) -> set[str]:
        """Files that builders use, and what the chains stand on that came while a check looked at others."""
        now = survey(self._paths.chains)
        used = {self._path(chain_id).name for chain_id in self._in_use}
        return now.closure(used | (now.files.keys() - before.files.keys()))

    def _leftovers(self) -> list[Path]:
        """Folders of work that no builder of this daemon does."""
        return sorted(set(self._paths.scratch.glob(f"{WORK}*")) - self._working)

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


def link_base(template: Template, base: Path, copy: Path) -> None:
    """Make the template's C: disk the base of chains; by way of ``copy`` where a link cannot be.

    It is read-only before it appears, and on disk before anything stands on it.
    """
    if read_header(template.c_disk).backing is not None:
        raise Internal(f"the C: disk of template {template.name} is not complete in itself")
    template.c_disk.chmod(READ_ONLY)
    sync(template.c_disk)
    try:
        os.link(template.c_disk, base)
    except FileExistsError:
        return  # by a call that was cancelled meanwhile
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        shutil.copyfile(template.c_disk, copy)
        publish_read_only(copy, base)
    sync_folder(base.parent)


def publish_read_only(unfinished: Path, path: Path) -> None:
    """Make a finished chain appear under its name, never to be changed."""
    unfinished.chmod(READ_ONLY)
    publish(unfinished, path)


def chain_id_of(name: str) -> str:
    """The chain id that a file's name stands for."""
    return f"sha256:{name.removesuffix(SUFFIX)}"


def relative(backing: Path, overlay: Path) -> str:
    """How an overlay names its backing file, so that the root can be moved."""
    return os.path.relpath(backing, overlay.parent)


def freed_by_unlinking(path: Path) -> int:
    """Bytes of disk that go when a file goes: none as long as another name has them, or when it is gone."""
    try:
        status = path.stat(follow_symlinks=False)
    except FileNotFoundError:
        return 0
    return status.st_blocks * 512 if status.st_nlink == 1 else 0
