"""Files of an ISO image, read by 7-Zip.

Windows' own ISOs are UDF with a stub of ISO 9660 beside it, which says no more than that: libarchive,
xorriso and isoinfo read the stub. 7-Zip reads UDF, and needs no mount.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from linwin.errors import InvalidRequest, Unavailable
from linwin.host import process

_TIMEOUT = 3600.0  # seconds; gigabytes from a slow disk
_FORMATS = ("Udf", "Iso")
_MOST_FILES = 200_000
_BLOCK = 8 << 20
_PLAIN = re.compile(r"[A-Za-z0-9._ ()+-]+(/[A-Za-z0-9._ ()+-]+)*")


@dataclass(frozen=True, slots=True)
class File:
    """One file: its path as the ISO spells it, and its size in bytes."""

    path: str
    size: int


@dataclass(frozen=True, slots=True)
class Iso:
    """An opened ISO. ``files`` are by their lower-case paths, with ``/`` between folders."""

    source: Path
    files: Mapping[str, File]

    def find(self, path: str) -> File | None:
        """A file by its path; case does not matter."""
        return self.files.get(path.lower())

    def folder(self, path: str) -> tuple[File, ...]:
        """The files right in a folder; none when it is not there."""
        start = f"{path.lower().rstrip('/')}/"
        return tuple(
            file
            for name, file in self.files.items()
            if name.startswith(start) and "/" not in name[len(start) :]
        )

    async def extract(self, files: tuple[File, ...], destination: Path) -> tuple[Path, ...]:
        """Copy files into an existing folder, without their folders. Raises InvalidRequest or Unavailable."""
        names = [file.path for file in files]
        options = ["-y", "-bd", "-spd", "-snl-", f"-o{destination}"]
        done = await process.run(["7zz", "e", *options, "--", self.source, *names], timeout=_TIMEOUT)
        if done.returncode != 0:
            raise Unavailable(
                f"{self.source} cannot be read to its end: {done.last_words}",
                hint="compare its checksum with the publisher's, and look at the room that is left",
            )
        extracted = tuple(destination / file.path.rpartition("/")[2] for file in files)
        for path, file in zip(extracted, files, strict=True):
            if path.is_symlink() or not path.is_file() or path.stat().st_size != file.size:
                raise InvalidRequest(f"{self.source} did not give {file.path} as it lists it")
        return extracted


async def open_iso(source: Path) -> Iso:
    """List an ISO. Raises InvalidRequest for what is none."""
    done = await process.run(["7zz", "l", "-slt", "-bd", "--", source], timeout=_TIMEOUT)
    head, _, listing = done.stdout.decode(errors="replace").partition("\n----------\n")
    kinds = re.findall(r"^Type = (.*)$", head, re.MULTILINE)
    if done.returncode != 0 or not kinds or kinds[0] not in _FORMATS:
        raise InvalidRequest(
            f"{source} is not an ISO image", hint="give the .iso file itself, whole and not unpacked"
        )
    return Iso(source, {file.path.lower(): file for file in _files(listing, source)})


async def digest(source: Path, told: Callable[[int, int], None]) -> str:
    """64 hex digits of its content; ``told`` hears of bytes done and in all. Raises OSError."""
    result = hashlib.sha256()
    with source.open("rb") as file:
        total = os.fstat(file.fileno()).st_size
        while block := await asyncio.to_thread(file.read, _BLOCK):
            await asyncio.to_thread(result.update, block)
            told(file.tell(), total)
    return result.hexdigest()


def _files(listing: str, source: Path) -> list[File]:
    """What ``7zz l -slt`` prints: a paragraph a file, lines of ``Name = value``. Odd names are left out."""
    files = []
    for paragraph in listing.split("\n\n"):
        fields = dict(line.partition(" = ")[::2] for line in paragraph.splitlines())
        path, size = fields.get("Path", ""), fields.get("Size", "")
        if fields.get("Folder") != "-" or not size.isdecimal() or not _PLAIN.fullmatch(path):
            continue
        if {".", ".."} & set(path.split("/")) or fields.get("Symbolic Link"):
            continue
        files.append(File(path, int(size)))
    if len(files) > _MOST_FILES:
        raise InvalidRequest(f"{source} holds more files than any ISO of Windows")
    return files
