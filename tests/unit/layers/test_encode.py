"""Headers that say what Windows knows of a file, read back by our reader and by Python's."""

from __future__ import annotations

import io
import tarfile

from hypothesis import given
from hypothesis import strategies as st

from linwin.layers import Metadata, tar
from linwin.layers.decode import metadata
from linwin.layers.encode import END, member_header, padding, seconds_of
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
