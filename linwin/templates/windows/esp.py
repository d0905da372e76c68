"""The EFI system partition of a disk that somebody brought, in a file of ours: does firmware start it?

mtools read and write it; they tell no case in names.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from linwin.errors import InvalidRequest
from linwin.host import process

_MANAGER, _STORE = "EFI/Microsoft/Boot/bootmgfw.efi", "EFI/Microsoft/Boot/BCD"
NEEDED = (_MANAGER, _STORE)
FALLBACK = "EFI/Boot/bootx64.efi"
"""Where firmware looks that remembers nothing."""
_TIMEOUT = 300.0  # seconds


async def check(volume: Path, disk: str, needed: Iterable[str] = NEEDED) -> None:
    """Raise InvalidRequest unless Windows' boot manager and its store are there, or what else is needed."""
    for path in needed:
        if not await _has(volume, path):
            raise InvalidRequest(
                f"{disk} cannot be started: its EFI system partition has no {path}",
                hint="write it on Windows: bcdboot W:\\Windows /s S: /f UEFI",
            )


async def add_fallback(volume: Path, scratch: Path) -> bool:
    """Put the boot manager where firmware without a memory looks, unless something is there already."""
    if await _has(volume, FALLBACK):
        return False
    manager = scratch / "bootmgfw.efi"
    (await _mtools("mcopy", "-n", "-i", volume, f"::{_MANAGER}", manager)).check()
    folder = FALLBACK.rpartition("/")[0]
    if not await _has(volume, folder):
        (await _mtools("mmd", "-i", volume, f"::{folder}")).check()
    (await _mtools("mcopy", "-n", "-i", volume, manager, f"::{FALLBACK}")).check()
    return True


async def _has(volume: Path, path: str) -> bool:
    return (await _mtools("mdir", "-b", "-i", volume, f"::{path}")).returncode == 0


async def _mtools(*words: str | Path) -> process.Completed:
    # What mkfs of others says of tracks and heads need not please mtools.
    return await process.run(words, env={**os.environ, "MTOOLS_SKIP_CHECK": "1"}, timeout=_TIMEOUT)
