"""Hard links that make a file's record too small, so that it goes on in others."""

from __future__ import annotations

import pytest

from tests.unit.disks.conftest import Apply
from tests.unit.layers.windows_tar import HARD_LINK, LayerTar

LONG = "long " * 40 + "name"


@pytest.mark.parametrize("size", [0, 10, 350, 600, 700])
async def test_names_in_several_folders_and_bytes_that_have_to_move(apply: Apply, size: int) -> None:
    tar = LayerTar().directory("Files/a").directory("Files/b").directory("Files/c")
    data = b"x" * size
    tar.add("Files/a/file", data)
    names = ["b/one", "c/two", f"b/{LONG}", f"c/{LONG}", "b/three"]
    for name in names:
        tar.add(f"Files/{name}", type=HARD_LINK, link="Files/a/file")
        tar.add(f"Files/{name.partition('/')[0]}/beside {name[2:5]}", b"another")
    volume = await apply(tar.bytes())
    numbers = {volume[name].number for name in ("a/file", *names)}
    assert numbers == {volume["a/file"].number}
    assert [volume[name].data for name in names] == [data] * len(names)
