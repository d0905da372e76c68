"""The file of a disk that a user has: VHDX, VHD, VMDK, qcow2 or raw.

A file from outside must not name others that are read in its place: a qcow2 has a backing file, a VMDK its
extents, a VHD its parent. So the format is told from the file's own bytes, whatever the file is called; what
points elsewhere is refused before QEMU sees it, and QEMU is told the format and is left nothing to guess.

Formats: QEMU's "docs/interop/qcow2.txt"; Microsoft's "Virtual Hard Disk Image Format Specification" and
MS-VHDX; VMware's "Virtual Disk Format 5.0".
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from linwin.errors import Conflict, InvalidRequest, Unavailable, Unsupported
from linwin.host import process
from linwin.templates.windows import disk

_HEAD = 1 << 16  # of a file; a VMDK's description lies in it
_FOOTER = 512
_BLOCK = 4 << 20
_SECTOR = 512
_TIMEOUT = 3600.0  # seconds; hundreds of gigabytes from a slow disk

_NAMES = {"qcow2": "qcow2", "vhdx": "VHDX", "vpc": "VHD", "vmdk": "VMDK", "raw": "raw"}
_COPIED_SHORT = "copy or download it again: its end is missing, or it was damaged on the way"
_FLATTEN = "merge it with what it stands on first, as with: qemu-img convert -O qcow2 {name} whole.qcow2"

_QCOW2_DIRTY, _QCOW2_CORRUPT, _QCOW2_DATA_FILE = 1, 2, 4
_VHD_DIFFERENCING = 4
_VMDK_DESCRIPTION = slice(0x200, 0x200 + 20 * _SECTOR)
# Files that are no disks and that somebody could take for one, by where their marks are.
_NO_DISKS = (
    (0, b"MSWIM\0\0\0", "a WIM file, which holds files and is no disk"),
    (0, b"PK\x03\x04", "a ZIP archive: unpack it first"),
    (0, b"\x1f\x8b", "compressed by gzip: unpack it first"),
    (0, b"\xfd7zXZ\0", "compressed by xz: unpack it first"),
    (0x8001, b"CD001", "an ISO image: templates are made of those by linwin template build"),
)


@dataclass(frozen=True, slots=True)
class DiskFile:
    """A file whose format is known and that holds all of its disk.

    ``kind`` is QEMU's name of the format, ``size`` that of the disk in bytes; ``stamp`` changes when the file
    is written to.
    """

    path: Path
    kind: str
    size: int
    stamp: tuple[int, int, int]

    @property
    def format(self) -> str:
        """The format as people call it."""
        return _NAMES[self.kind]

    def slice(self, start: int, size: int) -> dict[str, Any]:
        """Bytes of the disk, as a node of QEMU's."""
        return {"driver": "raw", "offset": start, "size": size, "file": _node(self.path, self.kind)}

    def check_unchanged(self) -> None:
        """Raise Conflict when the file was written to since it was opened, or was exchanged."""
        if _stamp(self.path) != self.stamp:
            raise Conflict(
                f"{self.path} was written to while it was read",
                hint="shut down what uses the disk, and import it again",
            )


async def open_disk(path: Path) -> DiskFile:
    """Look at a file, which is only read.

    Raises InvalidRequest for what is no disk or not a whole one, Unsupported for one that is kept in several
    files or in a way that is not known here.
    """
    stamp = _stamp(path)
    kind = _kind(path)
    shown = await process.run(
        ["qemu-img", "info", "--output=json", _word(_node(path, kind))], timeout=_TIMEOUT
    )
    if shown.returncode != 0:
        raise InvalidRequest(
            f"{path} cannot be read as a disk of the format {_NAMES[kind]}: {shown.last_words}",
            hint=f"{_COPIED_SHORT}; a machine that uses it has to be shut down",
        )
    opened = DiskFile(path, kind, int(json.loads(shown.stdout)["virtual-size"]), stamp)
    if kind in ("qcow2", "vhdx", "vmdk"):
        await _check(opened)
    return opened


