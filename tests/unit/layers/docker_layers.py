"""Images that docker on Windows made: everything that a layer can have.

Format: hcsshim ``internal/wclayer``, go-winio ``backuptar``.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import replace

from tests.unit.layers import descriptors as sd
from tests.unit.layers.raw_tar import DIRECTORY, HARD_LINK, SYMBOLIC_LINK, RawTar
from tests.unit.layers.written import (
    ARCHIVE,
    FOLDER,
    HIDDEN,
    MOUNT_POINT,
    NOT_INDEXED,
    READ_ONLY,
    REPARSE,
    SPARSE,
    SYMLINK,
    SYSTEM,
    TEMPORARY,
    Times,
    Written,
    WrittenImage,
    at,
    b64,
    linked,
    pax_time,
    reparse,
)

TIMES = Times(
    at(1_500_000_000, 7_654_321), at(1_600_000_000, 1_234_567), at(1_600_000_001, 1), at(1_600_000_002)
)
OWN = sd.descriptor(
    sd.TRUSTED_INSTALLER,
    sd.TRUSTED_INSTALLER,
    dacl=sd.acl(
        sd.ace(sd.ALLOWED, 0, sd.ALL, sd.TRUSTED_INSTALLER),
        sd.ace(sd.ALLOWED, sd.INHERITED, sd.READ_AND_EXECUTE, sd.USERS),
    ),
    control=sd.DACL_PROTECTED | sd.DACL_AUTO_INHERITED,
)
NO_DACL = sd.descriptor(sd.ADMINISTRATORS, sd.SYSTEM)
NULL_DACL = sd.descriptor(sd.ADMINISTRATORS, sd.SYSTEM, dacl=b"")
EMPTY_DACL = sd.descriptor(sd.ADMINISTRATORS, sd.SYSTEM, dacl=sd.acl())
LABELLED = sd.descriptor(
    sd.ADMINISTRATORS,
    sd.SYSTEM,
    dacl=sd.acl(sd.ace(sd.DENIED, 0, 0x2, sd.EVERYONE), sd.ace(sd.ALLOWED, 0, sd.ALL, sd.SYSTEM)),
    sacl=sd.acl(sd.ace(sd.LABEL, 0, 1, "S-1-16-12288")),
)


class WindowsTar(RawTar):
    """go-winio's ``backuptar``: every record on every entry, streams as entries of their own."""

    def put(self, name: str, file: Written, *, type: bytes | None = None, target: str = "") -> None:
        assert file.times is not None
        pax = {
            "MSWINDOWS.fileattr": str(file.attributes),
            "mtime": pax_time(file.times.modified),
            "atime": pax_time(file.times.accessed),
            "ctime": pax_time(file.times.changed),
            "LIBARCHIVE.creationtime": pax_time(file.times.created),
        }
        if file.security is not None:
            pax["MSWINDOWS.rawsd"] = b64(file.security)
        pax |= {f"MSWINDOWS.xattr.{key}": b64(value) for key, value in file.extended.items()}
        if file.reparse.startswith(struct.pack("<I", MOUNT_POINT)):
            pax["MSWINDOWS.mountpoint"] = "1"
        folder = file.attributes & FOLDER
        mode = (0o040000 if folder else 0) | (0o120000 if file.reparse else 0 if folder else 0o100000)
        kind = SYMBOLIC_LINK if file.reparse else DIRECTORY if folder else b"0"
        self.add(name, file.data, type=kind, link=target, mode=mode, pax=pax)
        for stream, data in file.streams.items():
            self.add(f"{name}:{stream}", data, mode=mode, pax={"mtime": pax["mtime"]})

    def link(self, name: str, target: str) -> None:
        self.add(name, type=HARD_LINK, link=target)

    def whiteout(self, path: str) -> None:
        parent, _, name = path.rpartition("/")
        self.add(f"{parent}/.wh.{name}", mode=0)


FOLDER_OF_DOCKER = Written(FOLDER, TIMES, security=OWN)
FILE_OF_DOCKER = Written(ARCHIVE, TIMES, security=OWN)

