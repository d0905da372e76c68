"""Whole layers from blobs: compression, digests, and errors that name layer and entry."""

from __future__ import annotations

import gzip
import threading
from pathlib import Path

import pytest
import zstandard
from hypothesis import example, given, settings
from hypothesis import strategies as st

from linwin.errors import InvalidRequest, Unavailable
from linwin.layers import DAMAGED, File, read_layer
from tests.unit.layers.windows_tar import TOOLS, LayerTar, diff_id, docker_on_windows

FILES = {"a": b"x" * 3_000_000, "d/b": b"", "d/c": b"small"}
LAYER = docker_on_windows(FILES)
TRAILING = LAYER + b"\0" * 5000 + b"bytes that no tar reader looks at"
LIMIT = 1 << 30


def read(blob: Path, data: bytes, uncompressed: bytes, limit: int = LIMIT) -> dict[str, bytes]:
    blob.write_bytes(data)
    files = {}
    for entry in read_layer(blob, diff_id(uncompressed), limit=limit):
        if isinstance(entry, File):
            content = b""
            while piece := entry.content.read(1 << 16):
                content += piece
            files[entry.path] = content
    return files


def two_members(data: bytes) -> bytes:
    return gzip.compress(data[:1000], 1) + gzip.compress(data[1000:], 1)


def two_frames(data: bytes) -> bytes:
    return zstandard.compress(data[:1000]) + zstandard.compress(data[1000:])


def unchanged(data: bytes) -> bytes:
    return data


@pytest.mark.parametrize("compress", [unchanged, gzip.compress, two_members, zstandard.compress, two_frames])
@pytest.mark.parametrize("layer", [LAYER, TRAILING], ids=["plain", "trailing"])
def test_every_compression(tmp_path: Path, compress, layer: bytes) -> None:
    assert read(tmp_path / "blob", compress(layer), layer) == FILES


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.__name__)
def test_every_tool(tmp_path: Path, tool) -> None:
    layer = tool(FILES)
    assert read(tmp_path / "blob", layer, layer) == FILES


def test_progress_counts_the_blobs_bytes(tmp_path: Path) -> None:
    blob = tmp_path / "blob"
    blob.write_bytes(gzip.compress(LAYER))
    used: list[int] = []
    assert list(read_layer(blob, diff_id(LAYER), limit=LIMIT, progress=used.append))
    assert used == sorted(used)
    assert used[-1] == blob.stat().st_size


