"""Makes folders in an unmounted NTFS volume: python -m linwin.templates.windows.folders VOLUME

Their paths come on standard input, one a line, parents first, without a slash before them. It is a program
of its own, so that a fault in a C library ends no daemon. ntfsprogs can make files and no folders; the
library below them is called by its exported functions, which take and give nothing but pointers to what it
keeps to itself.
"""

from __future__ import annotations

import ctypes
import os
import sys
from typing import Any

_LIBRARY = "libntfs-3g.so.89"  # Debian's libntfs-3g89
_FOLDER = 0o040000  # S_IFDIR
_LONGEST_NAME = 255


def main() -> int:
    volume, paths = sys.argv[1], sys.stdin.read().splitlines()
    library = _load()
    opened = library.ntfs_mount(os.fsencode(volume), 0)
    if not opened:
        return _fail(volume)
    try:
        failed = next((path for path in paths if not _make(library, opened, path)), None)
        if failed is not None:
            return _fail(failed)
    finally:
        ended = library.ntfs_umount(opened, 0)
    return 0 if ended == 0 else _fail(volume)


def _make(library: Any, volume: int, path: str) -> bool:
    parent, _, name = path.rpartition("/")
    if not 0 < len(name.encode("utf-16-le")) // 2 <= _LONGEST_NAME:
        raise ValueError(f"no folder can be called {name!r}")
    inside = library.ntfs_pathname_to_inode(volume, None, parent.encode())
    if not inside:
        return False
    encoded = name.encode("utf-16-le")
    made = library.ntfs_create(inside, 0, encoded, len(encoded) // 2, _FOLDER)
    reason = ctypes.get_errno()
    ended = [library.ntfs_inode_close(inode) for inode in (made, inside) if inode]
    ctypes.set_errno(ctypes.get_errno() if made else reason)
    return bool(made) and not any(ended)


def _load() -> Any:
    library = ctypes.CDLL(_LIBRARY, use_errno=True)
    pointer, number = ctypes.c_void_p, ctypes.c_int
    for name, result, arguments in (
        ("ntfs_mount", pointer, [ctypes.c_char_p, ctypes.c_ulong]),
        ("ntfs_umount", number, [pointer, number]),
        ("ntfs_pathname_to_inode", pointer, [pointer, pointer, ctypes.c_char_p]),
        (
            "ntfs_create",
            pointer,
            [pointer, ctypes.c_uint32, ctypes.c_char_p, ctypes.c_uint8, ctypes.c_uint32],
        ),
        ("ntfs_inode_close", number, [pointer]),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def _fail(what: str) -> int:
    print(f"{what}: {os.strerror(ctypes.get_errno())}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
