"""The smallest guest that proves an accelerator: some 170 bytes that end in an exit code.

It goes where every 64-bit kernel goes at its start, and where a /dev/kvm without
hardware virtualisation behind it fails or crawls: through the firmware's real
mode, protected mode, paging and long mode. A loop in protected mode takes a CPU
some 0.01 s, and an instruction-by-instruction emulator more than anyone's
patience. Then the guest writes to QEMU's
``isa-debug-exit`` device, which ends QEMU with ``(value << 1) | 1``.

The image follows the Multiboot Specification 0.6.96, 3.1 ("a.out kludge"):
QEMU loads the whole file to 1 MiB and enters it in 32-bit protected mode.
"""

from __future__ import annotations

import struct

EXIT_PORT = 0xF4
EXIT_CODE = 0x2A << 1 | 1
"""What QEMU exits with when, and only when, the guest ran to its end."""

_LOAD_ADDRESS = 0x100000
_TABLES = 0x200000  # PML4, then PDPT, then page directory, one page each
_LOOPS = 10_000_000
_MAGIC = 0x1BADB002
_ADDRESSES_VALID = 1 << 16
_HEADER_SIZE = 32


def _le32(value: int) -> bytes:
    return struct.pack("<I", value)


def _store(address: int, value: int) -> bytes:
    return b"\xc7\x05" + _le32(address) + _le32(value)  # mov dword [address], value


def _program(start: int) -> bytes:
    """The machine code, assembled for the address ``start``."""
    enter_paging = b"".join(
        [
            b"\xb9" + _le32(_LOOPS),  # mov ecx, loops
            b"\xe2\xfe",  # loop to itself
            b"\xfc",  # cld
            b"\xbf" + _le32(_TABLES),  # mov edi, tables
            b"\x31\xc0",  # xor eax, eax
            b"\xb9" + _le32(3 * 4096 // 4),  # mov ecx, three pages
            b"\xf3\xab",  # rep stosd
            _store(_TABLES, _TABLES + 0x1003),  # present, writable
            _store(_TABLES + 0x1000, _TABLES + 0x2003),
            _store(_TABLES + 0x2000, 0x83),  # the first 2 MiB, as they are
            b"\xb8" + _le32(0xA0),  # mov eax, PAE | PGE
            b"\x0f\x22\xe0",  # mov cr4, eax
            b"\xb8" + _le32(_TABLES),
            b"\x0f\x22\xd8",  # mov cr3, eax
            b"\xb9" + _le32(0xC0000080),  # mov ecx, EFER
            b"\x0f\x32",  # rdmsr
            b"\x0d" + _le32(1 << 8),  # or eax, LME
            b"\x0f\x30",  # wrmsr
            b"\x0f\x20\xc0",  # mov eax, cr0
            b"\x0d" + _le32(1 << 31),  # or eax, PG
            b"\x0f\x22\xc0",  # mov cr0, eax
        ]
    )
    in_long_mode = b"".join(
        [
            b"\xb8" + _le32(EXIT_CODE >> 1),  # mov eax, value
            b"\xe7" + bytes([EXIT_PORT]),  # out port, eax
            b"\xf4",  # hlt
        ]
    )
    lgdt_size, jump_size = 7, 7
    long_mode = start + lgdt_size + len(enter_paging) + jump_size
    gdt = long_mode + len(in_long_mode)
    return b"".join(
        [
            b"\x0f\x01\x15" + _le32(gdt + 16),  # lgdt [behind the table]
            enter_paging,
            b"\xea" + _le32(long_mode) + b"\x08\x00",  # jmp 8:long_mode
            in_long_mode,
            bytes(8) + struct.pack("<Q", 0x0020_9A00_0000_0000),  # null, 64-bit code
            struct.pack("<HI", 15, gdt),
        ]
    )


def image() -> bytes:
    """The guest as a file for QEMU's ``-kernel``."""
    start = _LOAD_ADDRESS + _HEADER_SIZE
    checksum = -(_MAGIC + _ADDRESSES_VALID) & 0xFFFFFFFF
    # header address, load address, load end (0: all), bss end (0: none), entry
    addresses = (_LOAD_ADDRESS, _LOAD_ADDRESS, 0, 0, start)
    header = struct.pack("<8I", _MAGIC, _ADDRESSES_VALID, checksum, *addresses)
    return header + _program(start)
