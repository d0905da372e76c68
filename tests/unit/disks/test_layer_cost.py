"""What a commit reads goes with what changed, not with what there is."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from linwin.disks import ChainDisks
from linwin.layers import read_layer
from linwin.model.files import parse_path
from linwin.model.image import Layer
from linwin.model.template import Template
from linwin.paths import Paths
from tests.unit.disks.conftest import make_c_disk, template
from tests.unit.layers import raw_tar
from tests.unit.layers.windows_tar import LayerTar

FILES = 100_000
IN_A_FOLDER = 100
MOST_READ = 20_000_000


def many_files() -> Iterator[bytes]:
    yield raw_tar.header(b"Files", type=raw_tar.DIRECTORY)
    for number in range(FILES):
        folder = b"Files/folder %04d" % (number // IN_A_FOLDER)
        if number % IN_A_FOLDER == 0:
            yield raw_tar.header(folder, type=raw_tar.DIRECTORY)
        yield raw_tar.header(b"%s/file %03d" % (folder, number % IN_A_FOLDER))
    yield raw_tar.header(b"Hives", type=raw_tar.DIRECTORY)
    yield bytes(1024)


@pytest.fixture
def large_base(tmp_path: Path) -> Template:
    return template(make_c_disk(tmp_path, 2 << 30))


@pytest.mark.slow
async def test_ten_kilobytes_beside_a_hundred_thousand_files(
    disks: ChainDisks, large_base: Template, store: Callable[[bytes], Layer], paths: Paths, tmp_path: Path
) -> None:
    layer = store(b"".join(many_files()))
    _, end = await disks.chain(large_base, [layer], lambda _: None)
    overlay = paths.container("c" * 64) / "c.qcow2"
    await disks.overlay(end, overlay, uid=os.getuid())
    archive = tmp_path / "change.tar"
    archive.write_bytes(LayerTar().add("folder 0500/new.bin", os.urandom(10_000)).bytes())
    await disks.files(overlay).write(parse_path("/"), archive, keep_kinds=True)
    written = await disks.layer(overlay, tmp_path / "layer.tar", kind="wine")
    entries = read_layer(tmp_path / "layer.tar", written.diff_id, limit=1 << 20)
    assert [entry.path for entry in entries if not hasattr(entry, "name")] == [  # type: ignore[union-attr]
        "", "folder 0500", "folder 0500/new.bin",
    ]  # fmt: skip
    assert 100_000 < written.bytes_read < MOST_READ
