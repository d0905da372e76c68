from __future__ import annotations

import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from linwin.disks import ChainDisks
from linwin.model.image import Layer
from linwin.model.progress import Progress
from linwin.model.template import Template
from linwin.paths import Paths
from tests.unit.disks.ntfs_reader import VolumeReader
from tests.unit.layers.windows_tar import diff_id

DIGEST = "sha256:" + "ab" * 32


def make_c_disk(folder: Path, size: int) -> Path:
    """An empty NTFS volume of ``size`` bytes as a qcow2 file."""
    raw, disk = folder / "c.raw", folder / "c.qcow2"
    with raw.open("wb") as file:
        file.truncate(size)
    subprocess.run(["mkntfs", "-Q", "-F", "-q", raw], check=True, capture_output=True)
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", raw, disk], check=True)
    raw.unlink()
    return disk


def template(c_disk: Path, digest: str = DIGEST) -> Template:
    nothing = Path("nothing")
    return Template("wine", "wine", digest, nothing, nothing, "", nothing, c_disk, 384, True, ())


@pytest.fixture(scope="session")
def blank_disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_c_disk(tmp_path_factory.mktemp("template"), 512 << 20)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path / "root", tmp_path / "linwin.sock")


@pytest.fixture
def base(paths: Paths, blank_disk: Path) -> Template:
    """A template installed below the root."""
    installed = paths.templates / "wine" / "c.qcow2"
    installed.parent.mkdir(parents=True)
    installed.write_bytes(blank_disk.read_bytes())
    return template(installed)


@pytest.fixture
def disks(paths: Paths) -> ChainDisks:
    return ChainDisks(paths)


@pytest.fixture
def store(tmp_path: Path) -> Callable[[bytes], Layer]:
    """Stores a layer's tar as a blob."""

    def put(data: bytes, uncompressed: bytes | None = None) -> Layer:
        digest = diff_id(data)
        blob = tmp_path / digest.removeprefix("sha256:")
        blob.write_bytes(data)
        return Layer(diff_id(data if uncompressed is None else uncompressed), digest, "", len(data), blob)

    return put


@pytest.fixture
def progress() -> list[Progress]:
    return []


Apply = Callable[..., Awaitable[VolumeReader]]


@pytest.fixture
def apply(disks: ChainDisks, base: Template, store: Callable[[bytes], Layer], tmp_path: Path) -> Apply:
    """Builds a chain of layers and reads its volume."""

    async def build(*layers: bytes) -> VolumeReader:
        _, end = await disks.chain(base, [store(layer) for layer in layers], lambda _: None)
        return VolumeReader(end, tmp_path / "volume.raw")

    return build
