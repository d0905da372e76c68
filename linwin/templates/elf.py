"""What a 64-bit ELF file needs to be loaded.

Format: System V ABI, "Program Header" and "Dynamic Section" (elf(5)).
"""

from __future__ import annotations

import struct

_PT_LOAD, _PT_DYNAMIC = 1, 2
_DT_NULL, _DT_NEEDED, _DT_STRTAB = 0, 1, 5


def is_elf(data: bytes) -> bool:
    """Whether the file starts as a little-endian 64-bit ELF file."""
    return data.startswith(b"\x7fELF\x02\x01")


def needed(data: bytes) -> tuple[str, ...]:
    """The shared libraries (DT_NEEDED) of an ELF file. Raises ValueError for a damaged one."""
    try:
        return _needed(data)
    except struct.error as error:
        raise ValueError("the ELF file is cut short") from error


def _needed(data: bytes) -> tuple[str, ...]:
    (table,) = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    headers = [struct.unpack_from("<I4xQQ8xQ", data, table + size * index) for index in range(count)]
    dynamic = next((header for header in headers if header[0] == _PT_DYNAMIC), None)
    if dynamic is None:
        return ()
    names: list[int] = []
    strings = None
    for at in range(dynamic[1], dynamic[1] + dynamic[3], 16):
        tag, value = struct.unpack_from("<qQ", data, at)
        if tag == _DT_NULL:
            break
        if tag == _DT_NEEDED:
            names.append(value)
        if tag == _DT_STRTAB:
            strings = value
    if not names:
        return ()
    offset = _file_offset(headers, strings)
    return tuple(_text(data, offset + name) for name in names)


def _file_offset(headers: list[tuple[int, ...]], address: int | None) -> int:
    for kind, offset, start, size in headers:
        if kind == _PT_LOAD and address is not None and start <= address < start + size:
            return offset + address - start
    raise ValueError("the ELF file's strings are in no segment")


def _text(data: bytes, at: int) -> str:
    end = data.find(b"\0", at)
    if end < 0:
        raise ValueError("a library's name does not end")
    return data[at:end].decode("ascii", "replace")
