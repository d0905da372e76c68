"""A plan of what changed → a Windows layer's tar, as docker on Windows writes it.

Every header is read back by the strict reader before it is written: what linwin
cannot apply later is refused now, while the container is there to mend it.

Format: go-winio, ``backuptar``; hcsshim, ``pkg/ociwclayer``.
"""

from __future__ import annotations

import errno
import hashlib
import io
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import BinaryIO

from linwin.disks.layer_plan import Gone, Link, Parent, Plan, Step, Whole, shown
from linwin.disks.likeness import FILE_ATTRIBUTE_REPARSE_POINT, PIECE, details, opened
from linwin.disks.volume import ROOT, Volume, VolumeError
from linwin.errors import Unsupported
from linwin.layers import EPOCH, FILE_ATTRIBUTE_DIRECTORY, Metadata, tar
from linwin.layers.decode import entry_of
from linwin.layers.encode import END, layer_header, padding
from linwin.layers.errors import Malformed
from linwin.layers.names import check_component
from linwin.layers.reparse import DRIVE, link_of

FILES, HIVES = "Files", "Hives"
UNDATED = (EPOCH,) * 4
"""Times of what has none on the volume: the hives, which are made for the layer."""
FOLDER_OF_HIVES = Metadata(FILE_ATTRIBUTE_DIRECTORY, *UNDATED)
HIVE = Metadata(0x20, *UNDATED)
NT_PREFIX = "\\??\\"
NT_SHARE = re.compile(r"UNC\\", re.IGNORECASE)


class LayerTar:
    """Writes one layer to ``file``; ``digest`` and ``size`` are of what was written so far.

    ``old`` and ``new`` are the volume as it was and as it is. No time is later than
    ``latest``, in nanoseconds since 1970. Raises Unsupported for what no layer can hold.
    """

    def __init__(self, file: BinaryIO, old: Volume, new: Volume, *, latest: int | None) -> None:
        self._file = file
        self._old, self._new = old, new
        self._latest = None if latest is None else EPOCH + latest // 100
        self._hash = hashlib.sha256()
        self.size = 0

    @property
    def digest(self) -> str:
        return "sha256:" + self._hash.hexdigest()

    def write(self, plan: Plan, deltas: Iterable[tuple[str, bytes]]) -> bool:
        """Write all of the layer, with ``deltas`` in the order that they come in. Whether it is empty."""
        is_empty = plan.is_empty
        self._root(plan.root)
        for path, step in plan.steps.items():
            self._step(path, step)
        self._entry(HIVES, tar.DIRECTORY, FOLDER_OF_HIVES)
        for name, hive in deltas:
            is_empty = False
            self._entry(f"{HIVES}/{name}", tar.FILE, HIVE, size=len(hive))
            self._put(hive + padding(len(hive)))
        self._put(END)
        return is_empty

    # ---- entries ------------------------------------------------------------

    def _root(self, root: Whole | Parent) -> None:
        # Its streams have no name in a layer: "Files:stream" is in no area.
        volume = self._new if isinstance(root, Whole) else self._old
        self._entry(FILES, tar.DIRECTORY, details(volume, ROOT)[0])

    def _step(self, path: str, step: Step) -> None:
        name = f"{FILES}/{path}"
        if not isinstance(step, Gone):
            checked(name, path.rpartition("/")[2])
        match step:
            case Gone():
                self._entry(name, tar.FILE)
            case Link(target):
                self._entry(name, tar.HARD_LINK, link=f"{FILES}/{target}")
            case Parent(number):
                self._node(name, self._old, number)
            case Whole(number):
                self._node(name, self._new, number)

    def _node(self, name: str, volume: Volume, number: int) -> None:
        metadata, _ = details(volume, number)
        try:
            if metadata.attributes & FILE_ATTRIBUTE_REPARSE_POINT:
                self._link(name, volume, number, metadata)
            elif metadata.attributes & FILE_ATTRIBUTE_DIRECTORY:
                self._entry(name, tar.DIRECTORY, metadata)
            else:
                self._content(name, volume, number, None, metadata)
            for stream, _ in sorted(volume.streams(number)):
                checked(f"{name}:{stream}", stream)
                self._content(f"{name}:{stream}", volume, number, stream)
        except VolumeError as error:
            if error.errno != errno.EOPNOTSUPP:
                raise
            raise Unsupported(
                f"{told(name)} is encrypted, so only Windows can read it",
                hint="Decrypt it in the container (cipher /d), or delete it, then try again.",
            ) from error

    def _link(self, name: str, volume: Volume, number: int, metadata: Metadata) -> None:
        data = volume.reparse(number)
        found = link_of(data)
        if found is None:
            tag = int.from_bytes(data[:4], "little")
            raise Unsupported(
                f"{told(name)} is neither a file nor a folder nor a link (its reparse tag is {tag:#010x}),"
                " which no layer can hold",
                hint="Delete it in the container, then try again.",
            )
        target, junction = found
        self._entry(name, tar.SYMBOLIC_LINK, metadata, link=printed(target), junction=junction)

    def _content(
        self, name: str, volume: Volume, number: int, stream: str | None, metadata: Metadata | None = None
    ) -> None:
        with opened(volume, number, stream) as size:
            self._entry(name, tar.FILE, metadata, size=size)
            for at in range(0, size, PIECE):
                self._put(volume.read_content(at, min(PIECE, size - at)))
        self._put(padding(size))

    # ---- bytes ----------------------------------------------------------------

    def _entry(
        self,
        name: str,
        kind: bytes,
        metadata: Metadata | None = None,
        *,
        size: int = 0,
        link: str = "",
        junction: bool = False,
    ) -> None:
        clamped = None if metadata is None else self._clamped(metadata)
        header = layer_header(name, kind, size, clamped, link=link, junction=junction)
        try:
            entry_of(next(iter(tar.TarReader(io.BytesIO(header).read))), io.BytesIO())
        except Malformed as error:
            raise unfit(name, error) from error
        self._put(header)

    def _clamped(self, metadata: Metadata) -> Metadata:
        if self._latest is None:
            return metadata
        return replace(
            metadata,
            created=min(metadata.created, self._latest),
            modified=min(metadata.modified, self._latest),
            changed=min(metadata.changed, self._latest),
            accessed=min(metadata.accessed, self._latest),
        )

    def _put(self, data: bytes) -> None:
        self._file.write(data)
        self._hash.update(data)
        self.size += len(data)


def checked(name: str, last: str) -> None:
    """Refuse an entry of which the last name would be taken for something else. Raises Unsupported."""
    try:
        check_component(last)
    except Malformed as error:
        raise unfit(name, error) from error


def unfit(name: str, error: Malformed) -> Unsupported:
    return Unsupported(
        f"{told(name)} cannot be in a layer: {error}",
        hint="Delete or rename it in the container, then try again.",
    )


def printed(target: str) -> str:
    """A link's target as a layer has it: one that shows no print name has the NT name of its target."""
    if not target.startswith(NT_PREFIX):
        return target
    name = target.removeprefix(NT_PREFIX)
    if NT_SHARE.match(name):
        return "\\\\" + NT_SHARE.sub("", name, count=1)
    return name if DRIVE.match(name) else f"\\\\?\\{name}"


def told(name: str) -> str:
    """An entry for an error's reader."""
    return shown(name.removeprefix(f"{FILES}/"))
