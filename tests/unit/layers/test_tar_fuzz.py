"""Hostile archives: whatever the bytes, a layer is read or refused, and refused by its name.

``tests/corpus/tar`` keeps what is worth trying each time; ``expected.json`` says
of each file with which words it is refused, or that it is not.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linwin.errors import InvalidRequest
from linwin.layers import AlternateStream, Area, File, HiveDelta, read_layer
from linwin.layers.decode import entry_of
from linwin.layers.errors import Malformed
from linwin.layers.tar import MOST_HEADERS, TarReader
from tests.unit.layers import raw_tar
from tests.unit.layers.docker_layers import docker_upper
from tests.unit.layers.linux_layers import buildkit, crane
from tests.unit.layers.windows_tar import diff_id

CORPUS = Path(__file__).parents[2] / "corpus/tar"
EXPECTED: dict[str, str | None] = json.loads((CORPUS / "expected.json").read_text())
LIMIT = 1 << 24


class Source:
    """The archive, a piece at a time, and its current member's content."""

    def __init__(self, data: bytes) -> None:
        self.archive = TarReader(io.BytesIO(data).read)

    def read(self, size: int) -> bytes:
        return self.archive.read(size)

    def drain(self, area: Area) -> Iterator[object]:
        for member in self.archive:
            entry = entry_of(member, self, area)
            if isinstance(entry, File | AlternateStream | HiveDelta):
                while entry.content.read(4096):
                    pass
            yield entry


def survive(data: bytes) -> None:
    """Nothing but Malformed may come out."""
    for area in (Area.FILES, Area.UTILITY_VM):
        with suppress(Malformed):
            for _ in Source(data).drain(area):
                pass


def test_every_file_of_the_corpus_is_expected() -> None:
    assert sorted(EXPECTED) == sorted(path.name for path in CORPUS.glob("*.tar"))


@pytest.mark.parametrize("name", EXPECTED)
def test_the_corpus(name: str) -> None:
    blob = CORPUS / name
    digest = diff_id(blob.read_bytes())
    sentence = EXPECTED[name]
    if sentence is None:
        for _ in read_layer(blob, digest, limit=LIMIT):
            pass
        return
    with pytest.raises(InvalidRequest) as raised:
        for _ in read_layer(blob, digest, limit=LIMIT):
            pass
    assert raised.value.message == f"layer {digest[7:19]}{sentence}"


# ---- mutations of real layers ---------------------------------------------------

LAYERS = (docker_upper({}), *crane().layers, buildkit().layers[1])
CHANGES = st.lists(
    st.tuples(st.integers(0, 1 << 20), st.binary(min_size=1, max_size=4)), min_size=1, max_size=12
)
BLOCKS = st.lists(st.tuples(st.sampled_from(["drop", "repeat", "swap"]), st.integers(0, 1 << 12)), max_size=4)


@settings(max_examples=600, deadline=None)
@given(st.sampled_from(LAYERS), CHANGES, BLOCKS, st.booleans())
def test_layers_with_bytes_and_blocks_changed(
    layer: bytes, changes: list[tuple[int, bytes]], moves: list[tuple[str, int]], repair: bool
) -> None:
    data = bytearray(layer)
    for at, value in changes:
        at %= len(data)
        data[at : at + len(value)] = value
    blocks = [bytes(data[at : at + raw_tar.BLOCK]) for at in range(0, len(data), raw_tar.BLOCK)]
    for move, at in moves:
        at %= len(blocks) - 1
        if move == "drop":
            del blocks[at]
        elif move == "repeat":
            blocks.insert(at, blocks[at])
        else:
            blocks[at], blocks[at + 1] = blocks[at + 1], blocks[at]
    if repair:
        blocks = [raw_tar.checked(block) if block[257:262] == b"ustar" else block for block in blocks]
    survive(b"".join(blocks))


# ---- archives built from lies ---------------------------------------------------

