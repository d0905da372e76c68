"""Images that tools on Linux made: BuildKit, crane, ko and imgutil.

Formats: BuildKit ``util/winlayers``, crane ``internal/windows``, ko
``pkg/build``, imgutil ``layer``.
"""

from __future__ import annotations

import base64
from dataclasses import replace

from tests.unit.layers import descriptors as sd
from tests.unit.layers.raw_tar import DIRECTORY, HARD_LINK, SYMBOLIC_LINK, RawTar
from tests.unit.layers.written import (
    ARCHIVE,
    EPOCH,
    FOLDER,
    REPARSE,
    Times,
    Written,
    WrittenImage,
    at,
    b64,
    linked,
    relative,
)

BUILDKIT_FOLDER = (
    "AQAEgBQAAAAkAAAAAAAAADAAAAABAgAAAAAABSAAAAAgAgAAAQEAAAAAAAUSAAAAAgCoAAcAAAAAAxgA/wEfAAECAAAA"
    "AAAFIAAAACACAAAAAxQA/wEfAAEBAAAAAAAFEgAAAAAAGAD/AR8AAQIAAAAAAAUgAAAAIAIAAAALFAAAAAAQAQEAAAAA"
    "AAMAAAAAAAMYAKkAEgABAgAAAAAABSAAAAAhAgAAAAIYAAQAAAABAgAAAAAABSAAAAAhAgAAAAIYAAIAAAABAgAAAAAA"
    "BSAAAAAhAgAA"
)
BUILDKIT_FILE = (
    "AQAEgBQAAAAkAAAAAAAAADAAAAABAgAAAAAABSAAAAAgAgAAAQEAAAAAAAUSAAAAAgBMAAMAAAAAABgA/wEfAAECAAAA"
    "AAAFIAAAACACAAAAABQA/wEfAAEBAAAAAAAFEgAAAAAAGACpABIAAQIAAAAAAAUgAAAAIQIAAA=="
)
"""The two descriptors that BuildKit's util/winlayers/differ.go has in it."""


class BuildKitTar(RawTar):
    """A containerd diff, rewritten: ``Files/`` in front of names and, by mistake, of links' targets.

    Creation times are ``%d.%d`` of seconds and nanoseconds, so the fraction is not padded.
    """

    def put(
        self, name: str, data: bytes = b"", *, type: bytes = b"0", link: str = "", nanoseconds: int = 0
    ) -> None:
        pax = {"LIBARCHIVE.creationtime": f"1600000000.{nanoseconds}"}
        if nanoseconds:
            pax["mtime"] = f"1600000000.{nanoseconds:09d}".rstrip("0")
        if type == DIRECTORY:
            pax |= {"MSWINDOWS.fileattr": "16", "MSWINDOWS.rawsd": BUILDKIT_FOLDER}
        if type == b"0":
            pax |= {"MSWINDOWS.fileattr": "32", "MSWINDOWS.rawsd": BUILDKIT_FILE}
        mode = {DIRECTORY: 0o040755, SYMBOLIC_LINK: 0o777}.get(type, 0o100644)
        self.add(name, data, type=type, link=link, mode=mode, mtime=1_600_000_000, pax=pax)


def buildkit() -> WrittenImage:
    """Two layers, a whiteout in the upper one."""
    folder_security, file_security = (base64.b64decode(value) for value in (BUILDKIT_FOLDER, BUILDKIT_FILE))
    whole, padded, unpadded = at(1_600_000_000), at(1_600_000_000, 1_234_567), at(1_600_000_000, 5_000_000)
    lower = BuildKitTar()
    for top in ("Hives", "Files"):
        lower.add(top, type=DIRECTORY, pax={"MSWINDOWS.fileattr": "16", "LIBARCHIVE.creationtime": "1.5"})
    lower.put("Files/buildkit/", type=DIRECTORY)
    lower.put("Files/buildkit/gone.txt", b"gone")
    lower.put("Files/buildkit/tool.exe", b"MZ" * 5000, nanoseconds=123_456_789)
    lower.put("Files/buildkit/unpadded", b"u", nanoseconds=5)
    lower.put("Files/buildkit/linked", type=HARD_LINK, link="Files/buildkit/tool.exe")
    lower.put("Files/buildkit/unprefixed", type=HARD_LINK, link="buildkit/tool.exe")
    lower.put("Files/buildkit/relative", type=SYMBOLIC_LINK, link="Files/../buildkit/tool.exe")
    lower.put("Files/buildkit/rooted", type=SYMBOLIC_LINK, link="Files//buildkit/tool.exe")
    lower.put("Files/buildkit/as written", type=SYMBOLIC_LINK, link="tool.exe")
    for depth in range(1, 31):
        lower.put("Files/buildkit/" + "deeper/" * depth, type=DIRECTORY)
    upper = BuildKitTar().add("Hives", type=DIRECTORY).add("Files", type=DIRECTORY)
    upper.put("Files/buildkit/", type=DIRECTORY)
    upper.put("Files/buildkit/.wh.gone.txt")
    upper.put("Files/buildkit/new.txt", b"new")
    times = Times(whole, whole, whole, whole)
    file = Written(ARCHIVE, times, security=file_security)
    link = Written(REPARSE, times)
    # A link's time is the entry's own, the fraction of a creation time is read as it is written.
    volume: dict[str, Written] = {
        "buildkit": Written(FOLDER, times, security=folder_security),
        "buildkit/unpadded": replace(file, times=Times(unpadded, whole, whole, whole), data=b"u"),
        "buildkit/new.txt": replace(file, data=b"new"),
        "buildkit/relative": replace(link, reparse=relative("..\\buildkit\\tool.exe")),
        "buildkit/rooted": replace(link, reparse=relative("\\buildkit\\tool.exe")),
        "buildkit/as written": replace(link, reparse=relative("tool.exe")),
    }
    tool = replace(file, times=Times(padded, padded, padded, padded), data=b"MZ" * 5000)
    volume |= linked(tool, "buildkit/tool.exe", "buildkit/linked", "buildkit/unprefixed")
    volume |= {"buildkit" + "/deeper" * depth: volume["buildkit"] for depth in range(1, 31)}
    return WrittenImage((lower.bytes(), upper.bytes()), volume)


