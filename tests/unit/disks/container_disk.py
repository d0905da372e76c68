"""A container's disk that ntfs-3g changed, the layer of it, and the layer on a chain: both disks compared.

The changes are made through a mount, where extended attributes are the way to all that Windows knows.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from linwin.disks import ChainDisks
from linwin.model.image import Layer
from linwin.model.layer import WrittenLayer
from linwin.model.template import Template
from linwin.paths import Paths
from tests.unit.disks.fsntfs_reader import Listed, listed
from tests.unit.disks.independent import STORED, extended_attributes, named_alike
from tests.unit.disks.ntfs_reader import Found, VolumeReader
from tests.unit.layers.written import MOUNT_POINT, relative, reparse

SIZE = 48 << 20
CLUSTER = 64 << 10
LOST_BY_FILES = 0x200 | 0x800
"""SPARSE and COMPRESSED: of a file they say how it lies on its volume, and no layer brings that."""

Change = Callable[[Path], object]
Container = Callable[..., "ContainerDisk"]
"""Makes a container of a template that holds :func:`populate`'s files, and changes it."""


def mounting(raw: Path, folder: Path, change: Change, options: str = "noatime") -> None:
    """Let ``change`` work on a mounted volume. Its streams are extended attributes ``user.NAME``."""
    folder.mkdir(exist_ok=True)
    subprocess.run(
        ["ntfs-3g", "-o", f"{options},permissions,streams_interface=xattr", raw, folder], check=True
    )
    try:
        change(folder)
    finally:
        subprocess.run(["umount", folder], check=True)


def volume(raw: Path, folder: Path, populate: Change) -> Path:
    """A raw disk of :data:`SIZE` bytes that holds what ``populate`` makes."""
    with raw.open("wb") as file:
        file.truncate(SIZE)
    subprocess.run(["mkntfs", "-Q", "-F", "-q", raw], check=True, capture_output=True)
    mounting(raw, folder, populate)
    return raw


@dataclass
class ContainerDisk:
    """An overlay on a template's disk, and the root they are in. ``raw`` is the same volume as a raw disk."""

    disks: ChainDisks
    base: Template
    overlay: Path
    raw: Path
    before: Path
    scratch: Path

    @classmethod
    def on(cls, before: Path, scratch: Path, new_template: Callable[[Path], Template]) -> ContainerDisk:
        """A new container of a template whose C: is the raw disk ``before``."""
        paths = Paths(scratch / "root", scratch / "socket")
        folder = paths.templates / "wine"
        folder.mkdir(parents=True)
        subprocess.run(["qemu-img", "convert", "-O", "qcow2", before, folder / "c.qcow2"], check=True)
        disks, base = ChainDisks(paths), new_template(folder / "c.qcow2")
        overlay, raw = scratch / "overlay.qcow2", scratch / "container.raw"
        asyncio.run(overlay_on(disks, base, overlay))
        shutil.copyfile(before, raw)
        return cls(disks, base, overlay, raw, before, scratch)

    def change(self, *changes: Change, options: str = "noatime") -> ContainerDisk:
        """Change the container's C: by mounts, one after the other."""
        for change in changes:
            mounting(self.raw, self.scratch / "mount", change, options)
        self.overlay.unlink()
        asyncio.run(overlay_on(self.disks, self.base, self.overlay))
        write_what_differs(self.before, self.raw, self.overlay)
        return self

    def layer(self, name: str = "layer.tar", latest: int | None = None) -> WrittenLayer:
        return asyncio.run(self.disks.layer(self.overlay, self.scratch / name, kind="wine", latest=latest))

    def entries(self) -> bytes:
        """The layer's bytes."""
        written = self.layer()
        data = (self.scratch / "layer.tar").read_bytes()
        assert written.size == len(data)
        return data

    def applied(self) -> Path:
        """The end of a chain with the layer on top."""
        written = self.layer()
        blob = self.scratch / "layer.tar"
        layer = Layer(written.diff_id, written.diff_id, "", written.size, blob)
        _, end = asyncio.run(self.disks.chain(self.base, [layer], lambda _: None))
        return end

    def confirm(self, *, renamed: Collection[str] = ()) -> None:
        """Assert that the chain with the layer has the container's volume.

        ``renamed`` are folders whose case changed; a chain keeps the spelling of the layer below.
        """
        assert_alike(self.raw, self.applied(), self.scratch, renamed)


async def overlay_on(disks: ChainDisks, base: Template, overlay: Path) -> None:
    _, end = await disks.chain(base, [], lambda _: None)
    await disks.overlay(end, overlay, uid=os.getuid())


def write_what_differs(before: Path, after: Path, overlay: Path) -> None:
    commands = []
    with before.open("rb") as one, after.open("rb") as other:
        for at in range(0, SIZE, CLUSTER):
            if one.read(CLUSTER) != (data := other.read(CLUSTER)):
                part = overlay.with_name(f"part-{at}")
                part.write_bytes(data)
                commands += ["-c", f"write -q -s {part} {at} {CLUSTER}"]
    subprocess.run(["qemu-io", "-f", "qcow2", *commands, overlay], check=True)


# ---- comparing ------------------------------------------------------------------


