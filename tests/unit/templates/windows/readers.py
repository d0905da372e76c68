"""What is in a template's disk, told by readers that are not ours."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from dissect.ntfs import NTFS
from dissect.regf import RegistryHive

from tests.unit.templates.windows.media import run

SECTOR = 512


@dataclass(frozen=True)
class Partition:
    """As sgdisk tells it; offsets and sizes in bytes."""

    start: int
    size: int
    kind: UUID
    identifier: UUID
    name: str


class Disk:
    """A template's disk as a raw file, and its volumes as files beside it: the first is for firmware.

    ``numbers`` are those of all partitions, the third is C:.
    """

    def __init__(self, image: Path, folder: Path, numbers: Sequence[int] = (1, 2, 3)) -> None:
        self.raw = folder / "disk.raw"
        run("qemu-img", "convert", "-O", "raw", image, self.raw)
        self.partitions = tuple(self._partition(number) for number in numbers)
        self.esp = self._cut(self.partitions[0], folder / "esp.fat")
        self.c = self._cut(self._partition(3), folder / "c.ntfs")
        self._open = ExitStack()
        self.ntfs = NTFS(self._open.enter_context(self.c.open("rb")))

    def close(self) -> None:
        self._open.close()

    @property
    def identifier(self) -> UUID:
        told = run("sgdisk", "--print", self.raw).decode()
        return UUID(re.findall(r"\(GUID\): (\S+)", told)[0])

    def boot_files(self) -> list[str]:
        listed = run("mdir", "-/", "-b", "-i", self.esp, "::").decode().split("\n")
        return sorted(line.removeprefix("::/") for line in listed if line and not line.endswith("/"))

    def boot_file(self, path: str) -> bytes:
        return run("mtype", "-i", self.esp, f"::{path}")

    def file(self, path: str) -> bytes:
        content = self.ntfs.mft.get(path).open().read()
        assert isinstance(content, bytes)
        return content

    def descriptor(self, path: str) -> tuple[str, list[tuple[int, str]]]:
        """Owner, and rights with whom they are given to."""
        attributes = self.ntfs.mft.get(path).attributes
        number = attributes.STANDARD_INFORMATION[0].attribute.attr.SecurityId
        found = self.ntfs.secure.lookup(number)
        return str(found.owner), [(entry.mask, str(entry.sid)) for entry in found.dacl.ace]

    def hive(self, name: str) -> RegistryHive:
        return RegistryHive(self.ntfs.mft.get(f"Windows/System32/config/{name}").open())

    def _partition(self, number: int) -> Partition:
        told = run("sgdisk", f"--info={number}", self.raw).decode()
        first, last = (int(text) for text in re.findall(r"^(?:First|Last) sector: (\d+)", told, re.MULTILINE))
        kind, identifier = (UUID(text) for text in re.findall(r"GUID(?: code)?: ([0-9A-F-]{36})", told))
        (name,) = re.findall(r"^Partition name: '(.*)'", told, re.MULTILINE)
        return Partition(first * SECTOR, (last - first + 1) * SECTOR, kind, identifier, name)

    def _cut(self, partition: Partition, path: Path) -> Path:
        words = [f"if={self.raw}", f"of={path}", "bs=1M", "conv=sparse", "status=none"]
        words += ["iflag=skip_bytes,count_bytes", f"skip={partition.start}", f"count={partition.size}"]
        run("dd", *words)
        os.truncate(path, partition.size)
        return path

    def files(self) -> dict[str, bytes]:
        """The content of every file of C:, by its path; a folder's is empty. NTFS' own files are left out."""
        found: dict[str, bytes] = {}
        folders = [("", self.ntfs.mft.root)]
        while folders:
            path, folder = folders.pop()
            for name, entry in folder.listdir().items():
                if name in (".", "..") or (not path and name.startswith("$")):
                    continue
                record = entry.dereference()
                inside = f"{path}/{name}".lstrip("/")
                if record.is_dir():
                    folders.append((inside, record))
                found[inside] = b"" if record.is_dir() else record.open().read()
        return found


def values(hive: RegistryHive, *keys: str) -> dict[str, Any]:
    """The values of a key, by their names."""
    return {value.name: value.value for value in hive.open("\\".join(keys)).values()}


def subkeys(hive: RegistryHive, *keys: str) -> set[str]:
    return {key.name for key in hive.open("\\".join(keys)).subkeys()}
