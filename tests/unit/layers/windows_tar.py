"""Writes Windows layers in the manner of the tools that make them, with Python's own tarfile."""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile
from collections.abc import Mapping
from typing import Self

DIRECTORY, FILE, HARD_LINK, SYMBOLIC_LINK = tarfile.DIRTYPE, tarfile.REGTYPE, tarfile.LNKTYPE, tarfile.SYMTYPE

ADMINISTRATORS = bytes.fromhex("01020000000000052000000020020000")
SYSTEM = bytes.fromhex("010100000000000512000000")

# Owner and group only, no DACL: the 52 bytes that crane puts on every entry.
CRANE_DESCRIPTOR = (
    bytes.fromhex("0100008014000000240000000000000000000000")[:20] + ADMINISTRATORS + ADMINISTRATORS
)

# O:BAG:SYD:(A;;FA;;;SY)
FULL_FOR_SYSTEM = (
    bytes.fromhex("010004801400000024000000000000003000000000")[:20]
    + ADMINISTRATORS
    + SYSTEM
    + bytes.fromhex("02001c000100000000001400ff011f00")
    + SYSTEM
)


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


class LayerTar:
    """Collects entries, in order, without looking at them."""

    def __init__(self) -> None:
        self._file = io.BytesIO()
        self._tar = tarfile.TarFile(fileobj=self._file, mode="w", format=tarfile.PAX_FORMAT)

    def add(
        self,
        name: str,
        data: bytes = b"",
        *,
        type: bytes = FILE,
        link: str = "",
        mtime: int = 1_600_000_000,
        pax: Mapping[str, str] | None = None,
    ) -> Self:
        info = tarfile.TarInfo(name)
        info.type, info.linkname, info.size, info.mtime = type, link, len(data), mtime
        info.pax_headers = dict(pax or {})
        self._tar.addfile(info, io.BytesIO(data))
        return self

    def directory(self, name: str, *, pax: Mapping[str, str] | None = None) -> Self:
        return self.add(name, type=DIRECTORY, pax=pax)

    def bytes(self) -> bytes:
        self._tar.close()
        return self._file.getvalue()


def diff_id(layer: bytes) -> str:
    return "sha256:" + hashlib.sha256(layer).hexdigest()


def parents(files: Mapping[str, bytes]) -> list[str]:
    found = {""}
    for name in files:
        parts = name.split("/")[:-1]
        found |= {"/".join(parts[: n + 1]) for n in range(len(parts))}
    return sorted(found - {""})


def docker_on_windows(files: Mapping[str, bytes]) -> bytes:
    """hcsshim's export: every parent, all records, sub-second times, and a Hives folder."""
    tar = LayerTar()
    times = {"mtime": "1600000000.1234567", "atime": "1600000001.5", "ctime": "1600000002.25"}
    common = {
        **times,
        "LIBARCHIVE.creationtime": "1500000000.7654321",
        "MSWINDOWS.rawsd": b64(FULL_FOR_SYSTEM),
    }
    tar.directory("Files", pax={**common, "MSWINDOWS.fileattr": "16"})
    for name in parents(files):
        tar.directory(f"Files/{name}", pax={**common, "MSWINDOWS.fileattr": "16"})
    for name, data in files.items():
        tar.add(f"Files/{name}", data, pax={**common, "MSWINDOWS.fileattr": "32"})
    tar.directory("Hives", pax={**common, "MSWINDOWS.fileattr": "16"})
    return tar.bytes()


def buildkit(files: Mapping[str, bytes]) -> bytes:
    """util/winlayers: Hives first, creation times with unpadded fractions, descriptors on all."""
    pax = {"LIBARCHIVE.creationtime": "1600000000.5", "MSWINDOWS.rawsd": b64(FULL_FOR_SYSTEM)}
    tar = LayerTar().directory("Hives").directory("Files")
    for name in parents(files):
        tar.directory(f"Files/{name}/", pax={**pax, "MSWINDOWS.fileattr": "16"})
    for name, data in files.items():
        tar.add(f"Files/{name}", data, pax={**pax, "MSWINDOWS.fileattr": "32"})
    return tar.bytes()


def crane(files: Mapping[str, bytes]) -> bytes:
    """crane append: no parents beyond Files, one short descriptor, no attributes."""
    tar = LayerTar().directory("Files").directory("Hives")
    for name, data in files.items():
        tar.add(f"Files/{name}", data, pax={"MSWINDOWS.rawsd": b64(CRANE_DESCRIPTOR)})
    return tar.bytes()


def ko(files: Mapping[str, bytes]) -> bytes:
    """ko: descriptors on files only."""
    tar = LayerTar().directory("Hives").directory("Files")
    for name in parents(files):
        tar.directory(f"Files/{name}")
    for name, data in files.items():
        tar.add(f"Files/{name}", data, pax={"MSWINDOWS.rawsd": b64(CRANE_DESCRIPTOR)})
    return tar.bytes()


def imgutil(files: Mapping[str, bytes]) -> bytes:
    """imgutil: parents made up on the way, without descriptors."""
    tar = LayerTar().directory("Files").directory("Hives")
    for name in parents(files):
        tar.directory(f"Files/{name}")
    for name, data in files.items():
        tar.add(f"Files/{name}", data, pax={"MSWINDOWS.rawsd": b64(FULL_FOR_SYSTEM)})
    return tar.bytes()


TOOLS = (docker_on_windows, buildkit, crane, ko, imgutil)
