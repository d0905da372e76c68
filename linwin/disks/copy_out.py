"""Files of a volume → a tar stream, with everything that Windows knows of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from linwin.disks.places import Place
from linwin.disks.volume import Node, Volume
from linwin.errors import Unsupported
from linwin.layers import Metadata, quoted, tar
from linwin.layers.copied import JUNCTION, stream_record
from linwin.layers.decode import EPOCH
from linwin.layers.encode import END, FILE_ATTRIBUTE_READONLY, member_header, padding
from linwin.layers.reparse import link_of
from linwin.model.files import FileStat, shown_link

PIECE = 1 << 20
LARGEST_STREAMS = 512 << 10
"""Bytes of one file's alternate streams that travel in its header."""


def stat(volume: Volume, place: Place) -> FileStat:
    """What docker tells of a file or folder."""
    metadata, size = volume.details(place.node.number)
    return FileStat(
        size,
        is_directory=place.node.is_folder,
        is_read_only=bool(metadata.attributes & FILE_ATTRIBUTE_READONLY),
        modified=(metadata.modified - EPOCH) * 100,
        link=shown_link(link(volume, place.node, "/".join(place.parts))[0])
        if place.node.is_reparse_point
        else "",
    )


class CopyOut:
    """Writes an archive of one file, or of a folder and all below it, to ``write``, in order of names."""

    def __init__(self, volume: Volume, write: Callable[[bytes], None]) -> None:
        self._volume = volume
        self._write = write

    def copy(self, place: Place, base: str) -> None:
        """The first member is called ``base``. Raises Unsupported for what cannot be read from here."""
        self._member(base, place.node)
        if place.node.is_folder:
            self._below(place.node, base)
        self._write(END)

    def _below(self, folder: Node, base: str) -> None:
        # Not recursive: how deep folders lie in each other is the container's choice.
        pending = [(base.rstrip("/"), self._children(folder))]
        while pending:
            prefix, children = pending[-1]
            child = next(children, None)
            if child is None:
                pending.pop()
                continue
            name, node = child
            path = f"{prefix}/{name}"
            self._member(path, node)
            if node.is_folder:
                pending.append((path, self._children(node)))

    def _children(self, folder: Node) -> Iterator[tuple[str, Node]]:
        # A listing does not say which names are links; a look-up does.
        for name, _ in sorted(self._volume.list(folder.number)):
            node = self._volume.lookup(folder.number, name)
            if node is not None:
                yield name, node

    def _member(self, name: str, node: Node) -> None:
        metadata, size = self._volume.details(node.number)
        records = self._streams(node, name)
        if node.is_reparse_point:
            target, junction = link(self._volume, node, name)
            if junction:
                records.append((JUNCTION, "1"))
            self._write(
                member_header(name, tar.SYMBOLIC_LINK, 0, metadata, link=shown_link(target), records=records)
            )
        elif node.is_directory:
            self._write(member_header(name.rstrip("/") + "/", tar.DIRECTORY, 0, metadata, records=records))
        else:
            self._file(name, node, metadata, size, records)

    def _file(
        self, name: str, node: Node, metadata: Metadata, size: int, records: list[tuple[str, str]]
    ) -> None:
        self._write(member_header(name, tar.FILE, size, metadata, records=records))
        with opened(self._volume, self._volume.open_content(node.number)) as length:
            for at in range(0, length, PIECE):
                self._write(self._volume.read_content(at, min(PIECE, length - at)))
        self._write(padding(size))

    def _streams(self, node: Node, name: str) -> list[tuple[str, str]]:
        records = []
        streams = self._volume.streams(node.number)
        total = sum(size for _, size in streams)
        if total > LARGEST_STREAMS:
            raise Unsupported(
                f"the alternate streams of {quoted(name)} are larger than {LARGEST_STREAMS >> 10} KiB",
                hint="Copy the file from within the container.",
            )
        for stream, _ in streams:
            with opened(self._volume, self._volume.open_stream(node.number, stream)) as length:
                records.append(stream_record(stream, self._volume.read_content(0, length)))
        return records


@contextmanager
def opened(volume: Volume, length: int) -> Iterator[int]:
    """The content that was just opened, closed in the end."""
    try:
        yield length
    finally:
        volume.close_content()


def link(volume: Volume, node: Node, name: str) -> tuple[str, bool]:
    """Where a link leads, and whether it is a junction. Raises Unsupported."""
    found = link_of(volume.reparse(node.number))
    if found is None:
        raise Unsupported(
            f"{quoted(name)} is neither a file nor a folder nor a link: only Windows can read it",
            hint="Copy it from within the container.",
        )
    return found
