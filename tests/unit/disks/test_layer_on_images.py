"""A container of each tool's image, changed as linwin itself changes disks, and the layer of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from linwin.disks import ChainDisks
from linwin.disks.export import exported
from linwin.disks.volume import ROOT, Volume
from linwin.layers import EPOCH, Metadata
from linwin.model.files import parse_path
from linwin.model.image import Layer
from linwin.model.template import Template
from linwin.paths import Paths
from tests.unit.disks.container_disk import assert_alike
from tests.unit.layers.layer_writers import WRITERS
from tests.unit.layers.windows_tar import FULL_FOR_SYSTEM, LayerTar, b64

WHEN = EPOCH + 16_000_000_000_000_000
FILE = Metadata(0x20, WHEN, WHEN + 1, WHEN + 2, WHEN + 3, FULL_FOR_SYSTEM, (("EA.X", b"value"),))
FOLDER = replace(FILE, attributes=0x10)


def change(volume: Volume) -> None:
    """Every kind of change there is: what an image has in its root is deleted, moved, linked, written to."""
    folder = volume.create_directory(ROOT, "new folder", FOLDER)
    number = volume.create_file(folder, "new file", FILE, b"n" * 3000, 3000)
    volume.create_stream(number, "stream", b"s" * 900, 900)
    volume.link(number, ROOT, "second name")
    for name, node in list(volume.list(ROOT)):
        if node.number in (folder, number):
            continue
        shorter = f"{name[:8]} {node.number}"
        if not node.is_directory:
            volume.link(node.number, folder, f"link to {shorter}")
        else:
            change_below(volume, node.number, folder, shorter)


def change_below(volume: Volume, number: int, folder: int, name: str) -> None:
    children = [(name, volume.lookup(number, name)) for name, _ in volume.list(number)]
    files = [(name, node) for name, node in children if node and not node.is_directory]
    for at, (child, node) in enumerate(files):
        if at % 3 == 0:
            volume.remove(number, node.number, child)
        elif at % 3 == 1 and not node.is_reparse_point:
            volume.set_metadata(node.number, FILE)
        else:
            volume.link(node.number, folder, f"{name} {at}")
            volume.remove(number, node.number, child)
    for _, node in children:
        if node is not None and node.is_folder:
            change_below(volume, node.number, folder, f"{name[:20]} {node.number}")


@pytest.mark.parametrize("writer", WRITERS)
async def test_the_layer_gives_the_containers_volume_again(
    disks: ChainDisks,
    base: Template,
    store: Callable[[bytes], Layer],
    paths: Paths,
    tmp_path: Path,
    writer: str,
) -> None:
    layers = [store(layer) for layer in WRITERS[writer]().layers]
    _, end = await disks.chain(base, layers, lambda _: None)
    overlay = paths.container("c" * 64) / "c.qcow2"
    await disks.overlay(end, overlay, uid=os.getuid())
    archive = tmp_path / "copied.tar"
    copied = LayerTar().add("copied/in.txt", b"copied", pax={"MSWINDOWS.rawsd": b64(FULL_FOR_SYSTEM)})
    archive.write_bytes(copied.bytes())
    await disks.files(overlay).write(parse_path("/"), archive, keep_kinds=True)
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    with exported(overlay, end, run_dir) as connection, Volume(connection, offset=0) as volume:
        change(volume)
    written = await disks.layer(overlay, tmp_path / "layer.tar", kind="windows", latest=None)
    made = Layer(written.diff_id, written.diff_id, "", written.size, tmp_path / "layer.tar")
    _, above = await disks.chain(base, [*layers, made], lambda _: None)
    assert_alike(overlay, above, tmp_path)


async def test_a_layer_of_nothing_on_a_layer_of_changes_is_empty(
    disks: ChainDisks, base: Template, store: Callable[[bytes], Layer], paths: Paths, tmp_path: Path
) -> None:
    layers = [store(layer) for layer in WRITERS["docker-on-windows"]().layers]
    _, end = await disks.chain(base, layers, lambda _: None)
    overlay = paths.container("c" * 64) / "c.qcow2"
    await disks.overlay(end, overlay, uid=os.getuid())
    written = await disks.layer(overlay, tmp_path / "layer.tar", kind="windows")
    assert written.is_empty
    assert written.bytes_read > 0