DOCKER_FILES: dict[str, Written] = {
    "docker": FOLDER_OF_DOCKER,
    "docker/empty": FILE_OF_DOCKER,
    "docker/small.txt": replace(FILE_OF_DOCKER, data=b"small\r\n"),
    "docker/big.bin": replace(FILE_OF_DOCKER, data=bytes(range(256)) * 12_345 + b"end"),
    "docker/one cluster": replace(FILE_OF_DOCKER, data=b"c" * 4096),
    "docker/Ünïcode 名前 😀.txt": replace(FILE_OF_DOCKER, data="名前".encode()),
    "docker/" + "n" * 255: replace(FILE_OF_DOCKER, data=b"long name"),
    "docker/ leading space, comma; [brackets] {braces} #%&'()+=@^`~!$": FILE_OF_DOCKER,
    "docker/hidden": Written(FOLDER | HIDDEN | SYSTEM, TIMES, security=NO_DACL),
    "docker/hidden/read only": Written(READ_ONLY | HIDDEN | SYSTEM | ARCHIVE, TIMES, security=NULL_DACL),
    "docker/hidden/not indexed": Written(NOT_INDEXED | TEMPORARY, TIMES, b"t", EMPTY_DACL),
    "docker/labelled": Written(ARCHIVE, TIMES, security=LABELLED),
    "docker/before 1970": replace(
        FILE_OF_DOCKER, times=Times(at(-11_644_473_600, 1), at(-2, 5), at(-1, 9_999_999), at(0))
    ),
    "docker/year 9999": replace(FILE_OF_DOCKER, times=Times(*(at(253_402_300_799, 9_999_999),) * 4)),
    "docker/streams": replace(FOLDER_OF_DOCKER, streams={"on a folder": b"f"}),
    "docker/streams/file": replace(
        FILE_OF_DOCKER,
        data=b"unnamed",
        streams={
            "Zone.Identifier": b"[ZoneTransfer]\r\nZoneId=3\r\n",
            "\x05SummaryInformation": b"\x05" * 700,
            "big": b"stream" * 300_000,
            "empty": b"",
        },
    ),
    "docker/attributes of OS2": replace(
        FILE_OF_DOCKER, extended={"FIRST": b"1", "$KERNEL.PURGE.TEST": bytes(range(256)) * 20}
    ),
    "docker/link.txt": Written(
        ARCHIVE | REPARSE, TIMES, security=OWN, reparse=reparse(SYMLINK, "small.txt", "small.txt", 1)
    ),
    "docker/link folder": Written(
        FOLDER | REPARSE, TIMES, security=OWN, reparse=reparse(SYMLINK, "..\\docker", "..\\docker", 1)
    ),
    "docker/absolute": Written(
        ARCHIVE | REPARSE, TIMES, security=OWN, reparse=reparse(SYMLINK, "\\??\\C:\\a b", "C:\\a b")
    ),
    "docker/share": Written(
        FOLDER | REPARSE, TIMES, security=OWN, reparse=reparse(SYMLINK, "\\??\\UNC\\host\\s", "\\\\host\\s")
    ),
    "docker/junction": Written(
        FOLDER | REPARSE, TIMES, security=OWN, reparse=reparse(MOUNT_POINT, "\\??\\C:\\docker", "C:\\docker")
    ),
    "docker/volume": Written(
        FOLDER | REPARSE,
        TIMES,
        security=OWN,
        reparse=reparse(MOUNT_POINT, "\\??\\Volume{1-2}\\", "\\\\?\\Volume{1-2}\\"),
    ),
}
DOCKER_TARGETS = {
    "docker/link.txt": "small.txt",
    "docker/link folder": "..\\docker",
    "docker/absolute": "C:\\a b",
    "docker/share": "\\\\host\\s",
    "docker/junction": "C:\\docker",
    "docker/volume": "\\\\?\\Volume{1-2}\\",
}
DEEP = [f"docker/{'/'.join(['a folder on a long path'] * depth)}" for depth in range(1, 60)]


def docker_on_windows() -> WrittenImage:
    """hcsshim's export of two layers: all there is, whiteouts, and links down and into UtilityVM."""
    volume = dict(DOCKER_FILES)
    volume |= dict.fromkeys(DEEP, FOLDER_OF_DOCKER)
    volume[f"{DEEP[-1]}/bottom"] = replace(FILE_OF_DOCKER, data=b"deep")
    sparse = replace(FILE_OF_DOCKER, attributes=ARCHIVE | SPARSE, data=b"a" + bytes(3_000_000) + b"z")
    lower = docker_base(volume, sparse)
    # The volume keeps what NTFS cannot be told, that a file is sparse, as zeros.
    volume["docker/sparse"] = replace(sparse, attributes=ARCHIVE)
    upper = docker_upper(volume)
    return WrittenImage((lower, upper), volume)


def docker_base(volume: Mapping[str, Written], sparse: Written) -> bytes:
    tar = WindowsTar()
    tar.put("Files", FOLDER_OF_DOCKER)
    for path, file in volume.items():
        tar.put(f"Files/{path}", file, target=DOCKER_TARGETS.get(path, ""))
    tar.put("Files/docker/sparse", sparse)
    tar.put("Files/docker/shared", replace(FILE_OF_DOCKER, data=b"shared"))
    tar.link("Files/docker/shared too", "Files/docker/shared")
    tar.put("Files/docker/gone", FOLDER_OF_DOCKER)
    tar.put("Files/docker/gone/file", FILE_OF_DOCKER)
    tar.put("Files/docker/was a file", FILE_OF_DOCKER)
    tar.put("Files/docker/was a folder", FOLDER_OF_DOCKER)
    tar.put("Files/docker/was a folder/in it", FILE_OF_DOCKER)
    tar.put("Files/docker/Merged", FOLDER_OF_DOCKER)
    tar.put("Files/docker/Merged/Lower.txt", replace(FILE_OF_DOCKER, data=b"lower"))
    tar.put("Files/docker/Merged/Stays.txt", replace(FILE_OF_DOCKER, data=b"stays"))
    tar.put("Hives", FOLDER_OF_DOCKER)
    for folder in ("UtilityVM", "UtilityVM/Files", "UtilityVM/Files/boot"):
        tar.put(folder, FOLDER_OF_DOCKER)
    tar.put("UtilityVM/Files/boot/below", IN_UTILITY_VM)
    return tar.bytes()


