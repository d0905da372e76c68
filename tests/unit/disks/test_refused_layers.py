"""Layers that are refused: what is said, and that nothing of them stays."""

from __future__ import annotations

import gzip

import pytest

from linwin.errors import InvalidRequest
from linwin.layers import DAMAGED
from tests.unit.disks.conftest import make_c_disk, template
from tests.unit.layers.windows_tar import HARD_LINK, LayerTar, b64

NOT_A_DESCRIPTOR = {"MSWINDOWS.rawsd": b64(b"\1" * 40)}


def links(count: int) -> LayerTar:
    tar = LayerTar().add("Files/f", b"x")
    for n in range(count):
        tar.add(f"Files/link {n}", type=HARD_LINK, link="Files/f")
    return tar


def streams(count: int) -> LayerTar:
    tar = LayerTar().add("Files/f", b"x")
    for n in range(count):
        tar.add(f"Files/f:stream {n}", b"s")
    return tar


@pytest.mark.parametrize(
    ("tar", "sentence"),
    [
        (
            LayerTar().add("Files/a", type=HARD_LINK, link="Files/b"),
            ', entry "Files/a": there is no file "b" to link to',
        ),
        (
            LayerTar()
            .add("Files/a", type=HARD_LINK, link="Files/b")
            .add("Files/b", type=HARD_LINK, link="Files/a"),
            ', entry "Files/a": there is no file "b" to link to',
        ),
        (
            LayerTar().add("Files/a", type=HARD_LINK, link="UtilityVM/Files/b"),
            ', entry "Files/a": no layer that was pulled has "UtilityVM/Files/b" to link to, '
            "and a template has no UtilityVM",
        ),
        (links(1024), ', entry "Files/link 1023": a file cannot have more than 1024 names'),
        (
            LayerTar().add("Files/f").add("Files/f/below"),
            ', entry "Files/f/below": "f" on its path is not a folder',
        ),
        (
            LayerTar().add("Files/none:stream"),
            ', entry "Files/none:stream": there is no file "none" for its stream',
        ),
        (streams(5500), ', entry "Files/f:stream 5459": a file cannot have that many streams'),
        (
            LayerTar().add("Files/f", pax=NOT_A_DESCRIPTOR),
            ', entry "Files/f": its security descriptor is not valid: it is not self-relative',
        ),
        (LayerTar().add("Files/../up"), ', entry "Files/../up": ".." is not allowed in a name'),
    ],
)
async def test_what_cannot_be_applied(disks, base, paths, store, tar: LayerTar, sentence: str) -> None:
    layer = store(tar.bytes())
    with pytest.raises(InvalidRequest) as raised:
        await disks.chain(base, [layer], lambda _: None)
    assert raised.value.message == f"layer {layer.diff_id[7:19]}{sentence}"
    assert raised.value.hint == DAMAGED
    assert [path.name for path in paths.chains.iterdir()] == [f"{base.digest[7:]}.qcow2"]
    assert list(paths.scratch.iterdir()) == []


async def test_a_file_larger_than_the_volume(disks, base, store) -> None:
    tar = bytearray(LayerTar().add("Files/f").bytes())
    size = b"%011o" % (4 << 30)
    tar[124:135] = size
    tar[148:156] = b"%06o\0 " % (sum(tar[:148]) + 8 * 32 + sum(tar[156:512]))
    layer = store(bytes(tar))
    with pytest.raises(InvalidRequest) as raised:
        await disks.chain(base, [layer], lambda _: None)
    assert raised.value.message == (
        f'layer {layer.diff_id[7:19]}, entry "Files/f": '
        "a file of 4294967296 bytes is larger than the whole volume"
    )


async def test_a_digest_that_does_not_match(disks, base, paths, store) -> None:
    good, other = LayerTar().add("Files/f").bytes(), LayerTar().add("Files/g").bytes()
    layer = store(good, other)
    with pytest.raises(InvalidRequest) as raised:
        await disks.chain(base, [layer], lambda _: None)
    assert raised.value.message == (
        f"layer {layer.diff_id[7:19]}: its content has the digest {layer.digest}, not {layer.diff_id}"
    )
    assert len(list(paths.chains.iterdir())) == 1


async def test_a_bomb_is_stopped(disks, store, tmp_path) -> None:
    size = 16 << 20
    tar = LayerTar().add("Files/f").bytes()
    layer = store(gzip.compress(tar + bytes(5 * size), 1), tar)
    with pytest.raises(InvalidRequest) as raised:
        await disks.chain(template(make_c_disk(tmp_path, size)), [layer], lambda _: None)
    assert raised.value.message == f"layer {layer.diff_id[7:19]}: it expands to more than {4 * size} bytes"
