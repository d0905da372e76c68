"""Who may do what with the files that a template gets beside Windows' own.

wimlib makes a file without a security descriptor everybody's; ntfssecaudit sets the right one on
the unmounted volume afterwards. Format: MS-DTYP 2.4.6.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping

_SYSTEM = bytes.fromhex("010100000000000512000000")
_ADMINISTRATORS = bytes.fromhex("01020000000000052000000020020000")
_USERS = bytes.fromhex("01020000000000052000000021020000")
_FILE_ALL, _FILE_READ_EXECUTE, _KEY_ALL = 0x1F01FF, 0x1200A9, 0xF003F
_TO_CHILDREN = 0x03  # OBJECT_INHERIT_ACE, CONTAINER_INHERIT_ACE
_SELF_RELATIVE, _DACL_PROTECTED, _DACL_PRESENT = 0x8000, 0x1000, 0x0004
_WORD = 4


def descriptor(*, folder: bool = False, secret: bool = False) -> bytes:
    """SYSTEM and administrators may do all; users may read and run, unless it is ``secret``.

    That of a ``folder`` is handed down to what is made in it.
    """
    flags = _TO_CHILDREN if folder else 0
    access = [(_SYSTEM, _FILE_ALL), (_ADMINISTRATORS, _FILE_ALL)]
    if not secret:
        access.append((_USERS, _FILE_READ_EXECUTE))
    return _descriptor(access, flags)


def key_descriptor() -> bytes:
    """Of a registry key: SYSTEM and administrators may do all, others nothing."""
    return _descriptor([(_SYSTEM, _KEY_ALL), (_ADMINISTRATORS, _KEY_ALL)], 0x02)


def restore_file(wanted: Mapping[str, bytes], folders: Iterable[str]) -> bytes:
    """What ``ntfssecaudit -s`` reads: descriptors by paths, as ``Windows/System32/drivers/a.sys``."""
    known = frozenset(folders)
    lines = []
    for path, content in sorted(wanted.items()):
        lines.append(f"{'Directory' if path in known else 'File'} /{path}")
        # Each word is written as it lies in memory, least significant byte first.
        words = [content[at : at + _WORD].hex() for at in range(0, len(content), _WORD)]
        lines += [
            f"        {at * _WORD:06x}  {' '.join(words[at : at + 4])}" for at in range(0, len(words), 4)
        ]
        lines.append("")
    return "\n".join(lines).encode()


def _descriptor(access: list[tuple[bytes, int]], flags: int) -> bytes:
    entries = b"".join(
        struct.pack("<BBHI", 0, flags, 8 + len(identity), rights) + identity for identity, rights in access
    )
    rules = struct.pack("<BBHHH", 2, 0, 8 + len(entries), len(access), 0) + entries
    owner = 20 + len(rules)
    control = _SELF_RELATIVE | _DACL_PROTECTED | _DACL_PRESENT
    head = struct.pack("<BBHIIII", 1, 0, control, owner, owner + len(_ADMINISTRATORS), 0, 20)
    return head + rules + _ADMINISTRATORS + _SYSTEM
