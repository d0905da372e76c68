"""What a step of a build copies → one tar that is unpacked at the root of C:.

The same things give the same bytes. Form: as :mod:`linwin.layers.encode` writes it and
:mod:`linwin.layers.copied` reads it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from linwin.errors import Internal, InvalidRequest, NotFound
from linwin.layers import EPOCH, FILE_ATTRIBUTE_DIRECTORY, Metadata, quoted, tar
from linwin.layers.copied import FILE_ATTRIBUTE_ARCHIVE
from linwin.layers.encode import END, member_header, padding
from linwin.model.build import FromArchive, FromContext, FromFile, FromText, NewFolder, Packed
from linwin.sources.archives import rename, section, unpack
from linwin.sources.contents import View
from linwin.sources.spool import no_space, room_in
from linwin.sources.tree import File, Folder, Link, find, usable, walk

PIECE = 1 << 20
TICKS_PER_NANOSECONDS = 100


class Packer:
    """Writes one tar of things of a context whose tree is ``root`` and whose bytes are ``view``."""

    def __init__(self, root: Folder, view: View, output: Path) -> None:
        self._root = root
        self._view = view
        self._room = room_in(output.parent)
        self._file = output.open("wb")

    def pack(self, items: Sequence[Packed]) -> None:
        """Raises InvalidRequest and NotFound for what cannot be copied, Unavailable for a full disk."""
        with self._file:
            for item in items:
                self._item(item)
            self._write(END)

    def _item(self, item: Packed) -> None:
        match item:
            case FromContext(source, target, unpack=False):
                self._from_context(source, target)
            case FromContext(source, target):
                self._unpacked(source, target)
            case FromArchive(archive, target):
                rename(archive, target, self._write)
            case FromFile(path, target):
                self._host_file(path, target)
            case FromText(content, target):
                data = content.encode("utf-8", "surrogatepass")
                self._header(target, tar.FILE, dated(EPOCH, FILE_ATTRIBUTE_ARCHIVE), len(data))
                self._write(data + padding(len(data)))
            case NewFolder(target):
                self._header(target + "/", tar.DIRECTORY, dated(EPOCH, FILE_ATTRIBUTE_DIRECTORY))

    def _from_context(self, source: str, target: str) -> None:
        node = found(self._root, source)
        if isinstance(node, File):
            self._context_file(node, target)
            return
        above = f"{target}/" if target else ""
        for path, below in walk(node, source):
            if isinstance(below, Folder):
                if below.time is not None:
                    self._header(
                        f"{above}{path}/", tar.DIRECTORY, dated(below.time, FILE_ATTRIBUTE_DIRECTORY)
                    )
                elif not below.children:
                    raise Internal(f"the folder {quoted(path)} of the build context has nothing in it")
            elif isinstance(below, File):
                self._context_file(below, above + path)
            else:
                self._link(below, f"{source}/{path}", above + path)

    def _context_file(self, node: File, target: str) -> None:
        self._header(target, tar.FILE, dated(node.time, FILE_ATTRIBUTE_ARCHIVE), node.size)
        end = node.offset + node.size
        for at in range(node.offset, end, PIECE):
            self._write(self._view[at : min(at + PIECE, end)])
        self._write(padding(node.size))

    def _link(self, node: Link, path: str, target: str) -> None:
        """Windows tells links to folders from links to files; what lies behind one says which it is."""
        folder = path.rpartition("/")[0]
        behind = node.target if node.target.startswith("/") else f"{folder}/{node.target}"
        attributes = FILE_ATTRIBUTE_DIRECTORY if isinstance(find(self._root, behind), Folder) else 0
        self._header(target, tar.SYMBOLIC_LINK, dated(node.time, attributes), link=node.target)

    def _unpacked(self, source: str, target: str) -> None:
        node = found(self._root, source)
        if not isinstance(node, File):
            raise InvalidRequest(f"{quoted(source)} in the build context is a folder, not an archive")
        file = section(self._view, node.offset, node.size)
        unpack(file, f"the archive {quoted(source)}", target, self._write, self._room)

    def _host_file(self, path: Path, target: str) -> None:
        with path.open("rb") as file:
            status = path.stat()
            time = max(0, EPOCH + status.st_mtime_ns // TICKS_PER_NANOSECONDS)
            self._header(target, tar.FILE, dated(time, FILE_ATTRIBUTE_ARCHIVE), status.st_size)
            left = status.st_size
            while left and (data := file.read(min(PIECE, left))):
                self._write(data)
                left -= len(data)
        if left:
            raise Internal(f"{path.name} became shorter while it was copied")
        self._write(padding(status.st_size))

    def _header(self, name: str, kind: bytes, metadata: Metadata, size: int = 0, link: str = "") -> None:
        self._write(member_header(name, kind, size, metadata, link=link))

    def _write(self, data: bytes) -> None:
        self._room -= len(data)
        if self._room < 0:
            raise no_space("the files to copy were packed")
        self._file.write(data)


def found(root: Folder, source: str) -> File | Folder:
    """What lies at a path that was selected before. Raises NotFound."""
    node = find(root, source)
    if node is None:
        raise NotFound(f"{quoted(source)} is not in the build context")
    node = usable(source, node)
    assert not isinstance(node, Link), "links are followed"
    return node


def dated(time: int, attributes: int) -> Metadata:
    return Metadata(attributes, time, time, time, time)
