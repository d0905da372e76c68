"""Images of every tool that makes Windows layers, on a volume that other readers confirm."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.disks.independent import confirm
from tests.unit.layers.layer_writers import WRITERS


@pytest.mark.parametrize("writer", WRITERS)
async def test_what_the_writer_put_into_it_is_on_the_volume(
    disks, base, store, tmp_path: Path, writer: str
) -> None:
    image = WRITERS[writer]()
    _, end = await disks.chain(base, [store(layer) for layer in image.layers], lambda _: None)
    confirm(end, tmp_path, image.volume)
