"""Members → entries, and the records that are refused."""

from __future__ import annotations

import io

import pytest

from linwin.layers import (
    AlternateStream,
    Directory,
    File,
    HardLink,
    HiveDelta,
    OpaqueWhiteout,
    ReparsePoint,
    Whiteout,
)
from linwin.layers.decode import EPOCH, entry_of, filetime
from linwin.layers.errors import Malformed
from linwin.layers.tar import DIRECTORY, FILE, HARD_LINK, SYMBOLIC_LINK, Member


def entry(name: str, type: bytes = FILE, link: str = "", size: int = 0, **pax: str):
    records = {key.replace("__", "."): value for key, value in pax.items()}
    return entry_of(Member(name, type, size, 0, link, records), io.BytesIO())


def test_kinds() -> None:
    assert isinstance(entry("Files/f"), File)
    assert isinstance(entry("Files/d", DIRECTORY), Directory)
    assert isinstance(entry("Files/f:s"), AlternateStream)
    assert entry("Files/l", HARD_LINK, "Files/f") == HardLink("l", "f")
    assert entry("Files/d/.wh.gone") == Whiteout("d/gone")
    assert entry("Files/.wh.gone") == Whiteout("gone")
    assert entry("Files/d/.wh..wh..opq") == OpaqueWhiteout("d")
    assert entry("Files/.wh..wh..opq") == OpaqueWhiteout("")
    assert isinstance(entry("Hives/Sam_Delta"), HiveDelta)
    assert entry("Files/.wh." + "n" * 255) == Whiteout("n" * 255)
    assert entry("UtilityVM/.wh.Files") is None
    assert entry("Hives/.wh..wh..opq") is None
    assert entry("Hives", DIRECTORY) is None
    assert entry("UtilityVM/Files/x") is None


def test_attributes_have_the_directory_bit_exactly_on_directories() -> None:
    assert entry("Files/f").metadata.attributes == 0
    assert entry("Files/d", DIRECTORY).metadata.attributes == 0x10
    assert entry("Files/f", MSWINDOWS__fileattr="48").metadata.attributes == 0x20
    assert entry("Files/d", DIRECTORY, MSWINDOWS__fileattr="2").metadata.attributes == 0x12


def test_links_to_directories_are_told_by_their_attributes() -> None:
    assert not entry("Files/l", SYMBOLIC_LINK, "t").is_directory
    assert entry("Files/l", SYMBOLIC_LINK, "t", MSWINDOWS__fileattr="1040").is_directory
    assert isinstance(entry("Files/j", SYMBOLIC_LINK, "C:\\t", MSWINDOWS__mountpoint="1"), ReparsePoint)


@pytest.mark.parametrize(
    ("value", "ticks"),
    [
        ("0", 0),
        ("1.", 10_000_000),
        ("1.5", 15_000_000),
        ("1.1234567", 11_234_567),
        ("1.123456789", 11_234_567),
        ("-1.5", -15_000_000),
        ("-11644473600", -EPOCH),
    ],
)
def test_times(value: str, ticks: int) -> None:
    assert filetime(value) == EPOCH + ticks


def test_times_default_to_the_modification_time() -> None:
    metadata = entry("Files/f", mtime="5.5", atime="7").metadata
    assert metadata.modified == metadata.created == metadata.changed == EPOCH + 55_000_000
    assert metadata.accessed == EPOCH + 70_000_000


@pytest.mark.parametrize(
    ("arguments", "records", "sentence"),
    [
        (("Files/f",), {"mtime": "soon"}, "its time 'soon' is not a number of seconds"),
        (("Files/f",), {"mtime": "999999999999"}, "its time lies outside what Windows can keep"),
        (("Files/f",), {"mtime": "-11644473600.1"}, "its time lies outside what Windows can keep"),
        (("Files/f",), {"MSWINDOWS__fileattr": "0x20"}, "its attributes '0x20' is not a number"),
        (("Files/f",), {"MSWINDOWS__fileattr": "4294967296"}, "its attributes 4294967296 are not 32 bits"),
        (("Files/f",), {"MSWINDOWS__rawsd": "?"}, "its security descriptor is not base64"),
        (
            ("Files/f",),
            {"MSWINDOWS__rawsd": "AAAA"},
            "its security descriptor is not valid: 3 bytes are too few",
        ),
        (("Files/f",), {"MSWINDOWS__xattr__A": "?"}, "its extended attribute is not base64"),
        (("Files/f",), {"MSWINDOWS__xattr__": ""}, "the name of an extended attribute is not valid"),
        (
            ("Files/f",),
            {"MSWINDOWS__xattr__A": "AAAA" * 22000},
            "its extended attributes are larger than 64 KiB",
        ),
        (("Files",), {}, "the root of C: is not a folder in it"),
        (("Files/d:s", DIRECTORY), {}, "a stream has to be a file"),
        (("Files/l", SYMBOLIC_LINK, ""), {}, "the link has no valid target"),
        (("Files/l", SYMBOLIC_LINK, "t" * 9000), {}, "the link's target is too long"),
        (
            ("Files/l", SYMBOLIC_LINK, "t"),
            {"MSWINDOWS__mountpoint": "1"},
            "a junction needs an absolute target",
        ),
        (
            ("Files/l", SYMBOLIC_LINK, "C:\\t"),
            {"MSWINDOWS__mountpoint": "1", "MSWINDOWS__fileattr": "32"},
            "a junction has to be a folder",
        ),
        (("Files/l", HARD_LINK, "Files/../x"), {}, '".." is not allowed in a name'),
        (("Files/l", HARD_LINK, "/etc/passwd"), {}, "an empty name is not allowed"),
        (("Files/l", HARD_LINK, "Files/f:s"), {}, "its hard link's target is not a file"),
        (("Files/l", HARD_LINK, "Files"), {}, "its hard link's target is not a file"),
        (("Files/l", HARD_LINK, "Hives/x"), {}, "its hard link's target lies in Hives, which has no files"),
        (("Files/.wh.", FILE), {}, "an empty name is not allowed"),
        (("Files/.wh...", FILE), {}, '".." is not allowed in a name'),
        (("Files/.wh.$MFT", FILE), {}, "$MFT belongs to the volume itself"),
        (("Files/.wh..wh.plnk", FILE), {}, "it is not a whiteout that OCI knows"),
        (("Files/../.wh.x", FILE), {}, '".." is not allowed in a name'),
        (("Files/a:b/.wh.x", FILE), {}, "the character ':' is not allowed in a name"),
        ((".wh.Files", FILE), {}, "it lies outside Files, Hives and UtilityVM"),
        (("Files/.wh.d", DIRECTORY), {}, "a whiteout has to be an empty file"),
        (("Files/.wh.a:b", FILE), {}, "the character ':' is not allowed in a name"),
        (("Hives/a/b", FILE), {}, "only registry hives have a place in Hives"),
        (("Hives/a", DIRECTORY), {}, "only registry hives have a place in Hives"),
    ],
)
def test_what_is_refused(arguments, records, sentence) -> None:
    with pytest.raises(Malformed) as raised:
        entry(*arguments, **records)
    assert str(raised.value) == sentence
