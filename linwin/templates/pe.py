"""Wine's PE files: what they import, and how they shrink without losing their mark.

Debian ships Wine's Windows half with its debug information, five sixths of it
by size. Dropping that needs no toolchain: GNU ld writes debug sections last
and the COFF symbol table behind them, so a stripped file is a prefix of the
original with three header fields changed. The signature by which Wine knows
its own files lies in the DOS stub and is carried along untouched.

Format: Microsoft's "PE Format" (COFF header, optional header PE32+, section
table, import directory). Only 64-bit files are understood. Anything that does
not parse raises :class:`BadImage`; callers say which file it was.
"""

from __future__ import annotations

import struct
import sys
from array import array
from dataclasses import dataclass

SIGNATURE_OFFSET = 0x40
SIGNATURE_SIZE = 32
BUILTIN_SIGNATURE = b"Wine builtin DLL"
PLACEHOLDER_SIGNATURE = b"Wine placeholder DLL"

_COFF_SIZE = 20
_SECTION_SIZE = 40
_SYMBOL_SIZE = 18
_PE32_PLUS = 0x20B
_OPTIONAL_FIXED = 112
_CHECKSUM = 64
_DIRECTORY_IMPORT = 1
_LONGEST_NAME = 256


class BadImage(ValueError):
    """The bytes are not a well-formed 64-bit PE file."""


@dataclass(frozen=True, slots=True)
class _Section:
    """One row of the section table; ``raw`` and ``raw_size`` are the place in the file."""

    name: str
    address: int
    virtual_size: int
    raw: int
    raw_size: int


@dataclass(frozen=True, slots=True)
class _Headers:
    coff: int
    optional: int
    table: int
    sections: tuple[_Section, ...]


def is_builtin(image: bytes) -> bool:
    """Whether the file carries the signature of Wine's own modules."""
    return image.startswith(b"MZ") and image[SIGNATURE_OFFSET:].startswith(BUILTIN_SIGNATURE)


def is_placeholder(image: bytes) -> bool:
    """Whether the file only stands for a module of Wine that is not there."""
    return image.startswith(b"MZ") and image[SIGNATURE_OFFSET:].startswith(PLACEHOLDER_SIGNATURE)


def mark_builtin(image: bytes) -> bytes:
    """The same module with Wine's signature, so that Wine loads it from its own folder.

    The signature takes the place of the DOS stub's program, which nothing runs.
    """
    headers = _parse(image)
    if headers.coff - 4 < SIGNATURE_OFFSET + SIGNATURE_SIZE:
        raise BadImage("there is no room for Wine's signature in the DOS stub")
    out = bytearray(image)
    out[SIGNATURE_OFFSET : SIGNATURE_OFFSET + SIGNATURE_SIZE] = BUILTIN_SIGNATURE.ljust(SIGNATURE_SIZE, b"\0")
    return bytes(out)