NAMES = st.one_of(
    st.sampled_from(
        [
            b"Files",
            b"Files/",
            b"Files/f",
            b"Files/d/f:s",
            b"Files/d/.wh.f",
            b"Files/.wh..wh..opq",
            b"Files/../x",
            b"Files\\x",
            b"Files/\xed\xa0\xbd",
            b"Files/\xc0\xae",
            b"Hives/System_Delta",
            b"Hives/a/b",
            b"UtilityVM/Files/x",
            b"UtilityVM/.wh.Files",
            b"UtilityVM",
        ]
    ),
    st.binary(max_size=20).map(lambda rest: b"Files/" + rest),
    st.binary(max_size=20),
)
TYPES = st.sampled_from(
    [b"0", b"1", b"2", b"5", b"0", b"0", b"\0", b"3", b"4", b"6", b"7", b"S", b"V", b"\xff"]
)
KEYS = st.sampled_from(
    [
        b"path",
        b"linkpath",
        b"size",
        b"mtime",
        b"atime",
        b"ctime",
        b"LIBARCHIVE.creationtime",
        b"MSWINDOWS.fileattr",
        b"MSWINDOWS.rawsd",
        b"MSWINDOWS.sd",
        b"MSWINDOWS.mountpoint",
        b"MSWINDOWS.xattr.A",
        b"MSWINDOWS.xattr.a",
        b"GNU.sparse.major",
        b"comment",
    ]
)
VALUES = st.one_of(
    st.sampled_from([b"", b"0", b"1", b"-1", b"1.5", b"99999999999999999999", b"AQAAgA==", b"O:BAG:SYD:"]),
    NAMES,
)
RECORDS = st.lists(st.tuples(KEYS, VALUES), max_size=4)
SIZES = st.sampled_from(
    [None, b"0" * 11 + b" ", b"7" * 11 + b"\0", b"\xff" * 12, b"\x80" + b"\xff" * 11, b"x" * 12]
)
EXTENSIONS = st.one_of(
    RECORDS.map(raw_tar.extended),
    RECORDS.map(lambda pax: raw_tar.extended(pax, type=b"g")),
    st.tuples(st.sampled_from([b"L", b"K"]), NAMES).map(
        lambda long: raw_tar.header(b"long", type=long[0], size=len(long[1])) + raw_tar.padded(long[1])
    ),
    st.binary(max_size=40).map(
        lambda data: raw_tar.header(b"pax", type=b"x", size=len(data)) + raw_tar.padded(data)
    ),
)


@st.composite
def members(draw: st.DrawFn) -> bytes:
    extensions = draw(st.lists(EXTENSIONS, max_size=2))
    data = draw(st.binary(max_size=600))
    size = draw(st.sampled_from([0, len(data), len(data), len(data) + 700]))
    block = raw_tar.header(
        draw(NAMES)[:100],
        type=draw(TYPES),
        size=size,
        link=draw(NAMES)[:100],
        mtime=draw(st.sampled_from([0, 1, -1, 2**40, -(2**60)])),
        size_field=draw(SIZES),
        magic=draw(st.sampled_from([b"ustar\0", b"ustar ", b"\0" * 6])),
        prefix=draw(st.sampled_from([b"", b"", b"Files", b".."])),
    )
    return b"".join(extensions) + block + (raw_tar.padded(data) if size else b"")


@settings(max_examples=800, deadline=None)
@given(st.lists(members(), max_size=5), st.booleans())
def test_archives_of_lies(pieces: list[bytes], ended: bool) -> None:
    survive(b"".join(pieces) + (raw_tar.END if ended else b""))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=2000))
def test_any_bytes(data: bytes) -> None:
    survive(data)


# ---- bombs ----------------------------------------------------------------------


def test_no_archive_has_headers_without_end() -> None:
    comment = raw_tar.extended([(b"comment", b"c")], type=b"g")

    class Endless(io.RawIOBase):
        at = 0

        def read(self, size: int = -1) -> bytes:
            piece = comment[self.at : self.at + size]
            self.at = (self.at + len(piece)) % len(comment)
            return piece

    archive = TarReader(Endless().read)
    archive._headers = MOST_HEADERS - 10  # counting to ten million takes half a minute
    with pytest.raises(Malformed) as raised:
        next(iter(archive))
    assert str(raised.value) == "the archive has more than 10000000 headers"