async def digest(path: Path, told: Callable[[int, int], None]) -> str:
    """64 hex digits of what a file holds, and where. Zeros are left out, which most of a raw disk may be.

    ``told`` hears of bytes done and in all. Raises OSError.
    """
    result = hashlib.sha256()
    with path.open("rb") as file:
        fd = file.fileno()
        size, at = os.fstat(fd).st_size, 0
        while (begin := disk.next_data(fd, at)) is not None:
            at = begin - begin % _BLOCK
            block = await asyncio.to_thread(os.pread, fd, _BLOCK, at)
            # Where a file has holes changes as it is written out, and must not count.
            if block.count(0) < len(block):
                result.update(struct.pack("<Q", at))
                await asyncio.to_thread(result.update, block)
            at += _BLOCK
            told(min(at, size), size)
        result.update(struct.pack("<Q", size))
    return result.hexdigest()


async def copy(source: DiskFile, start: int, size: int, destination: Path) -> None:
    """Bytes of the disk as a raw file; what is empty becomes a hole. Raises InvalidRequest or Unavailable."""
    words = ["-O", "raw", "-S", "4k", _word(source.slice(start, size)), str(destination)]
    await _convert(source, words)


async def join(source: DiskFile, replaced: dict[int, Path], destination: Path) -> None:
    """The whole disk as a compressed qcow2, with raw files in the place of what begins where they are to go.

    Raises InvalidRequest or Unavailable.
    """
    pieces, at = [], 0
    for start, path in sorted(replaced.items()):
        if start > at:
            pieces.append(_word(source.slice(at, start - at)))
        pieces.append(_word({"driver": "raw", "file": {"driver": "file", "filename": str(path)}}))
        at = start + path.stat().st_size
    if at < source.size:
        pieces.append(_word(source.slice(at, source.size - at)))
    words = ["-c", "-O", "qcow2", "-o", "compression_type=zstd", *pieces, str(destination)]
    await _convert(source, words)


async def content_size(source: DiskFile, start: int, size: int) -> int:
    """How many bytes of a part of the disk are in use, as far as the file tells. Raises InvalidRequest."""
    words = ["qemu-img", "measure", "--output=json", "-O", "qcow2", _word(source.slice(start, size))]
    done = await process.run(words, timeout=_TIMEOUT)
    if done.returncode != 0:
        raise _unreadable(source, done)
    return int(json.loads(done.stdout)["required"])


async def _convert(source: DiskFile, words: list[str]) -> None:
    done = await process.run(["qemu-img", "convert", *words], timeout=_TIMEOUT)
    if done.returncode == 0:
        return
    if "No space left" in done.last_words:
        raise Unavailable(f"qemu-img could not go on: {done.last_words}")
    raise _unreadable(source, done)


def _unreadable(source: DiskFile, done: process.Completed) -> InvalidRequest:
    return InvalidRequest(f"{source.path} cannot be read to its end: {done.last_words}", hint=_COPIED_SHORT)


async def _check(opened: DiskFile) -> None:
    """Raise InvalidRequest for a file that says itself that a part of it is missing or wrong."""
    done = await process.run(["qemu-img", "check", _word(_node(opened.path, opened.kind))], timeout=_TIMEOUT)
    if done.returncode not in (0, 3):  # 3: room that is lost, which harms nobody
        said = next((line for line in done.stdout.decode(errors="replace").splitlines() if line.strip()), "")
        raise InvalidRequest(
            f"{opened.path} is damaged or cut short: {said or done.last_words}", hint=_COPIED_SHORT
        )


