"""Security descriptors as text: SDDL → self-relative.

Layers that docker made before it wrote ``MSWINDOWS.rawsd`` have them. Format:
[MS-DTYP] 2.5.1; Microsoft, "Security Descriptor String Format", "ACE Strings"
and "SID Strings".
"""

from __future__ import annotations

import re
import struct
import uuid
from dataclasses import dataclass
from typing import NoReturn

from linwin.layers.descriptor import DACL_PRESENT, LARGEST, SACL_PRESENT, SELF_RELATIVE
from linwin.layers.errors import Malformed

LONGEST = 256 * 1024
"""Characters; a descriptor of 64 KiB has fewer."""

ACL_REVISION, ACL_REVISION_DS = 2, 4

DACL_FLAGS = {"P": 0x1000, "AR": 0x0100, "AI": 0x0400}
SACL_FLAGS = {"P": 0x2000, "AR": 0x0200, "AI": 0x0800}
NO_DACL = "NO_ACCESS_CONTROL"
"""A DACL that is present and NULL: everyone may do everything."""

ACE_TYPES = {"A": 0x00, "D": 0x01, "AU": 0x02, "OA": 0x05, "OD": 0x06, "OU": 0x07, "ML": 0x11}
ACE_TYPES |= {"SP": 0x13, "TL": 0x14}
OBJECT_TYPES = frozenset(["OA", "OD", "OU"])
REFUSED_TYPES = {
    "XA": "a conditional ACE (XA)",
    "XD": "a conditional ACE (XD)",
    "XU": "a conditional ACE (XU)",
    "ZA": "a conditional ACE (ZA)",
    "FL": "an access filter ACE (FL)",
    "RA": "a resource attribute ACE (RA)",
    "AL": "an alarm ACE (AL)",
    "OL": "an alarm ACE (OL)",
}
ACE_FLAGS = {"OI": 0x01, "CI": 0x02, "NP": 0x04, "IO": 0x08, "ID": 0x10, "SA": 0x40, "FA": 0x80}

RIGHTS = {
    # generic, standard and special
    "GA": 0x10000000,
    "GX": 0x20000000,
    "GW": 0x40000000,
    "GR": 0x80000000,
    "MA": 0x02000000,
    "AS": 0x01000000,
    "SY": 0x00100000,
    "WO": 0x00080000,
    "WD": 0x00040000,
    "RC": 0x00020000,
    "SD": 0x00010000,
    # a directory object's, by which the single bits of a file's are written too
    "CC": 0x001,
    "DC": 0x002,
    "LC": 0x004,
    "SW": 0x008,
    "RP": 0x010,
    "WP": 0x020,
    "DT": 0x040,
    "LO": 0x080,
    "CR": 0x100,
    # files
    "FA": 0x001F01FF,
    "FR": 0x00120089,
    "FW": 0x00120116,
    "FX": 0x001200A0,
    # registry keys
    "KA": 0x000F003F,
    "KR": 0x00020019,
    "KW": 0x00020006,
    "KX": 0x00020019,
    # mandatory labels
    "NW": 0x1,
    "NR": 0x2,
    "NX": 0x4,
}

