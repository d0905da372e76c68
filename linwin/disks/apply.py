"""Layer entries → an NTFS volume that has the lower layers' files already."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from dataclasses import replace

from linwin.disks.volume import ROOT, Node, Volume, VolumeError
from linwin.layers import (
    EPOCH,
    FILE_ATTRIBUTE_DIRECTORY,
    AlternateStream,
    Content,
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

PIECE = 1 << 20
"""Bytes that are read of a file before it is created, so small files take one call."""


class Refused(Exception):
    """An entry cannot be applied. The message completes ``layer X, entry Y: …``."""


class Applier:
    """Applies the entries of one layer, in the archive's order.

    ``hives`` receives the registry deltas. Raises Refused for an entry that the
    volume cannot have, and what :class:`Volume` raises.
    """

    def __init__(self, volume: Volume, hives: Callable[[HiveDelta], None]) -> None:
        self._volume = volume
        self._hives = hives
        self._directories = {"": ROOT}
        # Whiteouts remove only what lower layers brought, wherever in the archive they stand.
        self._brought = MftSet()
        self._linked: set[tuple[int, str]] = set()

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
        if entry.size > self._volume.size:
            raise Refused(f"a file of {entry.size} bytes is larger than the whole volume")
        parent, name = self._place(entry.path, entry.metadata)
        head = beginning(entry.content, entry.size)
        number = self._replacing(
            parent,
            name,
            lambda: self._volume.create_file(parent, name, entry.metadata, head, entry.size),
        )
        self._rest(entry.content, len(head), entry.size)
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
        self._directories[entry.path] = number

    def _merge(self, parent: int, name: str, metadata: Metadata) -> int:
        existing = self._volume.lookup(parent, name)
        if existing is not None and existing.is_directory and not existing.is_reparse_point:
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
        target = self._find(entry.target)
        if target is None or target.is_directory:
            raise Refused(f'there is no file "{entry.target}" to link to')
        parent, name = self._place(entry.path, None)
        existing = self._volume.lookup(parent, name)
        if existing is None or existing.number != target.number:
            try:
                self._replacing(parent, name, lambda: self._volume.link(target.number, parent, name))
            except VolumeError as error:
                if error.errno != errno.EMLINK:
                    raise
                raise Refused("a file cannot have more than 1024 names") from error
        if target.number not in self._brought:
            self._linked.add((parent, folded(name)))

    def _stream(self, entry: AlternateStream) -> None:
        node = self._find(entry.path)
        if node is None:
            raise Refused(f'there is no file "{entry.path}" for its stream')
        if entry.size > self._volume.size:
            raise Refused(f"a stream of {entry.size} bytes is larger than the whole volume")
        head = beginning(entry.content, entry.size)
        self._volume.create_stream(node.number, entry.stream, head, entry.size)
        self._rest(entry.content, len(head), entry.size)

    def _whiteout(self, entry: Whiteout) -> None:
        folder, _, name = entry.path.rpartition("/")
        parent = self._find(folder)
        if parent is not None and is_folder(parent):
            node = self._volume.lookup(parent.number, name)
            if node is not None:
                self._remove_lower(parent.number, name, node)

    def _opaque_whiteout(self, entry: OpaqueWhiteout) -> None:
        node = self._find(entry.path)
        if node is not None and is_folder(node):
            for name, child in self._volume.list(node.number):
                self._remove_lower(node.number, name, child)

    # ---- finding places ---------------------------------------------------

    def _place(self, path: str, metadata: Metadata | None) -> tuple[int, str]:
        """The directory that ``path`` lies in, created where it is missing, and its name there."""
        parent, _, name = path.rpartition("/")
        number = self._directories.get(parent)
        return self._open(parent, metadata) if number is None else number, name

    def _open(self, path: str, metadata: Metadata | None) -> int:
        number = ROOT
        at = ""
        for name in path.split("/"):
            at = f"{at}/{name}" if at else name
            number = self._directories.get(at) or self._enter(number, name, metadata)
            self._directories[at] = number
        return number

    def _enter(self, parent: int, name: str, metadata: Metadata | None) -> int:
        node = self._volume.lookup(parent, name)
        if node is None:
            number = self._volume.create_directory(parent, name, implied(metadata))
            self._brought.add(number)
            return number
        if not is_folder(node):
            raise Refused(f'"{name}" on its path is not a folder')
        return node.number

    def _find(self, path: str) -> Node | None:
        """What ``path`` stands for, without following reparse points."""
        node: Node | None = Node(ROOT, is_directory=True)
        for name in path.split("/") if path else ():
            if node is None or not is_folder(node):
                return None
            node = self._volume.lookup(node.number, name)
        return node

    # ---- writing and removing ---------------------------------------------

    def _replacing(self, parent: int, name: str, create: Callable[[], int]) -> int:
        try:
            return create()
        except VolumeError as error:
            if error.errno != errno.EEXIST:
                raise
        self._remove(parent, name)
        return create()

    def _rest(self, content: Content, written: int, size: int) -> None:
        if written == size:
            return
        while data := content.read(PIECE):
            self._volume.append(data)
        self._volume.finish()

    def _remove(self, parent: int, name: str) -> None:
        """Remove a name with all that is in it."""
        node = self._volume.lookup(parent, name)
        if node is not None:
            self._remove_node(parent, name, node, lambda *_: False)

    def _remove_lower(self, parent: int, name: str, node: Node) -> None:
        """Remove of a name and what is in it all that this layer did not bring."""
        self._remove_node(parent, name, node, self._is_brought)

    def _is_brought(self, parent: int, name: str, node: Node) -> bool:
        return node.number in self._brought or (parent, folded(name)) in self._linked

    def _remove_node(
        self, parent: int, name: str, node: Node, keep: Callable[[int, str, Node], bool]
    ) -> None:
        # Not recursive: how deep folders lie in each other is the layer's choice.
        pending = [(parent, name, node, False)]
        while pending:
            parent, name, node, emptied = pending.pop()
            if is_folder(node) and not emptied:
                pending.append((parent, name, node, True))
                pending += ((node.number, *child, False) for child in self._volume.list(node.number))
            elif not keep(parent, name, node) and not (emptied and self._volume.list(node.number)):
                self._volume.remove(parent, node.number, name)
        # Numbers are used again: forget every directory that may be gone.
        self._directories = {"": ROOT}


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


def folded(name: str) -> str:
    """A name by which this layer's own are told apart, letter by letter as $UpCase does."""
    return "".join(letter.upper() if len(letter.upper()) == 1 else letter for letter in name)


def is_folder(node: Node) -> bool:
    """Whether names can lie in it: links to folders are not followed."""
    return node.is_directory and not node.is_reparse_point


def implied(metadata: Metadata | None) -> Metadata:
    """What a parent that the layer does not mention gets: its first child's times and no more."""
    if metadata is None:
        now = EPOCH + time.time_ns() // 100
        return Metadata(FILE_ATTRIBUTE_DIRECTORY, now, now, now, now)
    return replace(metadata, attributes=FILE_ATTRIBUTE_DIRECTORY, security=None, extended=())


def beginning(content: Content, size: int) -> bytes:
    """The first bytes of a content: all, or a piece."""
    wanted = min(size, PIECE)
    data = content.read(wanted) if wanted else b""
    while len(data) < wanted:
        data += content.read(wanted - len(data))
    return data
