"""A layer's registry deltas → the registry on its volume, once all else of the layer is there.

Which delta belongs to which hive: hcsshim ``internal/wclayer/cim``. docs/registry.md
tells users what happens.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from linwin.disks.content import Refused
from linwin.disks.failures import no_space
from linwin.disks.volume import ROOT, ExportError, Node, Volume, VolumeError
from linwin.errors import InvalidRequest, Unavailable
from linwin.layers import DAMAGED, HiveDelta, quoted
from linwin.layers.errors import Malformed
from linwin.layers.hives import (
    PROTECTED,
    WINE_LINKS,
    HiveEditor,
    Operation,
    Protection,
    Readable,
    Registry,
    UsersOperations,
    WineFile,
    WineHive,
    apply,
    read_delta,
)

LARGEST_DELTA = 256 << 20
PIECE = 1 << 20
CONFIG = "Windows/System32/config"
FOLDED_NAMES = 1 << 14


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a delta goes: a hive of Windows, and a part of a file of Wine's."""

    delta: str
    hive: str
    wine_file: str
    wine_root: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.delta.removesuffix("_Delta")


DESTINATIONS = (
    Destination("System_Delta", "SYSTEM", "system.reg", ("System",)),
    Destination("Software_Delta", "SOFTWARE", "system.reg", ("Software",)),
    Destination("Sam_Delta", "SAM", "system.reg", ("SAM",)),
    Destination("Security_Delta", "SECURITY", "system.reg", ("SECURITY",)),
    Destination("DefaultUser_Delta", "DEFAULT", "userdef.reg", ()),
)
"""In the order in which they are applied."""
SOFTWARE = DESTINATIONS[1]
USER_FILE = "user.reg"
"""What Wine keeps HKEY_CURRENT_USER in, whoever the user is. ``Software_Delta`` has it below USERS_KEYS."""
WINE_MOUNTS = {
    "system.reg": ("Machine",),
    "userdef.reg": ("User", ".Default"),
    USER_FILE: ("User", "S-1-5-21-0-0-0-1000"),
}
"""What Wine's files hold of the registry."""


class RegistryChanges:
    """The deltas of one layer: kept in ``folder`` while the layer is read, then applied to ``volume``.

    ``kind`` is the template's, and ``where`` names the layer for an error's reader.
    """

    def __init__(self, volume: Volume, kind: str, folder: Path, where: str) -> None:
        self._volume = volume
        self._kind = kind
        self._folder = folder
        self._where = where
        self._kept: dict[Destination, str] = {}
        self._stayed = 0
        self._fold = lru_cache(maxsize=FOLDED_NAMES)(volume.fold)
        self._users = UsersOperations(self._fold)

    def keep(self, entry: HiveDelta) -> None:
        """Keep a delta until it can be applied. Raises Refused, and Unavailable without space."""
        destination = next((d for d in DESTINATIONS if d.delta.lower() == entry.name.lower()), None)
        if destination is None:
            raise Refused("Windows has no registry hive of that name")
        if destination in self._kept:
            raise Refused("the layer has this hive twice")
        if entry.size > LARGEST_DELTA:
            raise Refused(f"a hive of {entry.size} bytes is larger than {LARGEST_DELTA >> 20} MiB")
        self._kept[destination] = entry.name
        with translated(), self._path(destination).open("wb") as file:
            while data := entry.content.read(PIECE):
                file.write(data)

    def apply(self) -> str:
        """Apply what was kept; say so in a sentence, an empty one if there was nothing.

        Raises LinwinError.
        """
        if not self._kept:
            return ""
        if self._kind == "wine":
            self._apply_to_wine()
        else:
            self._apply_to_windows()
        changed = ", ".join(d.delta for d in DESTINATIONS if d in self._kept)
        return f"Registry changed: {changed}{stayed(self._stayed)}"

    # ---- binary hives of Windows ----------------------------------------------

    def _apply_to_windows(self) -> None:
        for destination in DESTINATIONS:
            if destination in self._kept:
                protection = Protection(PROTECTED.get(destination.name, ()), self._fold)
                path = f"{CONFIG}/{destination.hive}"
                with self._opened(path, destination) as file:
                    with self._blaming(path):
                        editor = HiveEditor(file, self._fold)
                    self._merge(destination, editor, path, protection)
                    with self._blaming(path):
                        editor.finish()

    # ---- text files of Wine ---------------------------------------------------

    def _apply_to_wine(self) -> None:
        for name in WINE_MOUNTS:
            destinations = [d for d in DESTINATIONS if d in self._kept and d.wine_file == name]
            if destinations:
                path = f"{CONFIG}/linwin/{name}"
                with self._opened(path, destinations[0]) as file:
                    self._rewrite(file, path, destinations)
        if self._users.kept:
            self._apply_to_user()

    def _apply_to_user(self) -> None:
        path = f"{CONFIG}/linwin/{USER_FILE}"
        with self._opened(path, SOFTWARE) as file, self._blaming(path):
            text = WineFile(file, self._fold, WINE_MOUNTS[USER_FILE])
            apply(self._users.kept, WineHive(text, ()), Protection((), self._fold))
            file.replace(text.pieces())

    def _rewrite(self, file: FileContent, path: str, destinations: list[Destination]) -> None:
        with self._blaming(path):
            text = WineFile(file, self._fold, WINE_MOUNTS[path.rpartition("/")[2]])
        for destination in destinations:
            links = Protection(WINE_LINKS.get(destination.name, ()), self._fold, may_change=True)
            self._merge(destination, WineHive(text, destination.wine_root), path, links)
        with self._blaming(path):
            file.replace(text.pieces())

    # ---- both -----------------------------------------------------------------

    def _merge(self, destination: Destination, registry: Registry, path: str, protection: Protection) -> None:
        with translated(), self._path(destination).open("rb", buffering=0) as file, self._blaming(path):
            apply(self._operations(destination, KeptDelta(file.fileno())), registry, protection)
        self._path(destination).unlink()
        self._stayed += len(protection.touched)

    def _operations(self, destination: Destination, delta: Readable) -> Iterator[Operation]:
        try:
            operations = read_delta(delta, self._fold)
            if self._kind == "wine" and destination is SOFTWARE:
                operations = self._users.taken_from(operations)
            yield from operations
        except Malformed as error:
            raise InvalidRequest(f"{self._entry(destination)}: {error}", hint=DAMAGED) from error

    def _entry(self, destination: Destination) -> str:
        return f"{self._where}, entry {quoted('Hives/' + self._kept[destination])}"

    def _path(self, destination: Destination) -> Path:
        return self._folder / destination.delta

    @contextmanager
    def _opened(self, path: str, destination: Destination) -> Iterator[FileContent]:
        node = find(self._volume, path)
        if node is None or node.is_directory or node.is_reparse_point:
            raise InvalidRequest(
                f"{self._entry(destination)}: C: has no registry hive {path} to change",
                hint="the image does not fit the template; see linwin template ls",
            )
        content = FileContent(self._volume, node.number)
        yield content
        # Not after an error: whatever is open then is thrown away with the volume.
        content.close()

    @contextmanager
    def _blaming(self, path: str) -> Iterator[None]:
        """Say of the registry hive below, at ``path``, what is wrong with it."""
        try:
            yield
        except Malformed as error:
            raise InvalidRequest(
                f"{self._where}: the registry hive {path} cannot be changed: {error}", hint=DAMAGED
            ) from error


