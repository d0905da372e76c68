from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from linwin.disks import ChainDisks
from linwin.model.chain import chain_ids
from linwin.model.image import Layer
from linwin.model.progress import Progress
from linwin.model.template import Template
from linwin.model.upkeep import Finding
from linwin.paths import Paths
from tests.unit.disks.container_disk import Change, Container, ContainerDisk, populate, volume
from tests.unit.disks.ntfs_reader import VolumeReader
from tests.unit.layers.windows_tar import diff_id, docker_on_windows

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


@pytest.fixture
def small_root(tmp_path) -> Iterator[Path]:
    """A root with 12 MB of room."""
    root = tmp_path / "small root"
    root.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", root], check=True)
    yield root
    subprocess.run(["umount", root], check=True)


Apply = Callable[..., Awaitable[VolumeReader]]


@pytest.fixture
def apply(disks: ChainDisks, base: Template, store: Callable[[bytes], Layer], tmp_path: Path) -> Apply:
    """Builds a chain of layers and reads its volume."""

    async def build(*layers: bytes) -> VolumeReader:
        _, end = await disks.chain(base, [store(layer) for layer in layers], lambda _: None)
        return VolumeReader(end, tmp_path / "volume.raw")

    return build


def chain_file(paths: Paths, chain_id: str) -> Path:
    return paths.chains / (chain_id.removeprefix("sha256:") + ".qcow2")


def title(path: Path) -> str:
    return f"chain {path.name[:12]}"


def chain_id(path: Path) -> str:
    return f"sha256:{path.stem}"


def overwrite(path: Path, at: int, data: bytes) -> None:
    with writable(path), path.open("r+b") as file:
        file.seek(at)
        file.write(data)


@contextmanager
def writable(path: Path) -> Iterator[None]:
    mode = path.stat().st_mode
    path.chmod(0o600)
    yield
    path.chmod(mode)


LAYERS = [docker_on_windows({name: b"x"}) for name in ("lower", "upper")]


@pytest.fixture(scope="session")
def built(blank_disk: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a chain of three, to be copied."""
    root = tmp_path_factory.mktemp("built")
    blobs = [root / diff_id(layer)[7:] for layer in LAYERS]
    for blob, layer in zip(blobs, LAYERS, strict=True):
        blob.write_bytes(layer)
    layers = [Layer(f"sha256:{blob.name}", f"sha256:{blob.name}", "", 1, blob) for blob in blobs]
    shutil.copyfile(blank_disk, root / "c.qcow2")
    paths = Paths(root, root / "socket")
    asyncio.run(ChainDisks(paths).chain(template(root / "c.qcow2"), layers, lambda _: None))
    return paths.chains


@pytest.fixture
def three(built: Path, base: Template, paths: Paths) -> list[Path]:
    """The files of a chain of three: the base and two layers."""
    paths.chains.mkdir()
    base.c_disk.chmod(0o444)
    chain_file(paths, base.digest).hardlink_to(base.c_disk)
    ids = chain_ids(base.digest, [diff_id(layer) for layer in LAYERS])
    files = [chain_file(paths, known) for known in ids]
    for file in files[1:]:
        shutil.copy(built / file.name, file)
    return files


Check = Callable[..., Awaitable[list[Finding]]]


@pytest.fixture
def check(disks: ChainDisks, base: Template) -> Check:
    async def check(
        *needed: str, repair: bool = False, templates: tuple[Template, ...] = ()
    ) -> list[Finding]:
        return list(await disks.check(frozenset(needed), (base, *templates), lambda _: None, repair=repair))

    return check


@pytest.fixture(scope="session")
def populated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A raw disk that holds what a container has to begin with."""
    folder = tmp_path_factory.mktemp("populated")
    return volume(folder / "c.raw", folder / "mount", populate)


@pytest.fixture
def container(populated: Path, tmp_path: Path) -> Container:
    def changed(*changes: Change, options: str = "noatime") -> ContainerDisk:
        return ContainerDisk.on(populated, tmp_path, template).change(*changes, options=options)

    return changed
