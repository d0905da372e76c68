"""What is cut from Wine, and the checks that nothing kept misses it."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from linwin.errors import InvalidRequest
from linwin.templates import cut, elf, pe
from linwin.templates.recipe import Cut

from .test_pe import build


def test_patterns_and_programs_are_removed(tmp_path: Path) -> None:
    for name in ("d3d9.dll", "d3d11.dll", "cmd.exe", "setx.exe"):
        (tmp_path / name).write_bytes(b"")
    cut.remove_unwanted([tmp_path], [Cut("no screen", ("d3d*.dll",))], ["setx"])
    assert [path.name for path in tmp_path.iterdir()] == ["cmd.exe"]


def test_a_pattern_that_matches_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest) as caught:
        cut.remove_unwanted([tmp_path], [Cut("gone", ("vax*.dll",))], [])
    assert caught.value.message == "the recipe cuts 'vax*.dll', and Wine has no such file"


def test_a_module_that_a_kept_one_imports_must_stay(tmp_path: Path) -> None:
    (tmp_path / "wbemprox.dll").write_bytes(build(sections=[(".text", b"x")], imported=("DXGI.dll",)))
    with pytest.raises(InvalidRequest) as caught:
        cut.strip_modules(tmp_path)
    assert caught.value.message == "the recipe cuts dxgi.dll, which wbemprox.dll imports"


def test_sets_of_the_api_need_no_module() -> None:
    cut.check_imports({"a.exe": frozenset({"api-ms-win-core-file-l1-1-0.dll", "ext-ms-win-x.dll"})})


def test_modules_are_stripped_in_place(tmp_path: Path) -> None:
    module = tmp_path / "ntdll.dll"
    module.write_bytes(build(sections=[(".text", b"x"), (".debug_info", b"d" * 9000)]))
    cut.strip_modules(tmp_path)
    assert module.stat().st_size == 0x600
    assert pe.is_builtin(module.read_bytes())


def test_a_module_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.dll").write_bytes(b"text")
    with pytest.raises(InvalidRequest) as caught:
        cut.strip_modules(tmp_path)
    assert caught.value.message == "Wine's x.dll cannot be stripped: no MZ header"


def test_placeholders_go_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "system32").mkdir()
    stand_in = b"MZ".ljust(0x40, b"\0") + pe.PLACEHOLDER_SIGNATURE.ljust(32, b"\0")
    (tmp_path / "system32/d3d9.dll").write_bytes(stand_in)
    (tmp_path / "system32/cmd.exe").write_bytes(build(sections=[(".text", b"x")]))
    (tmp_path / "system32/link").symlink_to("d3d9.dll")
    assert cut.remove_placeholders(tmp_path) == ["d3d9.dll"]
    assert sorted(path.name for path in (tmp_path / "system32").iterdir()) == ["cmd.exe", "link"]


def shared_object(*libraries: str) -> bytes:
    """An ELF file of one segment that needs ``libraries``."""
    strings = b"\0" + b"".join(name.encode() + b"\0" for name in libraries)
    base, strings_at = 0x10000, 64 + 2 * 56
    dynamic_at = strings_at + len(strings)
    tags = b""
    at = 1
    for name in libraries:
        tags += struct.pack("<qQ", 1, at)
        at += len(name) + 1
    tags += struct.pack("<qQ", 5, base + strings_at) + struct.pack("<qQ", 0, 0)
    size = dynamic_at + len(tags)
    head = struct.pack("<4sBB10xHHIQQQIHHHHHH", b"\x7fELF", 2, 1, 3, 62, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    load = struct.pack("<IIQQQQQQ", 1, 5, 0, base, base, size, size, 4096)
    dynamic = struct.pack("<IIQQQQQQ", 2, 6, dynamic_at, base + dynamic_at, 0, len(tags), len(tags), 8)
    return head + load + dynamic + strings + tags


def test_the_libraries_of_an_elf_file_are_read() -> None:
    assert elf.needed(shared_object("libc.so.6", "libm.so.6")) == ("libc.so.6", "libm.so.6")
    assert elf.needed(shared_object()) == ()


def test_a_truncated_elf_file_is_refused() -> None:
    with pytest.raises(ValueError, match="cut short"):
        elf.needed(shared_object("libc.so.6")[:70])


def test_a_library_that_no_package_has_is_told(tmp_path: Path) -> None:
    (tmp_path / "usr/lib").mkdir(parents=True)
    (tmp_path / "usr/lib/libc.so.6").write_bytes(shared_object())
    (tmp_path / "usr/lib/ntdll.so").write_bytes(shared_object("libc.so.6"))
    cut.check_libraries(tmp_path)
    (tmp_path / "usr/lib/wine.so").write_bytes(shared_object("libc.so.6", "libX11.so.6"))
    with pytest.raises(InvalidRequest) as caught:
        cut.check_libraries(tmp_path)
    assert (
        caught.value.message == "/usr/lib/wine.so needs libX11.so.6, and none of the recipe's packages has it"
    )