class FileContent:
    """The bytes of a file on a volume, changed in place. Nothing else may use the volume meanwhile."""

    def __init__(self, volume: Volume, number: int) -> None:
        self._volume = volume
        self._size = volume.open_content(number)

    @property
    def size(self) -> int:
        return self._size

    def read(self, at: int, size: int) -> bytes:
        return self._volume.read_content(at, size)

    def write(self, at: int, data: bytes) -> None:
        self._volume.overwrite(at, data)
        self._size = max(self._size, at + len(data))

    def replace(self, pieces: Iterable[bytes]) -> None:
        """Give the file other bytes from its beginning to its end."""
        written, pending = 0, bytearray()
        for piece in (*pieces, b""):
            pending += piece
            if len(pending) >= PIECE or not piece:
                self.write(written, bytes(pending))
                written += len(pending)
                pending.clear()
        if written < self._size:
            self._volume.truncate_content(written)

    def close(self) -> None:
        self._volume.close_content()


class KeptDelta:
    """The bytes of a delta in a file on the host."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.size = os.fstat(descriptor).st_size

    def read(self, at: int, size: int) -> bytes:
        data = os.pread(self._descriptor, size, at)
        if len(data) == size:
            return data
        parts = [data]
        while (have := sum(map(len, parts))) < size:
            if not (more := os.pread(self._descriptor, size - have, at + have)):
                raise OSError(errno.EIO, "the file became shorter")
            parts.append(more)
        return b"".join(parts)


def find(volume: Volume, path: str) -> Node | None:
    """What ``path`` stands for, in any case, without following reparse points."""
    node: Node | None = Node(ROOT, is_directory=True)
    for name in path.split("/"):
        if node is None or not node.is_directory or node.is_reparse_point:
            return None
        node = volume.lookup(node.number, name)
    return node


def stayed(keys: int) -> str:
    """The end of a sentence about what was changed, when protected keys were not."""
    if not keys:
        return ""
    return f"; {'1 key' if keys == 1 else f'{keys} keys'} that the guest needs to start left as before"


@contextmanager
def translated() -> Iterator[None]:
    """What a host file's failure means to a user."""
    try:
        yield
    except (VolumeError, ExportError):
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise no_space() from error
        raise Unavailable(f"a registry delta cannot be kept: {error.strerror}") from error