NAME = diff_id(LAYER)[7:19]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (
            LAYER[: LAYER.index(b"small") + 2],
            f'layer {NAME}, entry "Files/d/c": the archive ends in the middle of it',
        ),
        (LAYER[:2000], f'layer {NAME}, behind entry "Files/": the archive ends too early'),
        (TRAILING, f"layer {NAME}: its content has the digest {diff_id(TRAILING)}, not {diff_id(LAYER)}"),
        (gzip.compress(LAYER)[:-9], f"layer {NAME}: its gzip stream ends too early"),
        (b"", f"layer {NAME}: the archive ends too early"),
        (b"\x1f\x8b", f"layer {NAME}: its gzip stream ends too early"),
        (b"PK\3\4" * 200, f"layer {NAME}: the tar header's checksum is not a number"),
    ],
)
def test_damaged_blobs(tmp_path: Path, data: bytes, sentence: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        read(tmp_path / "blob", data, LAYER)
    assert raised.value.message == sentence
    assert raised.value.hint == DAMAGED
    assert "layer decoder" not in [thread.name for thread in threading.enumerate()]


def test_the_hint() -> None:
    assert DAMAGED == "the image is damaged or was not made for Windows; build or fetch it again"


def test_names_in_errors_are_printable_and_bounded(tmp_path: Path) -> None:
    layer = LayerTar().add('Files/\x1b[31m"' + "x" * 1000).bytes()
    with pytest.raises(InvalidRequest) as raised:
        read(tmp_path / "blob", layer, layer)
    shown = 'Files/\\x1b[31m"' + "x" * 188 + "…"
    assert raised.value.message == (
        f"layer {diff_id(layer)[7:19]}, entry \"{shown}\": the character '\\x1b' is not allowed in a name"
    )


def test_bombs_are_stopped(tmp_path: Path) -> None:
    for compress in (gzip.compress, zstandard.compress):
        with pytest.raises(InvalidRequest) as raised:
            read(tmp_path / "blob", compress(LAYER + bytes(20 << 20)), LAYER, limit=10 << 20)
        assert raised.value.message == f"layer {NAME}: it expands to more than 10485760 bytes"


def test_a_missing_blob(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as raised:
        list(read_layer(tmp_path / "none", diff_id(LAYER), limit=LIMIT))
    assert raised.value.message == f"layer {NAME} cannot be read: No such file or directory"


def test_leaving_early_ends_the_decoder(tmp_path: Path) -> None:
    blob = tmp_path / "blob"
    blob.write_bytes(docker_on_windows({"big": b"x" * (40 << 20)}))
    entries = read_layer(blob, diff_id(LAYER), limit=LIMIT)
    next(entries)
    entries.close()
    assert "layer decoder" not in [thread.name for thread in threading.enumerate()]


SMALL = docker_on_windows({"d/f": b"content"})


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(SMALL) - 1), st.integers(0, 255)), max_size=8), st.booleans())
@example([(156, 0x78)], False)
def test_no_damage_gives_anything_but_invalid_request(
    tmp_path_factory: pytest.TempPathFactory, damage: list[tuple[int, int]], repair: bool
) -> None:
    """Bytes flipped anywhere, with the checksums wrong or made right again."""
    data = bytearray(SMALL)
    for at, value in damage:
        data[at] = value
    if repair:
        for at in range(0, len(data), 512):
            block = data[at : at + 512]
            if block[257:262] == b"ustar":
                block[148:156] = b" " * 8
                data[at + 148 : at + 156] = b"%06o\0 " % sum(block)
    expect_entries_or_invalid_request(tmp_path_factory, bytes(data))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=3000), st.sampled_from([unchanged, gzip.compress, zstandard.compress]))
@example(b"\x28\xb5\x2f\xfd" + b"\0" * 20, unchanged)
@example(b"\x1f\x8b\x08" + b"\xff" * 20, unchanged)
def test_no_bytes_give_anything_but_invalid_request(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, compress
) -> None:
    expect_entries_or_invalid_request(tmp_path_factory, compress(data))


PAX_KEYS = st.sampled_from(
    [
        "path",
        "linkpath",
        "size",
        "mtime",
        "atime",
        "ctime",
        "LIBARCHIVE.creationtime",
        "MSWINDOWS.fileattr",
        "MSWINDOWS.rawsd",
        "MSWINDOWS.mountpoint",
        "MSWINDOWS.xattr.X",
        "GNU.sparse.size",
        "hdrcharset",
    ]
)


@settings(max_examples=300, deadline=None)
@given(
    st.text(max_size=30),
    st.sampled_from([b"0", b"1", b"2", b"5"]),
    st.text(max_size=30).filter(lambda text: "\0" not in text),
    st.dictionaries(PAX_KEYS, st.text(max_size=30), max_size=5),
)
def test_no_entry_gives_anything_but_invalid_request(
    tmp_path_factory: pytest.TempPathFactory, name: str, type: bytes, link: str, pax: dict[str, str]
) -> None:
    layer = LayerTar().add(f"Files/{name}", type=type, link=link, pax=pax).bytes()
    expect_entries_or_invalid_request(tmp_path_factory, layer)


def expect_entries_or_invalid_request(factory: pytest.TempPathFactory, data: bytes) -> None:
    blob = factory.getbasetemp() / "fuzzed"
    blob.write_bytes(data)
    with pytest.raises(InvalidRequest):
        for _ in read_layer(blob, "sha256:" + "0" * 64, limit=1 << 20):
            pass
