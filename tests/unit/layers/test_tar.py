"""The tar reader against archives that Python's own tarfile wrote, and against broken ones."""

from __future__ import annotations

import io
import tarfile

import pytest

from linwin.layers.errors import Malformed
from linwin.layers.tar import BLOCK, TarReader, parse_pax
from tests.unit.layers.windows_tar import DIRECTORY, LayerTar


def read(data: bytes) -> list[tuple[str, bytes, bytes]]:
    """All members as (name, type, content)."""
    archive = TarReader(io.BytesIO(data).read)
    members = []
    for member in archive:
        content = b""
        while piece := archive.read(1000):
            content += piece
        assert len(content) == member.size
        members.append((member.name, member.type, content))
    return members


def patched(data: bytes, at: int, value: bytes) -> bytes:
    """``data`` with some bytes of its first header replaced, and the checksum made right."""
    header = bytearray(data[:BLOCK])
    header[at : at + len(value)] = value
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + data[BLOCK:]


PLAIN = LayerTar().add("Files/f", b"data").bytes()


@pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_members_of_all_formats(format: int) -> None:
    file = io.BytesIO()
    contents = {
        "short": b"x",
        "exactly": b"y" * BLOCK,
        "/".join(["long"] * 30): b"z" * 1000,
        "empty": b"",
    }
    with tarfile.open(fileobj=file, mode="w", format=format) as tar:
        for name, data in contents.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    assert read(file.getvalue()) == [(name, b"0", data) for name, data in contents.items()]


def test_unread_content_is_passed_over() -> None:
    data = LayerTar().add("one", b"1" * 5000).add("two", b"2").bytes()
    assert [member.name for member in TarReader(io.BytesIO(data).read)] == ["one", "two"]


def test_sources_that_give_a_byte_at_a_time() -> None:
    stream = io.BytesIO(LayerTar().add("one", b"1" * 600, pax={"k": "v"}).bytes())
    (member,) = TarReader(lambda size: stream.read(min(size, 1)))
    assert member.pax["k"] == "v"


def test_pax_size_overrides_the_header() -> None:
    data = LayerTar().add("f", b"data", pax={"size": "4"}).bytes()
    assert read(data) == [("f", b"0", b"data")]


def test_global_records_say_nothing_about_entries() -> None:
    file = io.BytesIO()
    with tarfile.open(
        fileobj=file, mode="w", format=tarfile.PAX_FORMAT, pax_headers={"comment": "c", "path": "no"}
    ) as tar:
        tar.addfile(tarfile.TarInfo("f"))
    assert read(file.getvalue()) == [("f", b"0", b"")]


def test_a_trailing_slash_made_directories_before_there_was_a_type() -> None:
    data = patched(LayerTar().add("d", type=DIRECTORY).bytes(), 156, b"\0")
    assert read(data) == [("d/", b"5", b"")]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "the archive ends too early"),
        (PLAIN[:100], "the archive ends too early"),
        (PLAIN[: BLOCK + 2], "the archive ends in the middle of it"),
        (PLAIN[: 2 * BLOCK], "the archive ends too early"),
        (b"x" + PLAIN[1:], "the tar header's checksum is wrong"),
        (bytes(148) + b"z" * 8 + bytes(356), "the tar header's checksum is not a number"),
        (patched(PLAIN, 124, b"99999999999"), "the tar header's size is not a number"),
        (patched(PLAIN, 124, b"\xff" * 12), "the tar header's size is negative"),
        (patched(PLAIN, 124, b"\x80" + b"\xff" * 11), f"a size of {2**88 - 1} bytes is impossible"),
        (patched(PLAIN, 124, b"00000777777"), "the archive ends in the middle of it"),
        (patched(PLAIN, 156, b"3"), "a character device has no place in a Windows layer"),
        (patched(PLAIN, 156, b"5"), "only a file can have data"),
        (patched(PLAIN, 0, b"\xff\xfe"), "b'\\xff\\xfeles/f' in its header is not UTF-8"),
        (patched(PLAIN, 156, b"x"), "an extended header's record has no length"),
        (LayerTar().add("f", pax={"size": "-1"}).bytes(), "its size '-1' is not a number"),
        (
            LayerTar().add("f", pax={"GNU.sparse.major": "1"}).bytes(),
            "GNU's sparse files have no place in a Windows layer",
        ),
        (
            LayerTar().add("f", pax={"comment": "c" * (1 << 20)}).bytes(),
            "an extended header of 1048593 bytes is too long",
        ),
        (
            LayerTar().add("f", pax={"a": "b"}).bytes()[: 2 * BLOCK] + bytes(BLOCK),
            "an extended header has no entry behind it",
        ),
        (
            LayerTar().add("f", pax={"a": "b"}).bytes()[: 2 * BLOCK] * 2,
            "an entry has two extended headers",
        ),
    ],
)
def test_what_is_refused(data: bytes, sentence: str) -> None:
    with pytest.raises(Malformed) as raised:
        read(data)
    assert str(raised.value) == sentence


def test_a_damaged_header_in_the_middle_is_not_taken_for_the_end() -> None:
    data = bytearray(LayerTar().add("one").add("two").bytes())
    data[BLOCK + 3] ^= 1
    with pytest.raises(Malformed):
        read(bytes(data))


@pytest.mark.parametrize(
    "data",
    [
        b"5 a=b\n",
        b"7 a=b\n",
        b"6 ab1\n",
        b"0 a=b\n",
        b"-6 a=b\n",
        b"6  a=b\n",
        b"99999999999 a=b\n",
        b"6 a=b\nx",
    ],
)
def test_records_that_lie_about_their_length(data: bytes) -> None:
    with pytest.raises(Malformed):
        parse_pax(data)


def test_records_may_hold_newlines_and_equal_signs() -> None:
    assert parse_pax(b"10 a=b=c\n\n6 k=v\n") == {"a": "b=c\n", "k": "v"}