BUILTIN = {
    "BA": 544, "BU": 545, "BG": 546, "PU": 547, "AO": 548, "SO": 549, "PO": 550, "BO": 551, "RE": 552,
    "RU": 554, "RD": 555, "NO": 556, "MU": 558, "LU": 559, "IS": 568, "CY": 569, "ER": 573, "CD": 574,
    "RA": 575, "ES": 576, "MS": 577, "HA": 578, "AA": 579, "RM": 580,
}  # fmt: skip
ACCOUNTS = {
    "WD": "S-1-1-0",
    "CO": "S-1-3-0",
    "CG": "S-1-3-1",
    "OW": "S-1-3-4",
    "NU": "S-1-5-2",
    "IU": "S-1-5-4",
    "SU": "S-1-5-6",
    "AN": "S-1-5-7",
    "ED": "S-1-5-9",
    "PS": "S-1-5-10",
    "AU": "S-1-5-11",
    "RC": "S-1-5-12",
    "SY": "S-1-5-18",
    "LS": "S-1-5-19",
    "NS": "S-1-5-20",
    "WR": "S-1-5-33",
    "UD": "S-1-5-84-0-0-0-0-0",
    "AC": "S-1-15-2-1",
    "LW": "S-1-16-4096",
    "ME": "S-1-16-8192",
    "MP": "S-1-16-8448",
    "HI": "S-1-16-12288",
    "SI": "S-1-16-16384",
    "AS": "S-1-18-1",
    "SS": "S-1-18-2",
} | {alias: f"S-1-5-32-{number}" for alias, number in BUILTIN.items()}
RELATIVE_ACCOUNTS = frozenset(
    ["LA", "LG", "AP", "CA", "CN", "DA", "DC", "DD", "DG", "DU", "EA", "EK", "KA", "PA", "RO", "RS", "SA"]
)
"""Those whose SID begins with a machine's or a domain's own, which SDDL does not tell."""

SID = re.compile(r"S-1-(0x[0-9A-Fa-f]{12}|[0-9]{1,15})((?:-[0-9]{1,10}){1,15})(?![-0-9])")
NUMBER = re.compile(r"0[xX][0-9A-Fa-f]{1,8}|[0-9]{1,11}")
GUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


@dataclass(slots=True)
class Acl:
    """``data`` is empty for a DACL that is NULL."""

    control: int
    data: bytes


def descriptor_of_sddl(text: str) -> bytes:
    """The self-relative descriptor that SDDL describes, with owner, group, SACL, DACL in this order.

    Raises Malformed, also for what SDDL can say and a layer's volume cannot be given:
    accounts of a machine or domain, and conditional and resource attribute ACEs.
    """
    if len(text) > LONGEST:
        wrong("it is too long")
    parser = Parser(text)
    owner = group = b""
    dacl: Acl | None = None
    sacl: Acl | None = None
    seen: set[str] = set()
    while not parser.ended:
        part = parser.take(2)
        if part not in ("O:", "G:", "D:", "S:") or part in seen:
            wrong(f"{part!r} is out of place")
        seen.add(part)
        if part == "O:":
            owner = parser.sid()
        elif part == "G:":
            group = parser.sid()
        elif part == "D:":
            dacl = parser.acl(DACL_FLAGS)
        else:
            sacl = parser.acl(SACL_FLAGS)
    if not owner or not group:
        wrong("it has no owner" if not owner else "it has no group")
    return assembled(owner, group, sacl, dacl)


def assembled(owner: bytes, group: bytes, sacl: Acl | None, dacl: Acl | None) -> bytes:
    control = SELF_RELATIVE
    if sacl is not None:
        control |= SACL_PRESENT | sacl.control
    if dacl is not None:
        control |= DACL_PRESENT | dacl.control
    offsets, body = [], b""
    for part in (owner, group, sacl.data if sacl else b"", dacl.data if dacl else b""):
        offsets.append(20 + len(body) if part else 0)
        body += part
    if 20 + len(body) > LARGEST:
        wrong("it describes more than 64 KiB")
    return struct.pack("<BBHIIII", 1, 0, control, *offsets) + body


