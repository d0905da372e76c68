"""Stripping Wine's modules, on hand-made PE files."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import pytest

from linwin.templates import pe

_PE_AT = 0x80
_OPTIONAL_SIZE = 112 + 16 * 8
_TABLE_AT = _PE_AT + 24 + _OPTIONAL_SIZE


def build(
    *,
    sections: list[tuple[str, bytes]],
    imported: tuple[str, ...] = (),
    builtin: bool = True,
    machine: int = 0x20B,
) -> bytes:
    """A PE32+ file whose sections lie at 0x1000, 0x2000, … and whose last part is a COFF string table."""
    names = b""
    rows = b""
    body = b""
    start = 0x400
    for index, (name, data) in enumerate(sections):
        short = name.encode()
        if len(short) > 8:
            short = f"/{4 + len(names)}".encode()
            names += name.encode() + b"\0"
        padded = data.ljust(-(-len(data) // 0x200) * 0x200, b"\0")
        where = start + len(body)
        address = 0x1000 * (index + 1)
        rows += struct.pack("<8sIIII16x", short, len(data), address, len(padded), where)
        body += padded
    imports = _import_table(imported, 0x1000 * len(sections) + 0x1000) if imported else b""
    if imports:
        where = start + len(body)
        rows += struct.pack("<8sIIII16x", b".idata", len(imports), 0x1000 * (len(sections) + 1), 0x400, where)
        body += imports.ljust(0x400, b"\0")
    count = len(sections) + bool(imports)
    symbols = start + len(body)
    dos = bytearray(_PE_AT)
    dos[:2] = b"MZ"
    struct.pack_into("<I", dos, 0x3C, _PE_AT)
    dos[0x40:0x60] = (pe.BUILTIN_SIGNATURE if builtin else b"This program cannot be run").ljust(32, b"\0")
    coff = struct.pack("<4sHHIIIHH", b"PE\0\0", 0x8664, count, 1, symbols, 2, _OPTIONAL_SIZE, 0)
    optional = bytearray(_OPTIONAL_SIZE)
    struct.pack_into("<H", optional, 0, machine)
    struct.pack_into("<I", optional, 32, 0x1000)
    struct.pack_into("<I", optional, 108, 16)
    if imports:
        struct.pack_into("<II", optional, 112 + 8, 0x1000 * (len(sections) + 1), len(imports))
    head = (bytes(dos) + coff + bytes(optional) + rows).ljust(start, b"\0")
    return head + body + b"S" * 18 * 2 + struct.pack("<I", 4 + len(names)) + names


def _import_table(names: tuple[str, ...], base: int) -> bytes:
    text_at = 20 * (len(names) + 1)
    rows, text = b"", b""
    for name in names:
        rows += struct.pack("<IIIII", 0, 0, 0, base + text_at + len(text), 0)
        text += name.encode() + b"\0"
    return rows + bytes(20) + text


def test_strip_drops_debug_sections_and_symbols_and_keeps_the_signature() -> None:
    image = build(sections=[(".text", b"code"), (".debug_info", b"d" * 5000), (".debug_line", b"l" * 300)])
    stripped = pe.strip(image)
    assert len(stripped) == 0x600
    assert stripped[0x400:0x404] == b"code"
    assert pe.is_builtin(stripped)
    assert struct.unpack_from("<H", stripped, _PE_AT + 6) == (1,)
    assert struct.unpack_from("<II", stripped, _PE_AT + 12) == (0, 0)
    assert struct.unpack_from("<I", stripped, _PE_AT + 24 + 56) == (0x2000,)
    assert struct.unpack_from("<I", stripped, _PE_AT + 24 + 64) == (pe.checksum(stripped),)
    assert stripped[_TABLE_AT + 40 : _TABLE_AT + 120] == bytes(80)


def test_strip_is_idempotent_and_keeps_the_imports() -> None:
    image = build(sections=[(".text", b"x")], imported=("KERNEL32.dll", "ntdll.dll"))
    once = pe.strip(image)
    assert pe.strip(once) == once
    assert pe.imports(once) == pe.imports(image) == {"kernel32.dll", "ntdll.dll"}


def test_a_module_without_an_import_directory_imports_nothing() -> None:
    assert pe.imports(build(sections=[(".text", b"x")])) == frozenset()


def test_a_debug_section_before_a_needed_one_is_refused() -> None:
    with pytest.raises(pe.BadImage, match="lies before a section that is needed"):
        pe.strip(build(sections=[(".debug_info", b"d"), (".text", b"x")]))


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (b"", "no MZ header"),
        (b"MZ", "cut short"),
        (b"MZ" + bytes(100), "no PE header"),
        (build(sections=[(".text", b"x")], machine=0x10B), "not a 64-bit image"),
        (build(sections=[(".text", b"x" * 5000)])[:0x500], "section .text ends beyond the file"),
    ],
)
def test_what_is_not_a_64_bit_pe_file_is_refused(image: bytes, said: str) -> None:
    with pytest.raises(pe.BadImage, match=said):
        pe.strip(image)


@pytest.mark.parametrize("cut", range(0x80, 0x400, 7))
def test_a_truncated_file_never_raises_anything_but_bad_image(cut: int) -> None:
    image = build(sections=[(".text", b"x")], imported=("a.dll",))
    with pytest.raises(pe.BadImage):
        pe.imports(image[:cut])


def test_a_foreign_module_can_be_marked_as_wines_own() -> None:
    image = build(sections=[(".text", b"x")], builtin=False)
    assert not pe.is_builtin(image)
    marked = pe.mark_builtin(image)
    assert pe.is_builtin(marked)
    assert marked[:0x40] + marked[0x60:] == image[:0x40] + image[0x60:]


def test_placeholders_are_told_from_modules() -> None:
    placeholder = b"MZ".ljust(0x40, b"\0") + pe.PLACEHOLDER_SIGNATURE.ljust(32, b"\0")
    assert pe.is_placeholder(placeholder)
    assert not pe.is_builtin(placeholder)
    assert not pe.is_placeholder(build(sections=[(".text", b"x")]))


def test_the_checksum_is_the_linkers(tmp_path: Path) -> None:
    source, program = tmp_path / "program.c", tmp_path / "program.exe"
    source.write_text("int main(void) { return 3; }\n")
    subprocess.run(["x86_64-w64-mingw32-gcc", "-o", program, source], check=True)
    image = program.read_bytes()
    (pe_at,) = struct.unpack_from("<I", image, 0x3C)
    assert struct.unpack_from("<I", image, pe_at + 24 + 64) == (pe.checksum(image),)


def test_modules_differ_in_their_checksums() -> None:
    """By which Wine tells them apart, since they have no dates."""
    modules = [pe.strip(build(sections=[(".text", code)])) for code in (b"one", b"two", b"tow")]
    assert len({pe.checksum(module) for module in modules}) == 3


def test_a_checksum_does_not_depend_on_the_one_that_was_there() -> None:
    image = bytearray(build(sections=[(".text", b"code")]))
    struct.pack_into("<I", image, _PE_AT + 24 + 64, 0xDEADBEEF)
    assert pe.checksum(bytes(image)) == pe.checksum(build(sections=[(".text", b"code")]))
    assert pe.checksum(bytes(image) + b"\1") == pe.checksum(bytes(image) + b"\1\0") - 1  # an odd size
