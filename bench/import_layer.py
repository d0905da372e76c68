"""From a layer's tar to a finished qcow2 overlay, beside the tools that write NTFS.

The peers write the same tree onto a raw file: ``wimlib-imagex apply`` from an
uncompressed WIM, which writes through libntfs-3g as linwin does but neither
unpacks nor hashes a tar nor writes qcow2, and ``tar`` into an ntfs-3g mount. All
are synced to the disk. Needs root, for the mount, and 8 GB in the folder of
``--work``, where what is made once is kept.

    scripts/bench import [--runs 3] [--files 50000] [--bytes 1073741824] [--work FOLDER]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from figures import Figure
from layer_tar import Shape, StoredLayer, stored

from linwin.disks import ChainDisks
from linwin.model.image import Layer
from linwin.model.progress import Progress
from linwin.model.template import Template
from linwin.paths import Paths

VOLUME_BYTES = 16 << 30
BYTES_OF_SMALL_FILES = 2000
MORE = 10
LAYERS_BELOW = 10
SMALL_LAYER_BYTES = 10_000


@dataclass(frozen=True)
class Measured:
    """One run: seconds, seconds of processor time of all processes, and where it is ours the rest.

    ``memory`` is the peak of the largest process, the worker; ``export`` that of
    the qemu-storage-daemon it writes through; ``disk`` what the overlay takes. Bytes.
    """

    wall: float
    cpu: float
    memory: int = 0
    export: int = 0
    disk: int = 0


def cpu(usage: resource.struct_rusage) -> float:
    return usage.ru_utime + usage.ru_stime


@contextlib.contextmanager
def measuring(file: Path) -> Iterator[list[Measured]]:
    """Time what is done inside and the sync of ``file`` after it; the result is put into the list."""
    os.sync()
    results: list[Measured] = []
    before = cpu(resource.getrusage(resource.RUSAGE_CHILDREN))
    start = time.monotonic()
    yield results
    with file.open("rb") as opened:
        os.fsync(opened.fileno())
    wall = time.monotonic() - start
    results.append(Measured(wall, cpu(resource.getrusage(resource.RUSAGE_CHILDREN)) - before))


# Ours, in a process of its own: what the kernel counts of children it counts of all there ever were.


def ours(work: Path, layers: list[StoredLayer]) -> Measured:
    """Build a chain, and measure its last layer."""
    arguments = json.dumps([[str(layer.blob), layer.diff_id] for layer in layers])
    argv = [sys.executable, __file__, "--work", work, "--once", arguments]
    os.sync()
    return Measured(**json.loads(subprocess.run(argv, check=True, stdout=subprocess.PIPE).stdout))


def once(work: Path, arguments: str) -> Measured:
    shutil.rmtree(work / "root", ignore_errors=True)
    disks = ChainDisks(Paths(work / "root", work / "socket"))
    template = template_on(work / "c.qcow2")
    layers = [
        Layer(diff_id, diff_id, "", Path(blob).stat().st_size, Path(blob))
        for blob, diff_id in json.loads(arguments)
    ]
    asyncio.run(disks.chain(template, layers[:-1], lambda _: None))
    export = 0

    def watch(_: Progress) -> None:
        nonlocal export
        export = max(export, peak_of_export())

    before = cpu(resource.getrusage(resource.RUSAGE_CHILDREN))
    start = time.monotonic()
    _, end = asyncio.run(disks.chain(template, layers, watch))
    wall = time.monotonic() - start
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Measured(wall, cpu(usage) - before, usage.ru_maxrss << 10, export, end.stat().st_blocks * 512)


def template_on(c_disk: Path) -> Template:
    nothing = Path("nothing")
    return Template(
        "bench", "wine", "sha256:" + "be" * 32, nothing, nothing, "", nothing, c_disk, 0, True, ()
    )


def peak_of_export() -> int:
    """The largest resident set that a qemu-storage-daemon of this process's worker has had."""
    peak = 0
    for child in children(os.getpid()):
        for grandchild in children(child):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                status = Path(f"/proc/{grandchild}/status").read_text()
                fields = dict(line.split(":", 1) for line in status.splitlines())
                peak = max(peak, int(fields.get("VmHWM", "0").split()[0]) << 10)
    return peak


