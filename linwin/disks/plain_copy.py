"""An archive that a client sent → the same as a plain tar of canonical names, for a guest's agent to unpack.

An agent so meets no other names than ``folder/file``, no compression and no
damage, and what is refused is refused before a byte of it reaches the guest.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from linwin.disks.content import PIECE
from linwin.errors import Unsupported
from linwin.layers import (
    EPOCH,
    AlternateStream,
    Directory,
    File,
    HardLink,
    Metadata,
    ReparsePoint,
    quoted,
    tar,
)
from linwin.layers.copied import JUNCTION, Copied, read_copy
from linwin.layers.encode import END, member_header, padding
from linwin.layers.reparse import link_of
from linwin.model.files import shown_link

NO_METADATA = Metadata(0, EPOCH, EPOCH, EPOCH, EPOCH)
"""A hard link's: what it links to has its own."""


def write_plain(archive: Path, output: Path, *, limit: int) -> None:
    """Raises what :func:`read_copy` does, OSError, and Unsupported for what an agent cannot write."""
    with output.open("wb") as file:
        for entry in read_copy(archive, (), limit=limit):
            write_entry(file, entry)
        file.write(END)


def write_entry(file: BinaryIO, entry: Copied) -> None:
    match entry:
        case Directory(path, metadata):
            file.write(member_header(path + "/", tar.DIRECTORY, 0, metadata))
        case File(path, metadata, size, content):
            file.write(member_header(path, tar.FILE, size, metadata))
            while data := content.read(PIECE):
                file.write(data)
            file.write(padding(size))
        case HardLink(path, target):
            file.write(member_header(path, tar.HARD_LINK, 0, NO_METADATA, link=target))
        case ReparsePoint(path, metadata, data):
            found = link_of(data)
            assert found is not None, "read_copy made it of a target"
            records = [(JUNCTION, "1")] if found[1] else []
            link = shown_link(found[0])
            file.write(member_header(path, tar.SYMBOLIC_LINK, 0, metadata, link=link, records=records))
        case AlternateStream(path, stream):
            name = quoted(f"{path}:{stream}")
            raise Unsupported(
                f"the alternate stream {name} cannot be written while the container runs",
                hint="stop the container first: its disk takes everything then",
            )
