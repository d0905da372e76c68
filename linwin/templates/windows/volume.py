"""An NTFS volume in a file of ours that Windows made: is it at rest, what is in it, and files for it.

It is never mounted: ntfsprogs work on the file. Of what they lack, to make a folder, libntfs-3g itself is
asked (:mod:`linwin.templates.windows.folders`).
"""

from __future__ import annotations

import asyncio
import filecmp
import os
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from linwin.errors import InvalidRequest, Unavailable
from linwin.host import process
from linwin.templates.windows.listing import Listing

NTFS, BITLOCKER = b"NTFS    ", b"-FVE-FS-"
"""What a boot sector has at :data:`MARK`."""
MARK = slice(3, 11)
BOOT_SECTOR = 512

_TIMEOUT = 1800.0  # seconds
_NAME = re.compile(r"^ *(\d+) \w{3} [ \d]\d \d\d:\d\d \d{4} (.+)$", re.MULTILINE)
_FLAGS = re.compile(r"Volume Flags: 0x([0-9a-f]{4})")
_CLUSTER, _FREE = re.compile(r"Cluster Size: (\d+)"), re.compile(r"Free Clusters: (\d+)")
_DIRTY = 0x0001
# How ntfs-3g.probe ends (ntfs-3g's exit codes, in its ntfs-3g_common.h and manual page).
_CORRUPT, _HIBERNATED, _UNCLEAN = 13, 14, 15
_SHUT_DOWN = "start it once more on Windows and shut it down wholly: shutdown /s /t 0"
_NO_FAST_STARTUP = "turn fast startup off on Windows (powercfg /h off) and shut it down: shutdown /s /t 0"


def mark(volume: Path) -> bytes:
    """What its boot sector says that it is; see :data:`NTFS`. Raises OSError."""
    with volume.open("rb") as file:
        return file.read(BOOT_SECTOR)[MARK]


async def check_at_rest(volume: Path, disk: str) -> None:
    """Raise InvalidRequest for a volume that Windows has more to say about, or that has faults."""
    probed = await process.run(["ntfs-3g.probe", "--readonly", volume], timeout=_TIMEOUT)
    if probed.returncode in (_CORRUPT, _HIBERNATED, _UNCLEAN):
        raise _unrest(probed.returncode, disk)
    probed.check()
    if int(_found(_FLAGS, await _described(volume)), 16) & _DIRTY:
        raise _unrest(_UNCLEAN, disk)
    probed = await process.run(["ntfs-3g.probe", "--readwrite", volume], timeout=_TIMEOUT)
    if probed.returncode in (_CORRUPT, _HIBERNATED, _UNCLEAN):
        raise _unrest(probed.returncode, disk)
    probed.check()


async def free(volume: Path) -> int:
    """Bytes of a volume that no file has."""
    described = await _described(volume)
    return int(_found(_CLUSTER, described)) * int(_found(_FREE, described))


async def sizes(volume: Path, folder: str) -> dict[str, int]:
    """The names in a folder, with the sizes of files in bytes; none when there is no folder to be read.

    That of a volume that is not at rest can be looked at too.
    """
    done = await _run("ntfsls", "--force", "-l", "-p", f"/{folder}", volume)
    if done.returncode != 0:
        return {}
    listed = _NAME.findall(done.stdout.decode(errors="replace"))
    return {name: int(size) for size, name in listed if name not in (".", "..")}


async def listing(volume: Path, folders: Iterable[str]) -> Listing:
    """What lies in folders and in all above them, as far as they are there. Case does not matter."""
    wanted = {"/".join(path.split("/")[:length]) for path in folders for length in range(path.count("/") + 2)}
    paths = list(await sizes(volume, ""))
    for folder in sorted(wanted - {""}, key=lambda path: path.count("/")):
        known = Listing.of(paths)
        if known.has(folder):
            spelled = known.spelled(folder)
            paths += [f"{spelled}/{name}" for name in await sizes(volume, spelled)]
    return Listing.of(paths)


async def read(volume: Path, path: str, destination: Path) -> None:
    """Copy a file out; ``path`` is spelled as it is there. Raises InvalidRequest."""
    done = await _run("ntfscat", volume, path)
    if done.returncode != 0:
        raise InvalidRequest(f"{path} cannot be read: {done.last_words}")
    await asyncio.to_thread(destination.write_bytes, done.stdout)


async def holds(volume: Path, path: str, ours: Path, scratch: Path) -> bool:
    """Whether a file, spelled as it is there, is ours to the byte; ``scratch`` is a folder for a copy."""
    folder, _, name = path.rpartition("/")
    size = (await asyncio.to_thread(ours.stat)).st_size
    if (await sizes(volume, folder)).get(name) != size:
        return False
    there = scratch / name
    await read(volume, path, there)
    return await asyncio.to_thread(filecmp.cmp, there, ours, shallow=False)


async def put(volume: Path, files: Mapping[str, Path]) -> None:
    """Make files, or exchange the content of those there are; their folders exist. Raises Unavailable."""
    for path, source in files.items():
        (await _run("ntfscp", "--quiet", volume, source, path)).check()


async def make_folders(volume: Path, folders: Iterable[str]) -> None:
    """Make folders that are not there yet. Raises Unavailable."""
    paths = sorted(folders, key=lambda path: path.count("/"))
    if paths:
        module = [sys.executable, "-P", "-m", "linwin.templates.windows.folders"]
        done = await process.run([*module, volume], input="\n".join(paths).encode(), timeout=_TIMEOUT)
        if done.returncode != 0:
            raise Unavailable(f"a folder could not be made in C: {done.last_words}")


async def _described(volume: Path) -> str:
    done = await _run("ntfsinfo", "-m", "--force", volume)
    if done.returncode != 0:
        raise InvalidRequest(f"the volume cannot be read: {done.last_words}")
    return done.stdout.decode(errors="replace")


def _found(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    if found is None:
        raise Unavailable("ntfsinfo does not describe a volume as it is known to")
    return found[1]


def _unrest(code: int, disk: str) -> InvalidRequest:
    if code == _HIBERNATED:
        return InvalidRequest(
            f"Windows on {disk} is hibernated, or was shut down with fast startup on", hint=_NO_FAST_STARTUP
        )
    if code == _UNCLEAN:
        return InvalidRequest(f"Windows on {disk} was not shut down: its volume is dirty", hint=_SHUT_DOWN)
    return InvalidRequest(f"the volume of Windows on {disk} has faults", hint="on Windows: chkdsk C: /f")


async def _run(*words: str | Path) -> process.Completed:
    env = {**os.environ, "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    return await process.run(words, env=env, timeout=_TIMEOUT)
