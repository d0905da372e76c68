"""Security descriptors: what a volume may be given.

Format: [MS-DTYP] 2.4.2 (SID), 2.4.4 (ACE), 2.4.5 (ACL) and 2.4.6 (SECURITY_DESCRIPTOR),
self-relative. What Windows writes passes: no DACL, a DACL that is NULL, one
with no entries, labels, conditions and resource attributes in ACEs.
"""

from __future__ import annotations

import struct
from itertools import pairwise
from typing import NoReturn

from linwin.layers.errors import Malformed

LARGEST = 64 * 1024
HEADER = struct.Struct("<BBHIIII")
ACL = struct.Struct("<BBHHH")
ACE = struct.Struct("<BBHI")

REVISION = 1
DACL_PRESENT, SACL_PRESENT = 0x0004, 0x0010
SELF_RELATIVE = 0x8000
ACL_REVISIONS = (2, 4)
MOST_SUB_AUTHORITIES = 15

# ACE types by what lies between header and SID.
PLAIN_ACES = frozenset([0x00, 0x01, 0x02])
"""Access allowed, access denied, system audit: mask and SID, nothing more."""
ACES_WITH_DATA = frozenset([0x09, 0x0A, 0x0D, 0x11, 0x12, 0x13, 0x14, 0x15])
"""Callbacks with a condition, mandatory label, resource attribute, scoped policy, process trust
label, access filter: data may follow."""
OBJECT_ACES = frozenset([0x05, 0x06, 0x07, 0x0B, 0x0C, 0x0F])
"""For the objects of a directory service: up to two GUIDs lie before the SID."""


def check_descriptor(data: bytes) -> None:
    """Refuse what is not a whole, self-relative security descriptor. Raises Malformed.

    Owner and group have to be there, every part on a multiple of four bytes, and
    nothing behind the last part.
    """
    if len(data) < HEADER.size:
        wrong(f"{len(data)} bytes are too few")
    if len(data) > LARGEST:
        wrong("it is larger than 64 KiB")
    revision, _, control, owner, group, sacl, dacl = HEADER.unpack_from(data)
    if revision != REVISION:
        wrong(f"its revision is {revision}")
    if not control & SELF_RELATIVE:
        wrong("it is not self-relative")
    parts = set()
    for offset, what in ((owner, "owner"), (group, "group")):
        at = place(data, offset, what)
        parts.add((at, check_sid(data, at, len(data), f"its {what}")))
    for offset, present, what in ((sacl, SACL_PRESENT, "SACL"), (dacl, DACL_PRESENT, "DACL")):
        if offset:
            if not control & present:
                wrong(f"it has a {what} that its flags deny")
            at = place(data, offset, what)
            parts.add((at, check_acl(data, at, what)))
    check_layout(sorted(parts), len(data))


def check_layout(parts: list[tuple[int, int]], length: int) -> None:
    """Owner and group may be one; other parts lie apart, and the last one ends the descriptor."""
    if any(start < end for (_, end), (start, _) in pairwise(parts)):
        wrong("parts of it overlap")
    if parts[-1][1] != length:
        wrong(f"{length - parts[-1][1]} bytes follow its last part")


def place(data: bytes, offset: int, what: str) -> int:
    if offset == 0:
        wrong(f"it has no {what}")
    if offset < HEADER.size or offset >= len(data):
        wrong(f"its {what} lies outside it")
    if offset % 4:
        wrong(f"its {what} does not lie on a multiple of four bytes")
    return offset


def check_sid(data: bytes, at: int, end: int, what: str) -> int:
    """Check the SID at ``at``, which has to end before ``end``; return where it does."""
    if at + 8 > end:
        wrong(f"the SID of {what} is cut off")
    revision, count = data[at], data[at + 1]
    if revision != 1 or not 1 <= count <= MOST_SUB_AUTHORITIES:
        wrong(f"the SID of {what} is not a SID")
    after = at + 8 + 4 * count
    if after > end:
        wrong(f"the SID of {what} is cut off")
    return after


def check_acl(data: bytes, at: int, what: str) -> int:
    """Check an ACL and all its ACEs; return where it ends."""
    if at + ACL.size > len(data):
        wrong(f"its {what} is cut off")
    fields: tuple[int, ...] = ACL.unpack_from(data, at)
    revision, _, size, count, _ = fields
    if revision not in ACL_REVISIONS:
        wrong(f"the revision of its {what} is {revision}")
    end = at + size
    if size < ACL.size or size % 4 or end > len(data):
        wrong(f"its {what} has an impossible size of {size} bytes")
    ace = at + ACL.size
    for number in range(1, count + 1):
        ace = check_ace(data, ace, end, f"ACE {number} of its {what}")
    return end


def check_ace(data: bytes, at: int, end: int, what: str) -> int:
    if at + 8 > end:
        wrong(f"{what} is cut off")
    fields: tuple[int, ...] = ACE.unpack_from(data, at)
    kind, _, size, _ = fields
    after = at + size
    if size < 8 or size % 4 or after > end:
        wrong(f"{what} has an impossible size of {size} bytes")
    if kind in PLAIN_ACES:
        if check_sid(data, at + 8, after, what) != after:
            wrong(f"{what} has bytes behind its SID")
    elif kind in ACES_WITH_DATA:
        check_sid(data, at + 8, after, what)
    elif kind in OBJECT_ACES:
        check_sid(data, at + 12 + guids_length(data, at, after, what), after, what)
    else:
        wrong(f"{what} has the unknown type {kind}")
    return after


def guids_length(data: bytes, at: int, end: int, what: str) -> int:
    if at + 12 > end:
        wrong(f"{what} is cut off")
    (flags,) = struct.unpack_from("<I", data, at + 8)
    return 16 * (bool(flags & 1) + bool(flags & 2))


def wrong(sentence: str) -> NoReturn:
    raise Malformed(f"its security descriptor is not valid: {sentence}")