def strip(image: bytes) -> bytes:
    """The same module without debug sections and symbols, signature kept, under a checksum of its own.

    The result depends on ``image`` alone. Raises BadImage when a debug section
    is not behind all others, since then it cannot be cut off.
    """
    headers = _parse(image)
    kept = [section for section in headers.sections if not section.name.startswith(".debug_")]
    if tuple(kept) != headers.sections[: len(kept)]:
        raise BadImage("a debug section lies before a section that is needed")
    end = max((section.raw + section.raw_size for section in kept), default=0)
    end = max(end, headers.table + _SECTION_SIZE * len(headers.sections))
    out = bytearray(image[:end])
    struct.pack_into("<H", out, headers.coff + 2, len(kept))
    struct.pack_into("<II", out, headers.coff + 8, 0, 0)
    first_gone = headers.table + _SECTION_SIZE * len(kept)
    gone = slice(first_gone, headers.table + _SECTION_SIZE * len(headers.sections))
    out[gone] = bytes(gone.stop - gone.start)
    top = max((section.address + section.virtual_size for section in kept), default=0)
    (alignment,) = struct.unpack_from("<I", out, headers.optional + 32)
    if alignment == 0:
        raise BadImage("the section alignment is zero")
    struct.pack_into("<I", out, headers.optional + 56, -(-top // alignment) * alignment)
    struct.pack_into("<I", out, headers.optional + _CHECKSUM, checksum(bytes(out)))
    return bytes(out)


def checksum(image: bytes) -> int:
    """What the field CheckSum should say: a sum of 16-bit words with its carries, and the file's size.

    Debian's modules say 0, all of them, and have no date either, which is how Wine tells
    modules apart: of two with the same it asks wineserver whether they are one file.
    """
    at = _parse(image).optional + _CHECKSUM
    words = array("H", image[:at] + bytes(4) + image[at + 4 :] + bytes(len(image) % 2))
    if sys.byteorder == "big":
        words.byteswap()
    total = sum(words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total + len(image)


def imports(image: bytes) -> frozenset[str]:
    """Lower-case file names of the modules that must load before this one can."""
    headers = _parse(image)
    address = _directory(image, headers, _DIRECTORY_IMPORT)
    if address == 0:
        return frozenset()
    names: set[str] = set()
    at = _file_offset(headers, address)
    while True:
        descriptor = _unpack("<IIIII", image, at)
        if descriptor[3] == 0:
            return frozenset(names)
        names.add(_text(image, _file_offset(headers, descriptor[3])).lower())
        at += 20


def _parse(image: bytes) -> _Headers:
    if not image.startswith(b"MZ"):
        raise BadImage("no MZ header")
    (pe,) = _unpack("<I", image, 0x3C)
    if image[pe : pe + 4] != b"PE\0\0":
        raise BadImage("no PE header")
    coff = pe + 4
    _, count, _, symbols, symbol_count, optional_size, _ = _unpack("<HHIIIHH", image, coff)
    optional = coff + _COFF_SIZE
    if optional_size < _OPTIONAL_FIXED or _unpack("<H", image, optional)[0] != _PE32_PLUS:
        raise BadImage("not a 64-bit image")
    table = optional + optional_size
    strings = symbols + symbol_count * _SYMBOL_SIZE if symbols else 0
    sections = tuple(_section(image, table + _SECTION_SIZE * index, strings) for index in range(count))
    return _Headers(coff, optional, table, sections)


def _section(image: bytes, at: int, strings: int) -> _Section:
    virtual_size, address, raw_size, raw = _unpack("<8xIIII", image, at)
    text = image[at : at + 8].rstrip(b"\0").decode("latin-1")
    if text.startswith("/") and text[1:].isdigit() and strings:
        text = _text(image, strings + int(text[1:]))
    if raw_size and raw + raw_size > len(image):
        raise BadImage(f"section {text} ends beyond the file")
    return _Section(text, address, virtual_size, raw, raw_size)


def _directory(image: bytes, headers: _Headers, index: int) -> int:
    (count,) = _unpack("<I", image, headers.optional + 108)
    if index >= count:
        return 0
    address: int = _unpack("<I", image, headers.optional + _OPTIONAL_FIXED + 8 * index)[0]
    return address


def _file_offset(headers: _Headers, address: int) -> int:
    for section in headers.sections:
        if section.address <= address < section.address + section.raw_size:
            return section.raw + address - section.address
    raise BadImage(f"address {address:#x} is in no section")


def _text(image: bytes, at: int) -> str:
    end = image.find(b"\0", at, at + _LONGEST_NAME)
    if end < 0:
        raise BadImage("a name does not end")
    return image[at:end].decode("latin-1")


def _unpack(layout: str, image: bytes, at: int) -> tuple[int, ...]:
    try:
        return struct.unpack_from(layout, image, at)
    except struct.error as error:
        raise BadImage("the file is cut short") from error
