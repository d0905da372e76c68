"""Security descriptors put together field by field, to compare with ([MS-DTYP] 2.4)."""

from __future__ import annotations

import struct
import uuid

OWNER_DEFAULTED, GROUP_DEFAULTED, DACL_PRESENT, SACL_PRESENT = 0x1, 0x2, 0x4, 0x10
DACL_AUTO_REQUESTED, DACL_AUTO_INHERITED, DACL_PROTECTED = 0x100, 0x400, 0x1000
SACL_AUTO_REQUESTED, SACL_AUTO_INHERITED, SACL_PROTECTED = 0x200, 0x800, 0x2000
SELF_RELATIVE = 0x8000

ALLOWED, DENIED, AUDIT, ALLOWED_OBJECT, LABEL = 0x0, 0x1, 0x2, 0x5, 0x11
OBJECT_INHERIT, CONTAINER_INHERIT, INHERIT_ONLY, INHERITED = 0x1, 0x2, 0x8, 0x10

EVERYONE = "S-1-1-0"
CREATOR_OWNER = "S-1-3-0"
SYSTEM = "S-1-5-18"
ADMINISTRATORS = "S-1-5-32-544"
USERS = "S-1-5-32-545"
TRUSTED_INSTALLER = "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464"

ALL = 0x001F01FF
READ_AND_EXECUTE = 0x001200A9


def sid(text: str) -> bytes:
    revision, authority, *subs = (int(part) for part in text.removeprefix("S-").split("-"))
    return struct.pack(f"<BB6s{len(subs)}I", revision, len(subs), authority.to_bytes(6, "big"), *subs)


def ace(kind: int, flags: int, mask: int, who: str, *, object_type: str = "", inherited: str = "") -> bytes:
    body = struct.pack("<I", mask)
    if kind >= 5 and kind <= 8:
        body += struct.pack("<I", (1 if object_type else 0) | (2 if inherited else 0))
        body += b"".join(uuid.UUID(guid).bytes_le for guid in (object_type, inherited) if guid)
    body += sid(who)
    return struct.pack("<BBH", kind, flags, 4 + len(body)) + body


def acl(*aces: bytes, revision: int = 2) -> bytes:
    body = b"".join(aces)
    return struct.pack("<BBHHH", revision, 0, 8 + len(body), len(aces), 0) + body


def descriptor(
    owner: str,
    group: str,
    *,
    dacl: bytes | None = None,
    sacl: bytes | None = None,
    control: int = 0,
) -> bytes:
    """Self-relative: header, owner, group, SACL, DACL. An ACL of no bytes is present and NULL."""
    control |= SELF_RELATIVE
    control |= 0 if dacl is None else DACL_PRESENT
    control |= 0 if sacl is None else SACL_PRESENT
    offsets, body = [], b""
    for part in (sid(owner), sid(group), sacl, dacl):
        offsets.append(20 + len(body) if part else 0)
        body += part or b""
    return struct.pack("<BBHIIII", 1, 0, control, *offsets) + body
