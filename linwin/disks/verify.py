"""The process that looks at the volume a chain's end shows, and ends.

libntfs-3g is C and what it reads may be damaged: if it crashes, only this does.
``python -m linwin.disks.verify DISK OFFSET RUN_DIR PARENT`` prints what is wrong
as the end of a sentence, and nothing for a volume that is sound.
"""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

from linwin.disks._ntfs import ffi, lib
from linwin.disks.export import exported_read_only
from linwin.errors import LinwinError

CACHE_BYTES = 16 << 20
MEMORY_LIMIT = 512 << 20

SENTENCES = {
    lib.VOLUME_DIRTY: "shows a volume that is marked as dirty",
    lib.VOLUME_JOURNAL: "shows a volume whose journal is not clean",
}


def main(disk: str, offset: str, run_dir: str, parent: str) -> int:
    lib.die_with_parent(int(parent))
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_LIMIT, MEMORY_LIMIT))
    try:
        print(problem(Path(disk), int(offset), Path(run_dir)))
    except LinwinError as error:
        print(f"cannot be read: {error.message}")
    return 0


def problem(disk: Path, offset: int, run_dir: Path) -> str:
    """What is wrong with the volume, or nothing. Raises Unavailable when the disk cannot be read."""
    with exported_read_only(disk, run_dir) as connection:
        device = lib.device_open(connection.detach(), offset, CACHE_BYTES)
        if device == ffi.NULL:
            return f"cannot be read: {os.strerror(ffi.errno)}"
        try:
            result = lib.volume_verify(device)
            if result < 0:
                return f"shows no volume that can be opened: {os.strerror(-result)}"
            return SENTENCES.get(result, "")
        finally:
            lib.device_close(device)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
