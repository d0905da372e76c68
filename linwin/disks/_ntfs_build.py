"""Builds ``linwin.disks._ntfs``, the compiled way to libntfs-3g and libnbd.

Setuptools takes :data:`ffi` (``cffi_modules``); for work in a source tree,
``python -m linwin.disks._ntfs_build`` builds the module in place. Needs the
Debian packages gcc, libpython3-dev, ntfs-3g-dev, libnbd-dev and pkg-config.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from cffi import FFI

ROOT = Path(__file__).parents[2]
NATIVE = Path("linwin/disks/native")
HEADERS = ("device.h", "volume.h", "content.h", "reading.h", "verify.h", "process.h")
INTERNAL_HEADERS = ("connection.h", "cache.h", "volume_state.h")
SOURCES = (
    "connection.c",
    "cache.c",
    "device.c",
    "volume.c",
    "nodes.c",
    "content.c",
    "reading.c",
    "verify.c",
    "process.c",
)
PACKAGES = ("libntfs-3g", "libnbd")

# libntfs-3g's headers ask a config.h that is not installed what the system has.
SYSTEM_HAS = ("STDARG_H", "STDDEF_H", "STDIO_H", "TIME_H", "SYS_STAT_H", "SYS_TYPES_H", "SYS_PARAM_H")


def declarations(header: str) -> str:
    """The part of a header that cffi parses: no comments, no preprocessor lines."""
    without_comments = re.sub(r"/\*.*?\*/", "", header, flags=re.DOTALL)
    lines = (line for line in without_comments.splitlines() if not line.startswith("#"))
    return "\n".join(line for line in lines if "ntfs_device_operations" not in line)


def pkg_config(option: str) -> list[str]:
    argv = ["pkg-config", option, *PACKAGES]
    return subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True).stdout.split()


def definition(native: Path) -> FFI:
    """The module's definition, with its C sources in the folder ``native``."""
    ffi = FFI()
    ffi.cdef("void free(void *);")
    for name in HEADERS:
        ffi.cdef(declarations((ROOT / NATIVE / name).read_text()))
    ffi.set_source(
        "linwin.disks._ntfs",
        "#include <stdlib.h>\n" + "".join(f'#include "{name}"\n' for name in HEADERS),
        sources=[str(native / name) for name in SOURCES],
        include_dirs=[str(native)],
        depends=[str(native / name) for name in (*HEADERS, *INTERNAL_HEADERS)],
        define_macros=[("_GNU_SOURCE", "1"), *((f"HAVE_{name}", "1") for name in SYSTEM_HAS)],
        extra_compile_args=["-std=gnu11", "-O2", "-Wall", "-Wextra", *pkg_config("--cflags")],
        extra_link_args=pkg_config("--libs"),
    )
    return ffi


def build_in_place() -> Path:
    """Compile beside this file; return the shared object's path."""
    with tempfile.TemporaryDirectory() as scratch:
        built = Path(definition(ROOT / NATIVE).compile(tmpdir=scratch))
        return Path(shutil.move(built, Path(__file__).with_name(built.name)))


# Setuptools wants its sources relative to the project, and always reads this name.
ffi = definition(NATIVE)

if __name__ == "__main__":
    print(build_in_place())