IN_UTILITY_VM = replace(FILE_OF_DOCKER, data=b"in UtilityVM" * 1000, streams={"stream": b"of it"})
UPPER_TIMES = replace(TIMES, modified=at(1_700_000_000, 3))


def docker_upper(volume: dict[str, Written]) -> bytes:
    changed = replace(FILE_OF_DOCKER, times=UPPER_TIMES, data=b"upper")
    merged = replace(FOLDER_OF_DOCKER, attributes=FOLDER | HIDDEN, times=UPPER_TIMES)
    tar = WindowsTar()
    tar.put("Files", FOLDER_OF_DOCKER)
    tar.put("Files/docker", FOLDER_OF_DOCKER)
    tar.whiteout("Files/docker/gone")
    tar.put("Files/docker/was a file", FOLDER_OF_DOCKER)
    tar.put("Files/docker/was a file/in it", changed)
    tar.put("Files/docker/was a folder", changed)
    tar.put("Files/docker/MERGED", merged)
    tar.put("Files/docker/MERGED/LOWER.TXT", changed)
    tar.link("Files/docker/shared by layers", "Files/docker/shared")
    tar.link("Files/docker/from below", "UtilityVM/Files/boot/below")
    tar.link("Files/docker/from here", "UtilityVM/Files/here")
    tar.link("Files/docker/from here too", "UtilityVM/Files/HERE")
    tar.put("Hives", FOLDER_OF_DOCKER)
    tar.put("UtilityVM", FOLDER_OF_DOCKER)
    tar.put("UtilityVM/Files", FOLDER_OF_DOCKER)
    tar.put("UtilityVM/Files/here", replace(IN_UTILITY_VM, data=b"here"))
    tar.link("UtilityVM/Files/back", "Files/docker/small.txt")
    volume |= {
        "docker/was a file": FOLDER_OF_DOCKER,
        "docker/was a file/in it": changed,
        "docker/was a folder": changed,
        "docker/Merged": merged,
        "docker/Merged/LOWER.TXT": changed,
        "docker/Merged/Stays.txt": replace(FILE_OF_DOCKER, data=b"stays"),
        "docker/from below": IN_UTILITY_VM,
    }
    volume |= linked(
        replace(FILE_OF_DOCKER, data=b"shared"),
        "docker/shared",
        "docker/shared too",
        "docker/shared by layers",
    )
    volume |= linked(replace(IN_UTILITY_VM, data=b"here"), "docker/from here", "docker/from here too")
    return tar.bytes()


def docker_2016() -> WrittenImage:
    """go-winio before 2017: descriptors as SDDL, no extended attributes."""
    sddl = "O:SYG:BAD:PAI(A;OICI;FA;;;SY)(A;OICIIO;GXGR;;;BU)"
    security = sd.descriptor(
        sd.SYSTEM,
        sd.ADMINISTRATORS,
        dacl=sd.acl(sd.ace(sd.ALLOWED, 3, sd.ALL, sd.SYSTEM), sd.ace(sd.ALLOWED, 11, 0xA0000000, sd.USERS)),
        control=sd.DACL_PROTECTED | sd.DACL_AUTO_INHERITED,
    )
    times = Times(at(1_470_000_000), at(1_470_000_000, 5), at(1_470_000_000, 5), at(1_470_000_000, 5))
    common = {"MSWINDOWS.sd": sddl, "mtime": pax_time(times.modified)}
    common["LIBARCHIVE.creationtime"] = pax_time(times.created)
    folder, file = {**common, "MSWINDOWS.fileattr": "16"}, {**common, "MSWINDOWS.fileattr": "32"}
    tar = RawTar().add("Files", type=DIRECTORY, pax=folder)
    tar.add("Files/docker2016", type=DIRECTORY, pax=folder).add("Files/docker2016/f", b"2016", pax=file)
    tar.add("Hives", type=DIRECTORY, pax=folder)
    volume = {
        "docker2016": Written(FOLDER, times, security=security),
        "docker2016/f": Written(ARCHIVE, times, b"2016", security),
    }
    return WrittenImage((tar.bytes(),), volume)
