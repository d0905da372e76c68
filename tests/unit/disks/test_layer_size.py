"""Layers of very many tiny entries: the writer's memory stays small, whatever they do."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.unit.disks.conftest import make_c_disk
from tests.unit.layers import raw_tar

COUNT = 50_000
MOST_MEMORY = 300 << 20

# A process of its own, so that the children it has waited for are the writer and its export.
BUILD = """
import asyncio, json, resource, sys
from pathlib import Path
from linwin.disks import ChainDisks
from linwin.model.image import Layer
from linwin.paths import Paths
from tests.unit.disks.conftest import template

root, c_disk, *layers = json.loads(sys.argv[1])
layers = [Layer(digest, digest, "", Path(blob).stat().st_size, Path(blob)) for blob, digest in layers]
disks = ChainDisks(Paths(Path(root), Path(root) / "s"))
asyncio.run(disks.chain(template(Path(c_disk)), layers, lambda _: None))
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss << 10)
"""


def files() -> Iterator[bytes]:
    for number in range(COUNT):
        yield raw_tar.header(b"Files/folder/%d" % number)


def folders() -> Iterator[bytes]:
    for number in range(COUNT):
        yield raw_tar.header(b"Files/%d/%s" % (number, b"-long" * 15), type=raw_tar.DIRECTORY)


def links_down() -> Iterator[bytes]:
    for number in range(COUNT):
        yield raw_tar.header(
            b"Files/links/%d" % number, type=raw_tar.HARD_LINK, link=b"Files/folder/%d" % (number // 1000)
        )


def whiteouts() -> Iterator[bytes]:
    for number in range(COUNT):
        yield raw_tar.header(b"Files/folder/.wh.%d" % number)


def one_whiteout() -> Iterator[bytes]:
    yield raw_tar.header(b"Files/.wh.folder")


def stored(folder: Path, members: Callable[[], Iterator[bytes]]) -> tuple[str, str]:
    blob, digest = folder / members.__name__, hashlib.sha256()
    with blob.open("wb") as file:
        for piece in (*members(), raw_tar.END):
            file.write(piece)
            digest.update(piece)
    return str(blob), f"sha256:{digest.hexdigest()}"


@pytest.mark.slow
@pytest.mark.parametrize(
    "layers",
    [[files, one_whiteout], [files, links_down], [files, whiteouts], [folders]],
    ids=lambda layers: " and ".join(layer.__name__ for layer in layers),
)
def test_the_writers_memory_is_bounded(tmp_path: Path, layers: list[Callable[[], Iterator[bytes]]]) -> None:
    disk = make_c_disk(tmp_path, 4 << 30)
    job = json.dumps([str(tmp_path / "root"), str(disk), *(stored(tmp_path, layer) for layer in layers)])
    built = subprocess.run([sys.executable, "-c", BUILD, job], stdout=subprocess.PIPE, check=True, text=True)
    assert int(built.stdout) < MOST_MEMORY