class Parser:
    """Reads an SDDL string from its beginning to its end."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    @property
    def ended(self) -> bool:
        return self._at >= len(self._text)

    def take(self, length: int) -> str:
        taken = self._text[self._at : self._at + length]
        self._at += length
        return taken

    def sid(self) -> bytes:
        if found := SID.match(self._text, self._at):
            self._at = found.end()
            return sid(found)
        return account(self.take(2))

    def acl(self, flags: dict[str, int]) -> Acl:
        if flags is DACL_FLAGS and self._text.startswith(NO_DACL, self._at):
            self._at += len(NO_DACL)
            return Acl(0, b"")
        control = 0
        while flag := next((flag for flag in flags if self._text.startswith(flag, self._at)), None):
            self._at += len(flag)
            control |= flags[flag]
        aces: list[bytes] = []
        revision = ACL_REVISION
        while self._text.startswith("(", self._at):
            is_object, data = self.ace()
            aces.append(data)
            revision = ACL_REVISION_DS if is_object else revision
        size = 8 + sum(map(len, aces))
        if size > LARGEST:
            wrong("it describes more than 64 KiB")
        return Acl(control, struct.pack("<BBHHH", revision, 0, size, len(aces), 0) + b"".join(aces))

    def ace(self) -> tuple[bool, bytes]:
        end = self._text.find(")", self._at)
        if end < 0:
            wrong("an ACE does not end")
        fields = self._text[self._at + 1 : end].split(";")
        kind = fields[0]
        if kind in REFUSED_TYPES:
            wrong(f"{REFUSED_TYPES[kind]} cannot be written to a volume here")
        if kind not in ACE_TYPES:
            wrong(f"{kind[:20]!r} is no type of an ACE")
        if len(fields) != 6:
            wrong(f"an ACE has {len(fields)} fields, not 6")
        self._at = end + 1
        flags = words(fields[1], ACE_FLAGS, "flag of an ACE")
        guids = object_guids(fields[3], fields[4], kind)
        body = struct.pack("<I", rights(fields[2])) + guids + whole_sid(fields[5])
        return bool(guids), struct.pack("<BBH", ACE_TYPES[kind], flags, 4 + len(body)) + body


def words(text: str, meanings: dict[str, int], what: str) -> int:
    """Two letters a word, all of them or-ed together."""
    value = 0
    for at in range(0, len(text), 2):
        word = text[at : at + 2]
        if word not in meanings:
            wrong(f"{word!r} is no {what}")
        value |= meanings[word]
    return value


def rights(text: str) -> int:
    """An access mask: words, or a number in C's notation."""
    if not NUMBER.fullmatch(text):
        return words(text, RIGHTS, "right")
    base = 16 if text[:2] in ("0x", "0X") else 8 if text.startswith("0") else 10
    try:
        value = int(text, base)
    except ValueError:
        wrong(f"{text!r} is no right")
    if value > 0xFFFFFFFF:
        wrong(f"the right {text} is not 32 bits")
    return value


def object_guids(object_type: str, inherited: str, kind: str) -> bytes:
    """What an object ACE has before its SID: which GUIDs follow, and these."""
    if kind not in OBJECT_TYPES:
        if object_type or inherited:
            wrong(f"an ACE of type {kind} has a GUID")
        return b""
    data = struct.pack("<I", (1 if object_type else 0) | (2 if inherited else 0))
    for text in (object_type, inherited):
        if text and not GUID.fullmatch(text):
            wrong(f"{text[:40]!r} is not a GUID")
        data += uuid.UUID(text).bytes_le if text else b""
    return data


def whole_sid(text: str) -> bytes:
    found = SID.fullmatch(text)
    return sid(found) if found else account(text)


def account(alias: str) -> bytes:
    if alias in RELATIVE_ACCOUNTS:
        wrong(f"the account {alias} belongs to a machine or domain that a layer does not tell")
    if alias not in ACCOUNTS:
        wrong(f"{alias[:40]!r} is no account")
    found = SID.fullmatch(ACCOUNTS[alias])
    assert found is not None
    return sid(found)


def sid(found: re.Match[str]) -> bytes:
    authority, rest = (
        int(found[1], 16 if "x" in found[1] else 10),
        [int(part) for part in found[2].split("-")[1:]],
    )
    if authority >= 1 << 48 or any(part >= 1 << 32 for part in rest):
        wrong(f"{found[0][:80]} is not a SID")
    return struct.pack(f"<BB6s{len(rest)}I", 1, len(rest), authority.to_bytes(6, "big"), *rest)


def wrong(sentence: str) -> NoReturn:
    raise Malformed(f"its security descriptor is not valid SDDL: {sentence}")
