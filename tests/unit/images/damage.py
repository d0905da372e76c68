"""What the tests of damaged stores share: images to damage, ways to do it, and what is said of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from linwin.errors import NotFound
from linwin.images import ImageStore
from linwin.model.image import Image
from linwin.model.upkeep import Finding
from linwin.paths import Paths
from tests.unit.images.archive_writer import Sample, ignore, layer_tar, template, write

ONE = layer_tar({"one.txt": b"1"})
TWO = layer_tar({"two.txt": b"2"})
AGAIN = "Bring it back with: linwin pull example/app:1.0, or linwin load -i FILE"
MEND = "Mend it with: linwin system check --repair"
DELETE = "Delete it with: linwin system check --repair"
NOBODY: frozenset[str] = frozenset()


async def load(store: ImageStore, folder: Path, sample: Sample, form: str = "docker") -> Image:
    members = sample.docker_members() if form == "docker" else sample.oci_members()
    [staged] = await store.stage(write(folder / "load.tar", members), [template()], ignore)
    return await staged.commit()


async def check(store: ImageStore, *, repair: bool = False) -> Sequence[Finding]:
    return await store.check(ignore, repair=repair)


def blob(paths: Paths, digest: str) -> Path:
    return paths.blobs / "sha256" / digest.removeprefix("sha256:")


def damage(path: Path, data: bytes | None = None) -> None:
    """Turn one bit of a file, or write other bytes into it, where it lies."""
    path.chmod(0o600)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content if data is None else data)


async def fault(store: ImageStore, name: str) -> NotFound:
    with pytest.raises(NotFound) as caught:
        await store.resolve(name)
    return caught.value
