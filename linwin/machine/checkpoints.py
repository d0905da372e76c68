"""The checkpoints of one root: kept on disk, verified once a daemon, the least recently used evicted.

    LINWIN_ROOT/checkpoints/KEY/ram           see :mod:`linwin.machine.frozen`
    LINWIN_ROOT/checkpoints/KEY/state         QEMU's migration stream, without RAM
    LINWIN_ROOT/checkpoints/KEY/saved         in place of both: all of a guest as libvirt saved it
    LINWIN_ROOT/checkpoints/KEY/record.json   what they are, and their checksums

A folder appears by rename, whole. The time of a record is when it was last used.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import shutil
import tempfile
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from io import BufferedReader
from pathlib import Path
from typing import IO, Any, TypeVar

from linwin.errors import NotFound, Unavailable
from linwin.host.files import sync_folder
from linwin.machine import frozen
from linwin.machine.frozen import Damaged, Frozen, Part
from linwin.model.machine import Checkpoint

T = TypeVar("T")

FORMAT = 1
RECORD, RAM, STATE, SAVED = "record.json", "ram", "state", "saved"
_KINDS = ({RAM, STATE}, {SAVED})
MOST_LOADED = 4
"""Checkpoints whose RAM the daemon holds in memory at once."""

_KEY_LENGTH = 64
_log = logging.getLogger(__name__)


def key_of(template: str, arguments: Sequence[str], emulator: Sequence[object]) -> str:
    """The key of the checkpoints of one template under one QEMU with one command line.

    ``emulator`` is whatever tells one QEMU (and, with KVM, one host) from another.
    """
    text = json.dumps([FORMAT, template, list(arguments), list(emulator)])
    return hashlib.sha256(text.encode()).hexdigest()


def evictions(kept: Sequence[Checkpoint], size: int, budget: int) -> list[Checkpoint]:
    """Which checkpoints must go, the least recently used first, for ``size`` bytes more to fit."""
    doomed: list[Checkpoint] = []
    excess = sum(checkpoint.size for checkpoint in kept) + size - budget
    for checkpoint in sorted(kept, key=lambda checkpoint: checkpoint.used_at):
        if excess <= 0:
            break
        doomed.append(checkpoint)
        excess -= checkpoint.size
    return doomed


class CheckpointStore:
    """Checkpoints in ``folder``, at most ``budget`` bytes of them on disk."""

    def __init__(self, folder: Path, budget: int) -> None:
        self._folder = folder
        self._budget = budget
        self._loaded: OrderedDict[str, Frozen] = OrderedDict()
        self._verified: set[str] = set()
        self._changing = asyncio.Lock()

    @property
    def budget(self) -> int:
        return self._budget

    def kept(self) -> list[Checkpoint]:
        """All of them, the most recently used first; what has no readable record is left out."""
        if not self._folder.is_dir():
            return []
        found = (_read(path) for path in self._folder.iterdir() if len(path.name) == _KEY_LENGTH)
        known = [checkpoint for checkpoint, _ in filter(None, found)]
        return sorted(known, key=lambda checkpoint: -checkpoint.used_at)

    def has(self, key: str) -> bool:
        return (self._folder / key / RECORD).exists()

    async def open(self, key: str) -> Frozen | None:
        """The checkpoint in sealed memory, to be closed by the caller; None where there is none.

        Verified when it is first used. Raises Unavailable for one that is not
        what was written, which is deleted.
        """
        async with self._changing:
            if key not in self._loaded:
                if not self.has(key):
                    return None
                self._loaded[key] = await self._load(key)
                while len(self._loaded) > MOST_LOADED:
                    self._loaded.popitem(last=False)[1].close()
            self._loaded.move_to_end(key)
            self._note_use(key)
            return self._loaded[key].duplicate()

    async def open_saved(self, key: str) -> BufferedReader | None:
        """The checkpoint that libvirt saved, to be closed by the caller; otherwise as :meth:`open`."""
        async with self._changing:
            if not self.has(key):
                return None
            file = await self._or_discard(key, lambda: _open_saved(self._folder / key, key in self._verified))
            self._verified.add(key)
            self._note_use(key)
            return file

    def _note_use(self, key: str) -> None:
        try:
            os.utime(self._folder / key / RECORD)
        except OSError as error:
            _log.warning("checkpoint %s: its use could not be noted: %s", key[:12], error)

    async def keep(self, checkpoint: Checkpoint, ram: int, state: int) -> Checkpoint:
        """Store what was frozen, evicting others as needed. Raises Unavailable; nothing is left then."""

        def write(staged: Path) -> dict[str, Part]:
            with frozen.new_file(staged / RAM) as file:
                parts = {RAM: frozen.write_ram(ram, file)}
                _sync(file)
            with frozen.new_file(staged / STATE) as file:
                parts[STATE] = frozen.write_state(state, file)
                _sync(file)
            return parts

        return await self._store(checkpoint, write)

    async def keep_saved(self, checkpoint: Checkpoint, saved: Path) -> Checkpoint:
        """Store what libvirt saved in a file of the same file system, as :meth:`keep`; it is moved."""

        def move(staged: Path) -> dict[str, Part]:
            with saved.open("rb") as file:
                part = _measured(file)
                os.fsync(file.fileno())
            os.rename(saved, staged / SAVED)
            return {SAVED: part}

        return await self._store(checkpoint, move)

    async def _store(self, checkpoint: Checkpoint, fill: Callable[[Path], dict[str, Part]]) -> Checkpoint:
        async with self._changing:
            try:
                return await asyncio.to_thread(self._keep, checkpoint, fill)
            except OSError as error:
                raise Unavailable(
                    f"the checkpoint could not be stored: {error.strerror}",
                    hint="Free some space in LINWIN_ROOT, or set a smaller LINWIN_CHECKPOINT_BUDGET.",
                ) from error

    async def remove(self, reference: str) -> Checkpoint:
        """Delete a checkpoint by its key or a unique beginning of it. Raises NotFound."""
        async with self._changing:
            matching = [c for c in self.kept() if c.key.startswith(reference)] if reference else []
            if len(matching) != 1:
                raise NotFound(
                    f"No such checkpoint: {reference}", hint="List them with: linwin checkpoint ls"
                )
            await asyncio.to_thread(self._delete, matching[0].key)
            return matching[0]

    async def discard(self, key: str, why: str) -> None:
        """Delete a checkpoint that is of no use. Idempotent."""
        async with self._changing:
            _log.warning("checkpoint %s is discarded: %s", key[:12], why)
            await asyncio.to_thread(self._delete, key)

    def close(self) -> None:
        """Let go of all memory."""
        while self._loaded:
            self._loaded.popitem()[1].close()

    async def _load(self, key: str) -> Frozen:
        return await self._or_discard(key, lambda: load(self._folder / key))

    async def _or_discard(self, key: str, read: Callable[[], T]) -> T:
        """What is read in a thread; a checkpoint that cannot be is deleted, and Unavailable raised."""
        try:
            return await asyncio.to_thread(read)
        except (Damaged, OSError) as error:
            why = str(error) if isinstance(error, Damaged) else f"{error.strerror}"
            _log.warning("checkpoint %s is discarded: %s", key[:12], why)
            await asyncio.to_thread(self._delete, key)
            raise Unavailable(f"the checkpoint was damaged ({why}) and is discarded") from error

    def _keep(self, checkpoint: Checkpoint, fill: Callable[[Path], dict[str, Part]]) -> Checkpoint:
        self._folder.mkdir(mode=0o711, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            prefix=".new-", dir=self._folder, ignore_cleanup_errors=True
        ) as name:
            staged = Path(name) / "parts"
            staged.mkdir(mode=0o700)
            parts = fill(staged)
            whole = replace(checkpoint, size=sum(part.size for part in parts.values()))
            self._make_room(whole)
            with frozen.new_file(staged / RECORD) as file:
                file.write(_record(whole, parts))
                file.flush()
                os.fsync(file.fileno())
            sync_folder(staged)
            self._delete(whole.key)
            os.rename(staged, self._folder / whole.key)
        sync_folder(self._folder)
        return whole

    def _make_room(self, checkpoint: Checkpoint) -> None:
        if checkpoint.size > self._budget:
            raise Unavailable(
                f"the checkpoint takes {checkpoint.size >> 20} MiB, "
                f"and all of them may take {self._budget >> 20}",
                hint="Set a larger LINWIN_CHECKPOINT_BUDGET, in MiB.",
            )
        others = [kept for kept in self.kept() if kept.key != checkpoint.key]
        for doomed in evictions(others, checkpoint.size, self._budget):
            _log.info("checkpoint %s is evicted: it was not used for the longest time", doomed.key[:12])
            self._delete(doomed.key)

    def _delete(self, key: str) -> None:
        self._verified.discard(key)
        loaded = self._loaded.pop(key, None)
        if loaded is not None:
            loaded.close()
        folder = self._folder / key
        # First the record: what is left after a crash is no checkpoint.
        (folder / RECORD).unlink(missing_ok=True)
        if folder.exists():
            shutil.rmtree(folder)


def _sync(file: IO[bytes]) -> None:
    """Bring a part to disk and out of the page cache: it is read once a daemon."""
    file.flush()
    os.fsync(file.fileno())
    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _record(checkpoint: Checkpoint, parts: dict[str, Part]) -> bytes:
    described = {name: value for name, value in asdict(checkpoint).items() if name != "used_at"}
    record = {"format": FORMAT, **described, "parts": {name: asdict(part) for name, part in parts.items()}}
    return json.dumps(record, indent=1).encode()


def _read(folder: Path) -> tuple[Checkpoint, dict[str, Part]] | None:
    """A checkpoint's record; None for one that cannot be understood."""
    try:
        record: Any = json.loads((folder / RECORD).read_bytes())
        parts = {
            str(name): Part(int(part["size"]), str(part["digest"]))
            for name, part in dict(record["parts"]).items()
        }
        known = record["format"] == FORMAT and record["key"] == folder.name and parts.keys() in _KINDS
        checkpoint = Checkpoint(
            key=folder.name,
            template=str(record["template"]),
            memory=int(record["memory"]),
            cpus=int(record["cpus"]),
            accelerator=str(record["accelerator"]),
            size=int(record["size"]),
            created_at=int(record["created_at"]),
            used_at=(folder / RECORD).stat().st_mtime_ns,
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return (checkpoint, parts) if known else None


def load(folder: Path) -> Frozen:
    """A checkpoint's folder in sealed memory, verified. Raises Damaged and OSError."""
    read = _read(folder)
    if read is None:
        raise Damaged("its record cannot be read")
    checkpoint, parts = read
    if SAVED in parts:
        raise Damaged("libvirt saved it")
    for name, part in parts.items():
        if (folder / name).stat().st_size != part.size:
            raise Damaged(f"its {name} has another size than it had")
    with (folder / STATE).open("rb") as file:
        state = frozen.read_state(file, parts[STATE])
    try:
        with (folder / RAM).open("rb") as file:
            ram = frozen.read_ram(file, parts[RAM], checkpoint.memory << 20)
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    except BaseException:
        os.close(state)
        raise
    _log.info("checkpoint %s is loaded", folder.name[:12])
    return Frozen(ram, state)


def _open_saved(folder: Path, verified: bool) -> BufferedReader:
    """What libvirt saved, read to its end unless it is ``verified``. Raises Damaged and OSError."""
    read = _read(folder)
    if read is None or SAVED not in read[1]:
        raise Damaged("its record cannot be read")
    file = (folder / SAVED).open("rb")
    try:
        if not verified and _measured(file) != read[1][SAVED]:
            raise Damaged("it is not what libvirt saved")
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file


def _measured(file: BufferedReader) -> Part:
    return Part(os.fstat(file.fileno()).st_size, hashlib.file_digest(file, "sha256").hexdigest())


def described(key: str, template: str, memory: int, cpus: int, accelerator: str) -> Checkpoint:
    """A checkpoint that is yet to be stored."""
    now = time.time_ns()
    return Checkpoint(key, template, memory, cpus, accelerator, size=0, created_at=now, used_at=now)
