"""A commit of a small change on a chain of many files, beside comparing two mounted trees.

The peer does what a tool does that knows nothing of the disk: it mounts the volume as it was
and as it is with ntfs-3g, and walks both, comparing what a mount shows of each file, and its
bytes where that is equal, as ``rsync --checksum`` does. Both disks are raw files for it, made
before it is measured. Needs root, for the mounts, and 3 GB in the folder of ``--work``, where
what is made once is kept.

    scripts/bench commit [--runs 3] [--files 100000] [--work FOLDER]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from figures import Figure
from import_layer import BYTES_OF_SMALL_FILES, base, quietly, template_on
from layer_tar import Shape, stored

from linwin.disks import ChainDisks
from linwin.model.files import parse_path
from linwin.model.image import Layer
from linwin.model.layer import WrittenLayer
from linwin.paths import Paths

CHANGE_BYTES = 10_000
CHANGED = "app/part000/module0000/folder00000"
"""A folder of the layer's in which the change is made."""
PIECE = 1 << 20


def container(work: Path, files: int) -> tuple[ChainDisks, Path, Path]:
    """A container with the change, on a chain that is built once: the chain's end, and its overlay."""
    base(work)
    made = stored(Shape(files, files * BYTES_OF_SMALL_FILES), work)
    layer = Layer(made.diff_id, made.diff_id, "", made.blob.stat().st_size, made.blob)
    root = work / f"commit-{files}"
    disks = ChainDisks(Paths(root, work / "socket"))
    _, end = asyncio.run(disks.chain(template_on(work / "c.qcow2"), [layer], lambda _: None))
    overlay = root / "container.qcow2"
    asyncio.run(disks.overlay(end, overlay, uid=os.getuid()))
    asyncio.run(disks.files(overlay).write(parse_path("/"), change(work), keep_kinds=True))
    return disks, end, overlay


def change(work: Path) -> Path:
    archive = work / "change.tar"
    with tarfile.open(archive, "w") as tar:
        info = tarfile.TarInfo(f"{CHANGED}/new.bin")
        info.size, info.mtime = CHANGE_BYTES, 1_700_000_000
        tar.addfile(info, io.BytesIO(os.urandom(CHANGE_BYTES)))
    return archive


# ---- ours -----------------------------------------------------------------------


def ours(disks: ChainDisks, overlay: Path) -> tuple[float, WrittenLayer]:
    output = overlay.with_name("layer.tar")
    start = time.monotonic()
    written = asyncio.run(disks.layer(overlay, output, kind="bench"))
    seconds = time.monotonic() - start
    with tarfile.open(output) as tar:
        names = tar.getnames()
    assert f"Files/{CHANGED}/new.bin" in names
    assert len(names) == 7, names
    return seconds, written


# ---- the peer -------------------------------------------------------------------


def flattened(disk: Path, raw: Path) -> Path:
    quietly("qemu-img", "convert", "-O", "raw", disk, raw)
    return raw


@contextlib.contextmanager
def mounted(raw: Path, folder: Path) -> Iterator[Path]:
    folder.mkdir(exist_ok=True)
    with subprocess.Popen(
        ["ntfs-3g", "-o", "ro,noatime,no_detach", raw, folder], stderr=subprocess.DEVNULL
    ) as server:
        while not folder.is_mount():
            time.sleep(0.005)  # it has no way to say that it serves
        try:
            yield folder
        finally:
            quietly("umount", folder)
            server.wait()


def compared(old: Path, new: Path, work: Path) -> float:
    start = time.monotonic()
    with mounted(old, work / "old") as before, mounted(new, work / "new") as after:
        found = list(differences(before, after))
    seconds = time.monotonic() - start
    assert any(path.endswith("/new.bin") for path in found)
    return seconds


def differences(before: Path, after: Path) -> Iterator[str]:
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        was, is_ = ({entry.name: entry for entry in os.scandir(root / folder)} for root in (before, after))
        yield from (f"{folder}/{name}" for name in was.keys() ^ is_.keys())
        for name in was.keys() & is_.keys():
            path = f"{folder}/{name}" if folder else name
            if differ(was[name], is_[name]):
                yield path
            if is_[name].is_dir(follow_symlinks=False):
                waiting.append(path)


def differ(was: os.DirEntry[str], is_: os.DirEntry[str]) -> bool:
    one, other = (entry.stat(follow_symlinks=False) for entry in (was, is_))
    if (one.st_mode, one.st_size, one.st_mtime_ns) != (other.st_mode, other.st_size, other.st_mtime_ns):
        return True
    return was.is_file(follow_symlinks=False) and not same_bytes(was.path, is_.path)


def same_bytes(one: str, other: str) -> bool:
    with open(one, "rb", buffering=0) as was, open(other, "rb", buffering=0) as is_:
        while (data := was.read(PIECE)) == is_.read(PIECE):
            if not data:
                return True
    return False


# ---- the figures ------------------------------------------------------------------


def figures(work: Path, files: int, runs: int) -> Iterator[Figure]:
    disks, end, overlay = container(work, files)
    old, new = flattened(end, work / "old.raw"), flattened(overlay, work / "new.raw")
    mine, theirs, read = [], [], 0
    for _ in range(runs):
        seconds, written = ours(disks, overlay)
        mine.append(seconds)
        read = max(read, written.bytes_read)
        theirs.append(compared(old, new, work))
    old.unlink()
    new.unlink()
    name = f"commit of {CHANGE_BYTES} bytes on {files} files"
    fastest = f"median of {runs}; fastest {min(mine):.2f} and {min(theirs):.1f} s"
    second = round(statistics.median(mine), 3)
    yield Figure(
        f"{name}, beside comparing two ntfs-3g mounts",
        second,
        round(statistics.median(theirs), 3),
        "s",
        {"max": 0.05},
        fastest,
    )
    yield Figure(name, second, None, "s", {"max": 2})
    yield Figure(f"{name}: what is read of both disks", round(read / 1e6, 3), None, "MB", {"max": 20})


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "linwin-bench-import")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    met = True
    for figure in figures(given.work, given.files, given.runs):
        print(figure.line(), flush=True)
        met = met and figure.met
    sys.exit(not met)


if __name__ == "__main__":
    main()