def assert_alike(container: Path, chain: Path, scratch: Path, renamed: Collection[str] = ()) -> None:
    """Compare two volumes file by file, by two readers that share no code with ours, change times aside."""
    one = VolumeReader(container, scratch / "one.raw").found
    other = VolumeReader(chain, scratch / "other.raw").found
    by_records = compared(
        {spelled(path, renamed): told(found) for path, found in one.items()},
        {spelled(path, renamed): told(found) for path, found in other.items()},
    )
    by_indexes = compared(
        {spelled(p, renamed): told_by_index(found) for p, found in listed(scratch / "one.raw").items()},
        {spelled(p, renamed): told_by_index(found) for p, found in listed(scratch / "other.raw").items()},
    )
    wrong = by_records + by_indexes
    assert not wrong, "\n".join(wrong)
    groups = [
        named_alike({spelled(path, renamed): found.number for path, found in side.items()})
        for side in (one, other)
    ]
    assert groups[0] == groups[1]


def spelled(path: str, renamed: Collection[str]) -> str:
    for folder in renamed:
        if path.lower().startswith(folder.lower()):
            path = folder.lower() + path[len(folder) :]
    return path


def compared(one: dict[str, dict[str, object]], other: dict[str, dict[str, object]]) -> list[str]:
    wrong = [f"{path} is only in the container" for path in sorted(one.keys() - other.keys())]
    wrong += [f"{path} is only in the chain" for path in sorted(other.keys() - one.keys())]
    for path in sorted(one.keys() & other.keys()):
        for what, value in one[path].items():
            if value != other[path][what]:
                wrong.append(f"{path}: {what}: {value!r:.200}, in the chain {other[path][what]!r:.200}")
    return wrong


def told(found: Found) -> dict[str, object]:
    """All of a file or folder that a layer brings."""
    created, modified, _, accessed = (nanoseconds // 100 for nanoseconds in found.times)
    kept = STORED if found.is_directory else STORED & ~LOST_BY_FILES
    return {
        "folder": found.is_directory,
        "data": found.data if not found.reparse else b"",
        "streams": found.streams,
        "attributes": found.attributes & kept,
        "times": (created, modified, accessed),
        "security": found.security,
        "reparse": found.reparse,
        "extended attributes": extended_attributes(found.extended),
    }


def told_by_index(found: Listed) -> dict[str, object]:
    created, modified, _, accessed = found.times
    return {
        "data": found.data,
        "streams": found.streams,
        "times": (created, modified, accessed),
        "link": found.reparse,
    }


# ---- what a mount can do -----------------------------------------------------------


def set_attributes(path: Path, attributes: int) -> None:
    os.setxattr(path, "system.ntfs_attrib", attributes.to_bytes(4, "little"))


def set_security(path: Path, descriptor: bytes) -> None:
    os.setxattr(path, "system.ntfs_acl", descriptor)


def set_stream(path: Path, stream: str, data: bytes) -> None:
    os.setxattr(path, f"user.{stream}", data)


def set_extended(path: Path, name: str, value: bytes) -> None:
    body = bytes([0, len(name)]) + len(value).to_bytes(2, "little") + name.encode() + b"\0" + value
    length = (4 + len(body) + 3) & ~3
    os.setxattr(path, "system.ntfs_ea", (length.to_bytes(4, "little") + body).ljust(length, b"\0"))


def symbolic_link(path: Path, target: str, *, folder: bool = False) -> None:
    path.mkdir() if folder else path.touch()
    os.setxattr(path, "system.ntfs_reparse_data", relative(target))


def junction(path: Path, target: str) -> None:
    path.mkdir()
    os.setxattr(path, "system.ntfs_reparse_data", reparse(MOUNT_POINT, f"\\??\\{target}", target))


# ---- what containers have to begin with -------------------------------------------

FILES = 400
"""So many that their records take several clusters of an overlay."""


REGISTRY = """WINE REGISTRY Version 2
;; All keys relative to REGISTRY\\\\Machine

#arch=win64

[Software\\\\Test] {}
"value"="{}"
"""
"""A time, which says nothing, and a value."""


def populate(c: Path) -> None:
    for folder in ("Windows/System32/config/linwin", "data/deep/deeper", "empty", "other"):
        (c / folder).mkdir(parents=True)
    (c / "Windows/System32/config/linwin/system.reg").write_text(REGISTRY.format(1_600_000_000, "before"))
    (c / "data/a.txt").write_text("a")
    (c / "data/large.bin").write_bytes(os.urandom(700_000))
    (c / "data/deep/b.txt").write_text("b")
    (c / "data/deep/deeper/c.txt").write_text("c")
    for number in range(FILES):
        (c / f"data/file {number:03}").write_text(str(number))
    linked(c)
    set_stream(c / "data/deep", "of a folder", b"stream")
    set_stream(c / "data/deep/b.txt", "Zone.Identifier", b"[ZoneTransfer]")
    set_extended(c / "data/deep/b.txt", "EA.ONE", b"value")
    set_attributes(c / "data/a.txt", 0x23)
    symbolic_link(c / "data/link", "a.txt")
    junction(c / "data/junction", "C:\\other")


def linked(c: Path) -> None:
    """A file with three names, and one with two."""
    (c / "other/one").write_bytes(b"linked" * 500)
    os.link(c / "other/one", c / "other/two")
    os.link(c / "other/one", c / "data/three")
    (c / "other/x").write_text("pair")
    os.link(c / "other/x", c / "other/y")
