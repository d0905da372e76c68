"""What a container changed in its registry → the registry deltas of a layer.

The way back from :mod:`linwin.disks.registry`, which applies them. What the guest
itself writes is no change (:mod:`linwin.layers.hives.noise`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache

from linwin.disks.registry import (
    CONFIG,
    DESTINATIONS,
    FOLDED_NAMES,
    LARGEST_DELTA,
    USER_FILE,
    WINE_MOUNTS,
    Destination,
    FileContent,
    find,
)
from linwin.disks.volume import Volume
from linwin.errors import InvalidRequest
from linwin.layers import EPOCH
from linwin.layers.errors import Malformed
from linwin.layers.hives import (
    USERS_KEYS,
    Fold,
    InMemory,
    Operation,
    PutKey,
    WineFile,
    compare,
    hive_keys,
    noise_of,
    wine_key,
    write_delta,
)
from linwin.layers.hives.regf import Path
from linwin.layers.hives.wine_file import LARGEST_FILE
from linwin.layers.sddl import descriptor_of_sddl

LARGEST_HIVE = 256 << 20
"""Bytes. Windows' own are smaller by half; two are held in memory, of which a worker has 1 GiB."""
NANOSECONDS_PER_TICK = 100

EVERYBODY_READS = descriptor_of_sddl(
    "O:BAG:SYD:AI(A;CIID;KR;;;BU)(A;CIID;KA;;;BA)(A;CIID;KA;;;SY)(A;CIIOID;KA;;;CO)(A;CIID;KR;;;AC)"
)
"""What Windows gives a key that a program makes in HKEY_LOCAL_MACHINE."""
ONLY_THE_SYSTEM = descriptor_of_sddl("O:BAG:SYD:AI(A;CIID;KA;;;SY)(A;CIID;RCWD;;;BA)")
"""What it gives those of SAM and SECURITY."""
DESCRIPTORS = {"Sam": ONLY_THE_SYSTEM, "Security": ONLY_THE_SYSTEM}
"""By hive, where it is not EVERYBODY_READS. Wine's files tell of none, and Windows wants one."""
HIVE_OF_USERS = "Software"
"""Whose delta has what changed in ``user.reg`` as well, below USERS_KEYS."""
BROKEN = (
    "the container's registry is damaged or too large; run its commands in a new container of the same image"
)


def registry_deltas(
    old: Volume, new: Volume, kind: str, *, latest: int | None = None
) -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes of each delta that makes the registry of ``old`` that of ``new``, by name.

    ``kind`` is the template's. A hive that is the same, or that one of the two does not have,
    has no delta. No time in them is later than ``latest``, in nanoseconds since 1970.

    Raises InvalidRequest for a hive that is damaged or too large.
    """
    registries = Registries(old, new, kind)
    for destination in sorted(DESTINATIONS, key=lambda one: one.delta):
        data = registries.delta(destination, latest)
        if data is not None:
            yield destination.delta, data


class Registries:
    """The registries of two volumes. All methods raise InvalidRequest."""

    def __init__(self, old: Volume, new: Volume, kind: str) -> None:
        self._old = old
        self._new = new
        self._kind = kind
        self._fold: Fold = lru_cache(maxsize=FOLDED_NAMES)(new.fold)
        self._wine_files: dict[str, tuple[WineFile, WineFile] | None] = {}

    def delta(self, destination: Destination, latest: int | None) -> bytes | None:
        """The delta of one hive; None when nothing changed."""
        if self._kind == "wine":
            operations = self._changes_of_wine(destination)
        else:
            operations = self._changes_of_windows(destination)
        told = [no_later(operation, latest) for operation in operations]
        if not told:
            return None
        with blaming(destination.delta):
            data = write_delta(told, self._fold, DESCRIPTORS.get(destination.name, EVERYBODY_READS))
            if len(data) > LARGEST_DELTA:
                raise Malformed(f"{len(data)} bytes of changes are more than {LARGEST_DELTA >> 20} MiB")
        return data

    # ---- binary hives of Windows ----------------------------------------------

    def _changes_of_windows(self, destination: Destination) -> Iterator[Operation]:
        path = f"{CONFIG}/{destination.hive}"
        with blaming(path):
            files = self._read(path, LARGEST_HIVE)
            if files is not None:
                noise = noise_of(destination.name, self._kind, self._fold)
                yield from compare(*hive_keys(*files, self._fold), self._fold, noise)

    # ---- text files of Wine ---------------------------------------------------

    def _changes_of_wine(self, destination: Destination) -> Iterator[Operation]:
        if destination.name == HIVE_OF_USERS:
            yield from self._wine_changes(USER_FILE, (), "User", USERS_KEYS)
        yield from self._wine_changes(destination.wine_file, destination.wine_root, destination.name, ())

    def _wine_changes(self, name: str, root: Path, hive: str, below: Path) -> Iterator[Operation]:
        """What differs below ``root`` of one of Wine's files, told of keys below ``below``."""
        path = f"{CONFIG}/linwin/{name}"
        with blaming(path):
            files = self._wine_pair(name, path)
            if files is not None:
                old, new = (wine_key(file, root) for file in files)
                for operation in compare(old, new, self._fold, noise_of(hive, self._kind, self._fold)):
                    yield replace(operation, path=(*below, *operation.path))

    def _wine_pair(self, name: str, path: str) -> tuple[WineFile, WineFile] | None:
        if name not in self._wine_files:
            files = self._read(path, LARGEST_FILE)
            self._wine_files[name] = files and (
                self._wine_file(name, files[0]),
                self._wine_file(name, files[1]),
            )
        return self._wine_files[name]

    def _wine_file(self, name: str, data: bytes) -> WineFile:
        return WineFile(InMemory(data), self._fold, WINE_MOUNTS[name])

    # ---- both -----------------------------------------------------------------

    def _read(self, path: str, largest: int) -> tuple[bytes, bytes] | None:
        """The bytes of a file of both volumes; None when one of them has none, or both have the same."""
        before, after = (content(volume, path, largest) for volume in (self._old, self._new))
        return None if before is None or after is None or before == after else (before, after)


def content(volume: Volume, path: str, largest: int) -> bytes | None:
    """The bytes of a file, None where there is none. Raises Malformed for one that is too large."""
    node = find(volume, path)
    if node is None or node.is_directory or node.is_reparse_point:
        return None
    file = FileContent(volume, node.number)
    try:
        if file.size > largest:
            raise Malformed(f"a file of {file.size} bytes is larger than {largest >> 20} MiB")
        return file.read(0, file.size)
    finally:
        file.close()


def no_later(operation: Operation, latest: int | None) -> Operation:
    """The same operation, with a time that is not after ``latest``, in nanoseconds since 1970."""
    if latest is None or not isinstance(operation, PutKey):
        return operation
    limit = max(EPOCH + latest // NANOSECONDS_PER_TICK, 0)
    return replace(operation, written=min(operation.written, limit))


@contextmanager
def blaming(what: str) -> Iterator[None]:
    """Say of the registry hive or delta ``what`` why it is no good."""
    try:
        yield
    except Malformed as error:
        raise InvalidRequest(
            f"what changed in the registry hive {what} cannot be told: {error}", hint=BROKEN
        ) from error