USERS_ONLY = sd.descriptor(sd.USERS, sd.USERS)
"""O:BUG:BU and no DACL: the 52 bytes that crane and ko put on what they add."""


def crane() -> WrittenImage:
    """``crane append`` of a Linux tar: its own modes and links, one descriptor on all, no parents."""
    pax = {"MSWINDOWS.rawsd": b64(USERS_ONLY)}
    tar = RawTar()
    for top in ("Files", "Hives"):
        tar.add(top, type=DIRECTORY, mode=0o555)
    tar.add("Files/crane/bin/app.exe", b"MZ" * 3000, mode=0o755, mtime=1_650_000_000, pax=pax)
    tar.add("Files/crane/linked.exe", type=HARD_LINK, link="./crane/bin/app.exe", pax=pax)
    tar.add("Files/crane/link.exe", type=SYMBOLIC_LINK, link="bin/app.exe", mtime=1_650_000_000, pax=pax)
    tar.add("Files/crane/later", b"", mtime=1_650_000_000, pax=pax)
    tar.add("Files/crane", type=DIRECTORY, mode=0o755, mtime=1_640_000_000, pax=pax)
    time, folder_time = at(1_650_000_000), at(1_640_000_000)
    times = Times(time, time, time, time)
    file = Written(0, times, security=USERS_ONLY)
    volume = {
        "crane": Written(FOLDER, Times(*(folder_time,) * 4), security=USERS_ONLY),
        "crane/bin": Written(FOLDER),
        "crane/later": file,
        "crane/link.exe": replace(file, attributes=REPARSE, reparse=relative("bin\\app.exe")),
    }
    volume |= linked(replace(file, data=b"MZ" * 3000), "crane/bin/app.exe", "crane/linked.exe")
    return WrittenImage((tar.bytes(),), volume)


def ko() -> WrittenImage:
    """ko: a folder with nothing but a mode, a descriptor on the one file."""
    tar = RawTar()
    for folder in ("Hives", "Files", "Files/ko-app"):
        tar.add(folder, type=DIRECTORY, mode=0o555)
    tar.add("Files/ko-app/app", b"MZ" * 200_000, mode=0o555, pax={"MSWINDOWS.rawsd": b64(USERS_ONLY)})
    times = Times(EPOCH, EPOCH, EPOCH, EPOCH)
    volume = {
        "ko-app": Written(FOLDER, times),
        "ko-app/app": Written(0, times, b"MZ" * 200_000, USERS_ONLY),
    }
    return WrittenImage((tar.bytes(),), volume)


def imgutil() -> WrittenImage:
    """imgutil: every parent made up on the way with no time and no descriptor, owners on files."""
    administrators = sd.descriptor(sd.ADMINISTRATORS, sd.ADMINISTRATORS)
    tar = RawTar()
    for folder in ("Files", "Hives", "Files/imgutil", "Files/imgutil/layers"):
        tar.add(folder, type=DIRECTORY, mode=0)
    for name, owner in (("root", administrators), ("user", USERS_ONLY)):
        pax = {"MSWINDOWS.rawsd": b64(owner)}
        tar.add(f"Files/imgutil/layers/{name}", name.encode(), mode=0o644, mtime=315_532_801, pax=pax)
    made_up, times = Times(*(EPOCH,) * 4), Times(*(at(315_532_801),) * 4)
    volume = {
        "imgutil": Written(FOLDER, made_up),
        "imgutil/layers": Written(FOLDER, made_up),
        "imgutil/layers/root": Written(0, times, b"root", administrators),
        "imgutil/layers/user": Written(0, times, b"user", USERS_ONLY),
    }
    return WrittenImage((tar.bytes(),), volume)
