"""Reads an archive that a client wants unpacked on a C: → entries, everything checked.

Such archives are made anywhere: names may have backslashes and a drive, and
nothing says that the files were ever Windows'. Those that linwin made of a
volume carry the records of a Windows layer, which are taken at their word.
"""

from __future__ import annotations

import base64
import bz2
import io
import lzma
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import BinaryIO

from linwin.layers import tar
from linwin.layers.decode import from_base64, metadata
from linwin.layers.entries import (
    FILE_ATTRIBUTE_DIRECTORY,
    AlternateStream,
    Content,
    Directory,
    File,
    HardLink,
    ReparsePoint,
)
from linwin.layers.errors import Malformed
from linwin.layers.names import (
    DEEPEST_PATH,
    LONGEST_NAME,
    LONGEST_PATH,
    VOLUME_FILES,
    check_component,
    split_stream,
    utf16_length,
)
from linwin.layers.reader import Reading
from linwin.layers.reparse import link_data
from linwin.layers.stream import CHUNK, LayerStream, decoder_of
from linwin.layers.tar import TarReader
from linwin.model.files import parse_entry

FILE_ATTRIBUTE_ARCHIVE = 0x20
"""What Windows gives a file that was just written."""
STREAM = "LINWIN.stream."
"""A record's key, with a stream's name behind it: its bytes in base64. Other tools ignore it."""
JUNCTION = "MSWINDOWS.mountpoint"
UNUSABLE = "nothing was copied; make the archive again"

Copied = Directory | File | ReparsePoint | HardLink | AlternateStream

BZIP2_MAGIC, XZ_MAGIC = b"BZh", b"\xfd7zXZ\x00"
XZ_MEMORY = 128 << 20


def read_copy(archive: Path, into: tuple[str, ...], *, limit: int) -> Generator[Copied, None, None]:
    """Yield the entries of ``archive`` as they are to lie on C:, below the folder ``into``.

    It may be plain or compressed with gzip, bzip2, xz or zstd, and expand to at
    most ``limit`` bytes. Raises InvalidRequest, naming the entry; what was done
    on the way is worth nothing then.
    """
    reading = Reading("the archive", UNUSABLE)
    stream = LayerStream(archive, limit=limit, progress=lambda _: None, decoder=choose)
    with reading.translated(), stream:
        members = reading.archive = TarReader(stream.read, home="on a Windows volume")
        for member in members:
            yield from entries_of(member, reading, into)


def entries_of(member: tar.Member, content: Content, into: tuple[str, ...]) -> Iterator[Copied]:
    """What a member stands for: nothing, an entry, or one with streams. Raises Malformed."""
    own = parts_of(member.name)
    if not own:
        if member.type != tar.DIRECTORY:
            raise Malformed("its name is no file's")
        return  # the folder itself, which is there
    *folders, last = own
    base, stream = split_stream(last)
    path = place((*into, *folders, base))
    if stream is None:
        yield node(member, path, content, into)
    elif member.type == tar.FILE:
        yield AlternateStream(path, stream, member.size, content)
    else:
        raise Malformed("a stream has to be a file")
    for name, data in streams_in(member.pax):
        yield AlternateStream(path, name, len(data), io.BytesIO(data))


def node(member: tar.Member, path: str, content: Content, into: tuple[str, ...]) -> Copied:
    match member.type:
        case tar.DIRECTORY:
            return Directory(path, metadata(member, FILE_ATTRIBUTE_DIRECTORY))
        case tar.HARD_LINK:
            target = parts_of(member.linkname)
            if not target:
                raise Malformed("its hard link's target is not a file")
            return HardLink(path, place((*into, *target)))
        case tar.SYMBOLIC_LINK:
            return symbolic_link(member, path)
        case _:
            return File(path, metadata(member, FILE_ATTRIBUTE_ARCHIVE), member.size, content)


def symbolic_link(member: tar.Member, path: str) -> ReparsePoint:
    """A link or junction. Its target is text: nothing follows it on the way."""
    junction = JUNCTION in member.pax
    target = member.linkname
    if junction and target.startswith("/"):
        target = f"C:{target}"
    link = ReparsePoint(
        path,
        metadata(member, FILE_ATTRIBUTE_DIRECTORY if junction else 0),
        link_data(target, junction=junction),
    )
    if junction and not link.is_directory:
        raise Malformed("a junction has to be a folder")
    return link


def parts_of(name: str) -> tuple[str, ...]:
    try:
        return parse_entry(name)
    except ValueError as error:
        raise Malformed(str(error)) from error


def place(parts: tuple[str, ...]) -> str:
    """A path on the volume whose names it can have. Raises Malformed."""
    for part in parts:
        check_component(part)
    if parts[0].upper() in VOLUME_FILES:
        raise Malformed(f"{parts[0]} belongs to the volume itself")
    path = "/".join(parts)
    if len(parts) > DEEPEST_PATH:
        raise Malformed("its path is too deep")
    if utf16_length(path) > LONGEST_PATH:
        raise Malformed("its path is too long")
    return path


def streams_in(pax: dict[str, str]) -> Iterator[tuple[str, bytes]]:
    for key, value in pax.items():
        if key.startswith(STREAM):
            name = key.removeprefix(STREAM)
            if not name or set(name) & set(":/\\\0") or utf16_length(name) > LONGEST_NAME:
                raise Malformed("the name of its stream is not valid")
            yield name, from_base64(value, "stream")


def stream_record(name: str, data: bytes) -> tuple[str, str]:
    """The pax record that keeps a stream."""
    return STREAM + name, base64.b64encode(data).decode()


# ---- compression --------------------------------------------------------------


def choose(blob: BinaryIO) -> Callable[[BinaryIO], Iterator[bytes]]:
    """docker takes four compressions for an archive; those that layers have not are here."""
    magic = blob.read(6)
    blob.seek(0)
    if magic.startswith(BZIP2_MAGIC):
        return lambda source: expand(source, bz2.BZ2Decompressor, OSError, "bzip2")
    if magic == XZ_MAGIC:
        return lambda source: expand(source, new_xz, lzma.LZMAError, "xz")
    return decoder_of(blob)


def new_xz() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY)


def expand(
    source: BinaryIO,
    new: Callable[[], bz2.BZ2Decompressor | lzma.LZMADecompressor],
    defect: type[Exception],
    name: str,
) -> Iterator[bytes]:
    """Decode one stream after the other, a bounded piece at a time. Raises Malformed."""
    data = source.read(CHUNK)
    while data:
        decoder = new()
        while not decoder.eof:
            if decoder.needs_input and not data and not (data := source.read(CHUNK)):
                raise Malformed(f"its {name} stream ends too early")
            try:
                yield decoder.decompress(data, CHUNK)
            except defect as error:
                raise Malformed(f"its {name} stream is damaged ({error})") from error
            data = b""
        data = decoder.unused_data or source.read(CHUNK)
