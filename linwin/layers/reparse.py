"""Reparse points: a link's target → the REPARSE_DATA_BUFFER that NTFS stores.

Format: [MS-FSCC] 2.1.2.4 (symbolic link) and 2.1.2.5 (mount point).
"""

from __future__ import annotations

import re
import struct

from linwin.layers.errors import Malformed

IO_REPARSE_TAG_MOUNT_POINT = 0xA0000003
IO_REPARSE_TAG_SYMLINK = 0xA000000C
SYMLINK_FLAG_RELATIVE = 1
LARGEST = 16 * 1024
"""MAXIMUM_REPARSE_DATA_BUFFER_SIZE."""

DRIVE = re.compile(r"[A-Za-z]:")


def substitute_name(target: str) -> tuple[str, bool]:
    """The NT name of a target, and whether it is relative to the link."""
    if target.startswith("\\\\?\\"):
        return "\\??\\" + target[4:], False
    if target.startswith("\\\\"):
        return "\\??\\UNC\\" + target[2:], False
    if DRIVE.match(target):
        return "\\??\\" + target, False
    return target, True


def link_data(target: str, *, junction: bool) -> bytes:
    """The reparse data of a symbolic link or junction to ``target``. Raises Malformed.

    Windows' tools write the print name as it is; those of other systems write slashes.
    """
    if not target or "\0" in target:
        raise Malformed("the link has no valid target")
    printed = target.replace("/", "\\")
    substitute, relative = substitute_name(printed)
    if junction and relative:
        raise Malformed("a junction needs an absolute target")
    first = substitute.encode("utf-16-le", "surrogatepass")
    second = printed.encode("utf-16-le", "surrogatepass")
    if len(first) + len(second) > LARGEST - 64:
        raise Malformed("the link's target is too long")
    if junction:
        # Mount points end their names in a NUL that the lengths do not count.
        names = struct.pack("<HHHH", 0, len(first), len(first) + 2, len(second))
        body = names + first + b"\0\0" + second + b"\0\0"
        tag = IO_REPARSE_TAG_MOUNT_POINT
    else:
        names = struct.pack("<HHHH", 0, len(first), len(first), len(second))
        body = names + struct.pack("<I", SYMLINK_FLAG_RELATIVE if relative else 0) + first + second
        tag = IO_REPARSE_TAG_SYMLINK
    return struct.pack("<IHH", tag, len(body), 0) + body


def link_of(data: bytes) -> tuple[str, bool] | None:
    """The target that a REPARSE_DATA_BUFFER shows its users, and whether it is a junction's.

    None for a reparse point of another kind, or one whose lengths do not hold.
    """
    if len(data) < 16:
        return None
    tag, _, _, substitute_at, substitute_length, print_at, print_length = struct.unpack_from("<IHHHHHH", data)
    if tag not in (IO_REPARSE_TAG_MOUNT_POINT, IO_REPARSE_TAG_SYMLINK):
        return None
    junction = tag == IO_REPARSE_TAG_MOUNT_POINT
    names = data[16 if junction else 20 :]
    for at, length in ((print_at, print_length), (substitute_at, substitute_length)):
        if length and length % 2 == 0 and at + length <= len(names):
            return names[at : at + length].decode("utf-16-le", "surrogatepass"), junction
    return None
