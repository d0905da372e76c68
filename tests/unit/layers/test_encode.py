"""Headers that say what Windows knows of a file, read back by our reader and by Python's."""

from __future__ import annotations

import io
import tarfile

from hypothesis import given
from hypothesis import strategies as st

from linwin.layers import Metadata, tar
from linwin.layers.decode import metadata
from linwin.layers.encode import END, layer_header, member_header, padding, seconds_of
from linwin.layers.tar import TarReader

TIMES = st.integers(0, 2**63 - 1)
NAMES = st.text(st.characters(exclude_characters="\0/", exclude_categories=["Cs"]), min_size=1, max_size=200)


@given(NAMES, st.integers(0, 0xFFFF), TIMES, TIMES, TIMES, TIMES, st.binary(min_size=1, max_size=40))
def test_what_is_written_is_read(
    name: str, attributes: int, created: int, modified: int, changed: int, accessed: int, value: bytes
) -> None:
    written = Metadata(attributes & ~0x10, created, modified, changed, accessed, None, (("A.B", value),))
    data = member_header(name, tar.FILE, 3, written) + b"abc" + padding(3) + END
    (member,) = TarReader(io.BytesIO(data).read)
    assert (member.name, member.size, member.type) == (name, 3, tar.FILE)
    assert metadata(member, 0) == written
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        (found,) = archive.getmembers()
        content = archive.extractfile(found)
        assert content is not None
        assert (found.name, content.read()) == (name, b"abc")


def test_sizes_and_links_that_no_header_block_holds() -> None:
    now = Metadata(0x20, *[131_000_000_000_000_000] * 4)
    header = member_header("l" * 101, tar.SYMBOLIC_LINK, 0, now, link="t" * 300)
    (member,) = TarReader(io.BytesIO(header + END).read)
    assert (member.name, member.linkname) == ("l" * 101, "t" * 300)
    huge = member_header("huge", tar.FILE, 1 << 40, now)
    with tarfile.open(fileobj=io.BytesIO(huge)) as archive:
        assert archive.next().size == 1 << 40  # type: ignore[union-attr]


def test_times_before_1970() -> None:
    assert seconds_of(0) == "-11644473600"
    assert seconds_of(116_444_735_995_000_000) == "-0.5"


def test_a_layers_header_is_the_same_whatever_the_order_of_attributes() -> None:
    now = [131_000_000_000_000_000] * 4
    one, other = (
        layer_header("Files/f", tar.FILE, 3, Metadata(0x20, *now, None, extended))
        for extended in ((("A", b"1"), ("B", b"2")), (("B", b"2"), ("A", b"1")))
    )
    assert one == other
    (member,) = TarReader(io.BytesIO(one + b"abc" + padding(3) + END).read)
    assert list(member.pax) == sorted(member.pax)


def test_a_layers_entry_without_metadata_is_one_block() -> None:
    assert len(layer_header("Files/.wh.x", tar.FILE)) == tar.BLOCK
    link = layer_header("Files/b", tar.HARD_LINK, link="Files/a")
    assert len(link) == tar.BLOCK
    (member,) = TarReader(io.BytesIO(link + END).read)
    assert (member.name, member.linkname, member.pax, member.mtime) == ("Files/b", "Files/a", {}, 0)


def test_modes_of_a_layer_tell_the_type_alone() -> None:
    now = [131_000_000_000_000_000] * 4
    headers = (
        layer_header("Files/f", tar.FILE, 0, Metadata(0x21, *now)),
        layer_header("Files/d", tar.DIRECTORY, 0, Metadata(0x10, *now)),
        layer_header("Files/l", tar.SYMBOLIC_LINK, 0, Metadata(0x400, *now), link="x"),
        layer_header("Files/j", tar.SYMBOLIC_LINK, 0, Metadata(0x410, *now), link="C:\\x", junction=True),
    )
    assert [int(header[-412:-405], 8) for header in headers] == [0o100000, 0o040000, 0o120000, 0o160000]