def children(process: int) -> list[int]:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return [int(word) for word in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    return []


# The peers


def fresh_volume(file: Path) -> None:
    """An empty NTFS volume in a raw file, as the one below our overlay."""
    file.unlink(missing_ok=True)
    with file.open("wb") as raw:
        raw.truncate(VOLUME_BYTES)
    quietly("mkntfs", "-Q", "-F", "-q", file)


def wimlib(work: Path, wim: Path) -> Measured:
    raw = work / "peer.raw"
    fresh_volume(raw)
    with measuring(raw) as result:
        quietly("wimlib-imagex", "apply", wim, "1", raw)
    raw.unlink()
    return result[0]


def tar_into_mount(work: Path, layer: StoredLayer) -> Measured:
    raw, mount = work / "peer.raw", work / "mount"
    fresh_volume(raw)
    mount.mkdir(exist_ok=True)
    with (
        measuring(raw) as result,
        subprocess.Popen(["ntfs-3g", "-o", "no_detach", raw, mount], stderr=subprocess.DEVNULL) as server,
    ):
        while not mount.is_mount():
            time.sleep(0.005)  # it has no way to say that it serves
        try:
            quietly("tar", "-x", "-f", layer.blob, "-C", mount)
        finally:
            quietly("umount", mount)
            server.wait()
    raw.unlink()
    return result[0]


def quietly(*words: str | Path) -> None:
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


# What is made once


def base(work: Path) -> None:
    """The template's disk: an empty volume."""
    if not (work / "c.qcow2").exists():
        fresh_volume(work / "c.raw")
        quietly("qemu-img", "convert", "-O", "qcow2", work / "c.raw", work / "c.qcow2")
        (work / "c.raw").unlink()


def captured(work: Path, layer: StoredLayer) -> Path:
    """A WIM, not compressed, of the tree that ours makes of the layer."""
    wim = layer.blob.with_suffix(".wim")
    if not wim.exists():
        ours(work, [layer])
        [overlay] = (file for file in (work / "root" / "chains").iterdir() if file.stat().st_nlink == 1)
        quietly("qemu-img", "convert", "-O", "raw", overlay, work / "tree.raw")
        quietly("wimlib-imagex", "capture", work / "tree.raw", work / "new.wim", "--compress=none")
        (work / "tree.raw").unlink()
        (work / "new.wim").rename(wim)
    return wim


# The figures


def in_turn(runs: int, *measures: Callable[[], Measured]) -> list[list[Measured]]:
    """All of them, measured alternately so that a busy moment strikes all alike."""
    rounds = [[measure() for measure in measures] for _ in range(runs)]
    return [list(results) for results in zip(*rounds, strict=True)]


def median(results: list[Measured], field: str) -> float:
    return round(statistics.median(getattr(result, field) for result in results), 3)


def note(mine: list[Measured], others: list[Measured]) -> str:
    fastest = (min(result.wall for result in results) for results in (mine, others))
    busy = (median(results, "cpu") for results in (mine, others))
    return "median of {}; fastest {:.2f} and {:.2f} s; processor time {:.2f} and {:.2f} s".format(
        len(mine), *fastest, *busy
    )


def against_peers(work: Path, layer: StoredLayer, files: int, runs: int) -> Iterator[Figure]:
    wim = captured(work, layer)
    mine, applied = in_turn(runs, lambda: ours(work, [layer]), lambda: wimlib(work, wim))
    name = f"import of {files} files"
    yield Figure(
        f"{name}, beside wimlib-imagex apply",
        median(mine, "wall"),
        median(applied, "wall"),
        "s",
        {"max": 1.5},
        note(mine, applied),
    )
    extracted = [tar_into_mount(work, layer) for _ in range(max(1, runs // 2))]
    yield Figure(
        f"{name}, beside tar into an ntfs-3g mount",
        median(mine, "wall"),
        median(extracted, "wall"),
        "s",
        {"max": round(1 / 3, 3)},
        note(mine, extracted),
    )
    yield memory(f"memory for {files} files", mine)


def memory(name: str, results: list[Measured]) -> Figure:
    largest = max(result.memory for result in results)
    export = max(result.export for result in results)
    beside = f"peak of the worker; the export beside it {export / 1e6:.0f} MB"
    return Figure(name, round(largest / 1e6, 1), None, "MB", {"max": 300}, beside)


def linearity(work: Path, files: int, runs: int) -> Iterator[Figure]:
    """Ten times the files, small ones, in little more than ten times the time."""
    few, many = (
        stored(Shape(count, count * BYTES_OF_SMALL_FILES, "many"), work) for count in (files, MORE * files)
    )
    one, ten = in_turn(runs, lambda: ours(work, [few]), lambda: ours(work, [many]))
    yield Figure(
        f"import of {MORE * files} small files, beside {MORE} times that of {files}",
        median(ten, "wall"),
        round(MORE * median(one, "wall"), 3),
        "s",
        {"max": 1.25},
        f"median of {runs}; processor time {median(ten, 'cpu'):.1f} and {MORE} x {median(one, 'cpu'):.2f} s",
    )
    yield memory(f"memory for {MORE * files} files", ten)


def small_layer(work: Path, files: int, runs: int) -> Iterator[Figure]:
    """What a layer of 10 kB costs on top of ten that have many files."""
    each = 2 * files // LAYERS_BELOW
    shapes = [Shape(each, each * BYTES_OF_SMALL_FILES, f"layer{n}") for n in range(LAYERS_BELOW)]
    layers = [stored(shape, work) for shape in [*shapes, Shape(1, SMALL_LAYER_BYTES, "small")]]
    results = [ours(work, layers) for _ in range(runs)]
    where = f"{SMALL_LAYER_BYTES} bytes on {LAYERS_BELOW} layers with {LAYERS_BELOW * each} files"
    disk = round(max(result.disk for result in results) / 1e6, 3)
    yield Figure("disk that a small layer takes", disk, None, "MB", {"max": 2}, where)
    busy = f"{where}; median of {runs}; processor time {median(results, 'cpu'):.2f} s"
    yield Figure("import of a small layer", median(results, "wall"), None, "s", {"max": 1}, busy)


def figures(work: Path, files: int, size: int, runs: int) -> Iterator[Figure]:
    base(work)
    yield from against_peers(work, stored(Shape(files, size), work), files, runs)
    yield from linearity(work, files, max(1, runs // 2))
    yield from small_layer(work, files, runs)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--files", type=int, default=50_000)
    parser.add_argument("--bytes", type=int, default=1 << 30)
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "linwin-bench-import")
    parser.add_argument("--once", help=argparse.SUPPRESS)
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    if given.once:
        print(json.dumps(asdict(once(given.work, given.once))))
        return
    met = True
    for figure in figures(given.work, given.files, given.bytes, given.runs):
        print(figure.line(), flush=True)
        met = met and figure.met
    sys.exit(not met)


if __name__ == "__main__":
    main()