def _node(path: Path, kind: str) -> dict[str, Any]:
    node: dict[str, Any] = {"driver": kind, "file": {"driver": "file", "filename": str(path)}}
    if kind != "raw":
        node["backing"] = None  # refused above already; this is the second lock of that door
    if kind == "vpc":
        node["force_size_calc"] = "current_size"  # not that of a geometry of 1996
    return node


def _word(node: dict[str, Any]) -> str:
    return "json:" + json.dumps(node)


def _stamp(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def _kind(path: Path) -> str:
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        head = file.read(_HEAD)
        file.seek(max(0, size - _FOOTER))
        footer = file.read(_FOOTER)
    for at, mark, what in _NO_DISKS:
        if head[at : at + len(mark)] == mark:
            raise InvalidRequest(f"{path} is no disk: it is {what}")
    if head.startswith(b"QFI\xfb"):
        return _qcow2(path, head)
    if head.startswith(b"vhdxfile"):
        return "vhdx"
    if head.startswith((b"KDMV", b"COWD", b"# Disk DescriptorFile")):
        return _vmdk(path, head)
    if head.startswith(b"conectix") or footer.startswith(b"conectix"):
        return _vhd(path, footer)
    if size < 2 * _SECTOR:
        raise InvalidRequest(f"{path} is no disk: it has {size} bytes")
    return "raw"


def _qcow2(path: Path, head: bytes) -> str:
    if len(head) < 104:
        raise InvalidRequest(f"{path} is damaged or cut short: it has no whole header", hint=_COPIED_SHORT)
    version, backing = struct.unpack_from(">IQ", head, 4)
    (encryption,) = struct.unpack_from(">I", head, 32)
    features = struct.unpack_from(">Q", head, 72)[0] if version >= 3 else 0
    if version not in (2, 3):
        raise Unsupported(
            f"{path} is a qcow of version {version}, which is not known here",
            hint=f"convert it: qemu-img convert -O qcow2 {path.name} whole.qcow2",
        )
    if backing:
        raise Unsupported(
            f"{path} holds only what differs from another disk, its backing file",
            hint=_FLATTEN.format(name=path.name),
        )
    if features & _QCOW2_DATA_FILE:
        raise Unsupported(f"{path} keeps its data in another file", hint=_FLATTEN.format(name=path.name))
    if encryption:
        raise Unsupported(
            f"{path} is encrypted by QEMU", hint="decrypt it into a disk of its own: qemu-img convert"
        )
    if features & (_QCOW2_DIRTY | _QCOW2_CORRUPT):
        raise InvalidRequest(
            f"{path} was not closed, or is damaged: its header says so",
            hint=f"shut its machine down, or repair it: qemu-img check -r all {path.name}",
        )
    return "qcow2"


def _vhd(path: Path, footer: bytes) -> str:
    if not footer.startswith(b"conectix"):
        raise InvalidRequest(f"{path} is cut short: it is a VHD without its end", hint=_COPIED_SHORT)
    (kind,) = struct.unpack_from(">I", footer, 60)
    if kind == _VHD_DIFFERENCING:
        raise Unsupported(
            f"{path} holds only what differs from another disk, its parent",
            hint="merge it on Windows first: Merge-VHD, or Edit Disk in the Hyper-V Manager",
        )
    return "vpc"


def _vmdk(path: Path, head: bytes) -> str:
    """One that is whole in itself: VMware's monolithicSparse and streamOptimized."""
    capacity = struct.unpack_from("<Q", head, 12)[0] if len(head) >= 20 else 0
    if not head.startswith(b"KDMV") or capacity == 0:
        raise Unsupported(
            f"{path} is the description of a VMDK whose content lies in other files",
            hint="make one file of it where all of them are: qemu-img convert -O qcow2 "
            f"{path.name} whole.qcow2",
        )
    if b"parentFileNameHint" in head[_VMDK_DESCRIPTION]:
        raise Unsupported(
            f"{path} holds only what differs from another disk, its parent",
            hint=_FLATTEN.format(name=path.name),
        )
    return "vmdk"
