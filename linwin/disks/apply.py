"""Layer entries → an NTFS volume that has the lower layers' files already."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from linwin.disks.content import Refused, beginning, check_size, write_rest, write_stream
from linwin.disks.volume import ROOT, Node, Volume, VolumeError
from linwin.disks.waiting import WaitingFiles
from linwin.layers import (
    EPOCH,
    FILE_ATTRIBUTE_DIRECTORY,
    AlternateStream,
    Area,
    Directory,
    Entry,
    File,
    HardLink,
    HiveDelta,
    Metadata,
    OpaqueWhiteout,
    ReparsePoint,
    Whiteout,
)

__all__ = ["Applier", "Refused"]

LONGEST_KNOWN = 1 << 22
"""Characters of paths whose directories' numbers are remembered."""


class Applier:
    """Applies the entries of one layer, in the archive's order.

    ``hives`` receives the registry deltas. ``waiting`` are the files whose content
    has to come from UtilityVM afterwards. Raises Refused for an entry that the
    volume cannot have, and what :class:`Volume` raises. A folder that is there already
    loses what streams it has, since a layer brings all of a folder but what is in it;
    with ``keep_streams`` it does not.
    """

    def __init__(
        self, volume: Volume, hives: Callable[[HiveDelta], None], *, keep_streams: bool = False
    ) -> None:
        self._volume = volume
        self._keep_streams = keep_streams
        self._hives = hives
        self.waiting = WaitingFiles(volume)
        self._forget_directories()
        # Whiteouts remove only what lower layers brought, wherever in the archive they stand.
        self._brought = MftSet()
        # The names that this layer gave to lower layers' files, each as a hash: there may be millions.
        self._linked: set[int] = set()

    def apply(self, entry: Entry) -> None:
        match entry:
            case File():
                self._file(entry)
            case Directory():
                self._directory(entry)
            case HardLink():
                self._hard_link(entry)
            case ReparsePoint():
                self._reparse_point(entry)
            case AlternateStream():
                self._stream(entry)
            case Whiteout():
                self._whiteout(entry)
            case OpaqueWhiteout():
                self._opaque_whiteout(entry)
            case HiveDelta():
                self._hives(entry)

    # ---- entries ----------------------------------------------------------

    def _file(self, entry: File) -> None:
        check_size(self._volume, entry.size, "file")
        parent, name = self._place(entry.path, entry.metadata)
        head = beginning(entry.content, entry.size)
        number = self._replacing(
            parent,
            name,
            lambda: self._volume.create_file(parent, name, entry.metadata, head, entry.size),
        )
        write_rest(self._volume, entry.content, len(head), entry.size)
        self._brought.add(number)

    def _directory(self, entry: Directory) -> None:
        # The root of C: keeps its own metadata: "Files" is a name for it, not a folder in it.
        if not entry.path:
            return
        parent, name = self._place(entry.path, entry.metadata)
        try:
            number = self._volume.create_directory(parent, name, entry.metadata)
        except VolumeError as error:
            if error.errno != errno.EEXIST:
                raise
            number = self._merge(parent, name, entry.metadata)
        self._brought.add(number)
        self._remember_directory(entry.path, number)

    def _merge(self, parent: int, name: str, metadata: Metadata) -> int:
        existing = self._volume.lookup(parent, name)
        if existing is not None and existing.is_folder:
            if not self._keep_streams:
                self._volume.remove_streams(existing.number)
            self._volume.set_metadata(existing.number, metadata)
            return existing.number
        self._remove(parent, name)
        return self._volume.create_directory(parent, name, metadata)

    def _reparse_point(self, entry: ReparsePoint) -> None:
        parent, name = self._place(entry.path, entry.metadata)

        def create() -> int:
            if entry.is_directory:
                return self._volume.create_directory(parent, name, entry.metadata, entry.data)
            return self._volume.create_file(parent, name, entry.metadata, b"", 0, entry.data)

        self._brought.add(self._replacing(parent, name, create))

    def _hard_link(self, entry: HardLink) -> None:
        if entry.area is Area.UTILITY_VM:
            self._link_into_utility_vm(entry)
            return
        # The place first: making it may take the target away.
        parent, name = self._place(entry.path, None)
        target = self._find(entry.target)
        if target is None or target.is_directory:
            raise no_target(entry)
        self._link(target.number, parent, name, entry)

    def _link(self, target: int, parent: int, name: str, entry: HardLink) -> None:
        existing = self._volume.lookup(parent, name)
        if existing is None or existing.number != target:
            try:
                self._replacing(parent, name, lambda: self._volume.link(target, parent, name))
            except VolumeError as error:
                if error.errno == errno.EMLINK:
                    raise Refused("a file cannot have more than 1024 names") from error
                if error.errno == errno.ENOENT:
                    # It lay in the folder whose name the link takes.
                    raise no_target(entry) from error
                raise
            self.waiting.named(target, parent, name)
        if target not in self._brought:
            self._linked.add(self._hashed(parent, name))

    def _link_into_utility_vm(self, entry: HardLink) -> None:
        """Link to a file that stands empty until all of UtilityVM that was pulled has been searched."""
        parent, name = self._place(entry.path, None)
        if file := self.waiting.for_target(entry.target):
            self._link(file.number, parent, name, entry)
            return
        metadata = replace(implied(None), attributes=0)
        number = self._replacing(
            parent, name, lambda: self._volume.create_file(parent, name, metadata, b"", 0)
        )
        self._brought.add(number)
        self.waiting.add(number, entry)
        self.waiting.named(number, parent, name)

    def _stream(self, entry: AlternateStream) -> None:
        node = self._find(entry.path)
        if node is None:
            raise Refused(f'there is no file "{entry.path}" for its stream')
        write_stream(self._volume, node.number, entry.stream, entry.size, entry.content)

    def _whiteout(self, entry: Whiteout) -> None:
        folder, _, name = entry.path.rpartition("/")
        parent = self._folder(folder)
        node = None if parent is None else self._volume.lookup(parent, name)
        if parent is not None and node is not None:
            self._remove_lower(parent, name, node)

    def _opaque_whiteout(self, entry: OpaqueWhiteout) -> None:
        folder = self._folder(entry.path)
        if folder is not None:
            for name, child in self._volume.list(folder):
                self._remove_lower(folder, name, child)

    # ---- finding places ---------------------------------------------------

    def _place(self, path: str, metadata: Metadata | None) -> tuple[int, str]:
        """The directory that ``path`` lies in, created where it is missing, and its name there."""
        parent, _, name = path.rpartition("/")
        number = self._directories.get(parent)
        return self._open(parent, metadata) if number is None else number, name

    def _open(self, path: str, metadata: Metadata | None) -> int:
        known, missing = path, []
        while known not in self._directories:
            known, _, name = known.rpartition("/")
            missing.append(name)
        number = self._directories[known]
        for name in reversed(missing):
            number = self._enter(number, name, metadata)
        self._remember_directory(path, number)
        return number

    def _enter(self, parent: int, name: str, metadata: Metadata | None) -> int:
        node = self._volume.lookup(parent, name)
        if node is not None and not node.is_folder:
            # A lower layer's file gives way to the folder that this layer takes it for; a link may
            # lead anywhere, and what this layer brought itself is not to be lost.
            if node.is_reparse_point or self._is_brought(parent, name, node):
                raise Refused(f'"{name}" on its path is not a folder')
            self._remove(parent, name)
            node = None
        if node is None:
            number = self._volume.create_directory(parent, name, implied(metadata))
            self._brought.add(number)
            return number
        return node.number

    def _find(self, path: str) -> Node | None:
        """What a path stands for, without following reparse points."""
        if not path:
            return Node(ROOT, is_directory=True)
        parent, _, name = path.rpartition("/")
        folder = self._folder(parent)
        return None if folder is None else self._volume.lookup(folder, name)

    def _folder(self, path: str) -> int | None:
        """The directory that a path stands for, if it does for one."""
        number = self._directories.get(path)
        if number is None:
            node = self._volume.find(path)
            if node is None or not node.is_folder:
                return None
            number = node.number
            self._remember_directory(path, number)
        return number

    def _remember_directory(self, path: str, number: int) -> None:
        self._known_length += len(path)
        if self._known_length > LONGEST_KNOWN:
            self._forget_directories()
        self._directories[path] = number

    def _forget_directories(self) -> None:
        self._directories = {"": ROOT}
        self._known_length = 0

    # ---- writing and removing ---------------------------------------------

    def _replacing(self, parent: int, name: str, create: Callable[[], int]) -> int:
        try:
            return create()
        except VolumeError as error:
            if error.errno != errno.EEXIST:
                raise
        self._remove(parent, name)
        return create()

    def _remove(self, parent: int, name: str) -> None:
        """Remove a name with all that is in it."""
        node = self._volume.lookup(parent, name)
        if node is not None:
            self._remove_node(parent, name, node, lambda *_: False)

    def _remove_lower(self, parent: int, name: str, node: Node) -> None:
        """Remove of a name and what is in it all that this layer did not bring."""
        self._remove_node(parent, name, node, self._is_brought)

    def _is_brought(self, parent: int, name: str, node: Node) -> bool:
        return node.number in self._brought or self._hashed(parent, name) in self._linked

    def _hashed(self, parent: int, name: str) -> int:
        return hash((parent, self._volume.fold(name)))

    def _remove_node(
        self, parent: int, name: str, node: Node, keep: Callable[[int, str, Node], bool]
    ) -> None:
        # Not recursive: how deep folders lie in each other is the layer's choice.
        pending = [Removal(parent, name, node, self._children(node))]
        while pending:
            current = pending[-1]
            child = next(current.children, None)
            if child is not None:
                pending.append(Removal(current.node.number, *child, self._children(child[1])))
                continue
            pending.pop()
            if current.keeps_some or keep(current.parent, current.name, current.node):
                if pending:
                    pending[-1].keeps_some = True
            else:
                self._volume.remove(current.parent, current.node.number, current.name)
                self.waiting.unnamed(current.node.number, current.parent, current.name)
        if node.is_folder:
            # Numbers are used again: forget every directory that may be gone.
            self._forget_directories()

    def _children(self, node: Node) -> Iterator[tuple[str, Node]]:
        return self._volume.list(node.number) if node.is_folder else iter(())


@dataclass(slots=True)
class Removal:
    """A name on its way out, once its children are gone or it ``keeps_some``."""

    parent: int
    name: str
    node: Node
    children: Iterator[tuple[str, Node]]
    keeps_some: bool = False


class MftSet:
    """A set of MFT numbers, one bit each."""

    def __init__(self) -> None:
        self._bits = bytearray()

    def add(self, number: int) -> None:
        byte = number >> 3
        if byte >= len(self._bits):
            self._bits.extend(bytes(byte + 4096 - len(self._bits)))
        self._bits[byte] |= 1 << (number & 7)

    def __contains__(self, number: int) -> bool:
        byte = number >> 3
        return byte < len(self._bits) and bool(self._bits[byte] >> (number & 7) & 1)


def no_target(entry: HardLink) -> Refused:
    return Refused(f'there is no file "{entry.target}" to link to')


def implied(metadata: Metadata | None) -> Metadata:
    """What a parent that the layer does not mention gets: its first child's times and no more."""
    if metadata is None:
        now = EPOCH + time.time_ns() // 100
        return Metadata(FILE_ATTRIBUTE_DIRECTORY, now, now, now, now)
    return replace(metadata, attributes=FILE_ATTRIBUTE_DIRECTORY, security=None, extended=())
