"""Raw security descriptors: what Windows' own layers have passes, and nothing that is not whole."""

from __future__ import annotations

import base64
import struct
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linwin.layers.descriptor import check_descriptor
from linwin.layers.errors import Malformed
from tests.unit.layers import descriptors as sd
from tests.unit.layers.docker_layers import EMPTY_DACL, LABELLED, NO_DACL, NULL_DACL, OWN
from tests.unit.layers.linux_layers import BUILDKIT_FILE, BUILDKIT_FOLDER, USERS_ONLY

BA, SY = sd.ADMINISTRATORS, sd.SYSTEM
APP = "S-1-15-3-1024-1065365936-1281604716-3511738428-1654721687-432734479-3232135806-4053264122-3456934681"


def dacl(*aces: bytes, **more) -> bytes:
    return sd.descriptor(BA, SY, dacl=sd.acl(*aces, **more))


def longer(ace: bytes, data: bytes) -> bytes:
    """An ACE with something behind its SID."""
    return ace[:2] + struct.pack("<H", len(ace) + len(data)) + ace[4:] + data


def changed(data: bytes, at: int, value: bytes) -> bytes:
    return data[:at] + value + data[at + len(value) :]


CONDITION = longer(sd.ace(0x09, 0, 0x1200A9, sd.USERS), b"artx\xf9\0\0\0\0\0\0\0")
SOUND = {
    "nothing but owner and group": NO_DACL,
    "crane's": USERS_ONLY,
    "BuildKit's for folders": base64.b64decode(BUILDKIT_FOLDER),
    "BuildKit's for files": base64.b64decode(BUILDKIT_FILE),
    "a NULL DACL": NULL_DACL,
    "an empty DACL": EMPTY_DACL,
    "protected, of TrustedInstaller": OWN,
    "a label": LABELLED,
    "a condition, as apps have": dacl(CONDITION),
    "a capability": dacl(sd.ace(sd.ALLOWED, 0, sd.ALL, APP)),
    "an object's": dacl(sd.ace(5, 0, 1, BA, object_type="bf967aba-0de6-11d0-a285-00aa003049e2"), revision=4),
    "an ACL with room to spare": sd.descriptor(
        BA, SY, dacl=struct.pack("<BBHHH", 2, 0, 16, 0, 0) + b"\xcc" * 8
    ),
    "resource, policy and trust": sd.descriptor(
        BA,
        SY,
        sacl=sd.acl(
            longer(sd.ace(0x12, 0, 0, sd.EVERYONE), b"claim..."),
            sd.ace(0x13, 0, 0, "S-1-17-1"),
            sd.ace(0x14, 0, 0x20000, "S-1-19-512-8192"),
        ),
    ),
    "owner and group in one place": changed(sd.descriptor(BA, BA)[:36], 8, b"\x14\0\0\0"),
}


@pytest.mark.parametrize("name", SOUND)
def test_what_passes(name: str) -> None:
    check_descriptor(SOUND[name])


GOOD = dacl(sd.ace(sd.ALLOWED, 0, sd.ALL, BA))
DACL_AT = 20 + 16 + 12
ACE_AT = DACL_AT + 8


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "0 bytes are too few"),
        (GOOD[:19], "19 bytes are too few"),
        (bytes(70_000), "it is larger than 64 KiB"),
        (changed(GOOD, 0, b"\2"), "its revision is 2"),
        (changed(GOOD, 3, b"\0"), "it is not self-relative"),
        (changed(GOOD, 4, bytes(4)), "it has no owner"),
        (changed(GOOD, 8, bytes(4)), "it has no group"),
        (changed(GOOD, 4, b"\x08\0\0\0"), "its owner lies outside it"),
        (changed(GOOD, 4, b"\xff\xff\xff\xff"), "its owner lies outside it"),
        (changed(GOOD, 8, b"\x16\0\0\0"), "its group does not lie on a multiple of four bytes"),
        (changed(GOOD, 20, b"\2"), "the SID of its owner is not a SID"),
        (changed(GOOD, 21, b"\0"), "the SID of its owner is not a SID"),
        (changed(GOOD, 21, b"\x10"), "the SID of its owner is not a SID"),
        (changed(NO_DACL, 37, b"\2"), "the SID of its group is cut off"),
        (changed(GOOD, 8, struct.pack("<I", len(GOOD) - 4)), "the SID of its group is cut off"),
        (changed(GOOD, 2, b"\0"), "it has a DACL that its flags deny"),
        (changed(LABELLED, 2, b"\4"), "it has a SACL that its flags deny"),
        (changed(GOOD, 16, struct.pack("<I", len(GOOD) - 4)), "its DACL is cut off"),
        (changed(GOOD, DACL_AT, b"\3"), "the revision of its DACL is 3"),
        (changed(GOOD, DACL_AT + 2, b"\xff\0"), "its DACL has an impossible size of 255 bytes"),
        (changed(GOOD, DACL_AT + 2, b"\4\0"), "its DACL has an impossible size of 4 bytes"),
        (changed(GOOD, DACL_AT + 4, b"\2\0"), "ACE 2 of its DACL is cut off"),
        (changed(GOOD, ACE_AT, b"\3"), "ACE 1 of its DACL has the unknown type 3"),
        (changed(GOOD, ACE_AT + 2, b"\x7c\0"), "ACE 1 of its DACL has an impossible size of 124 bytes"),
        (changed(GOOD, ACE_AT + 2, b"\4\0"), "ACE 1 of its DACL has an impossible size of 4 bytes"),
        (changed(GOOD, ACE_AT + 2, b"\x14\0"), "the SID of ACE 1 of its DACL is cut off"),
        (changed(GOOD, ACE_AT + 9, b"\1"), "ACE 1 of its DACL has bytes behind its SID"),
        (changed(GOOD, ACE_AT, b"\5"), "the SID of ACE 1 of its DACL is cut off"),
        (changed(GOOD, ACE_AT + 8, b"\2"), "the SID of ACE 1 of its DACL is not a SID"),
        (GOOD + bytes(4), "4 bytes follow its last part"),
        (changed(GOOD, 37, b"\2"), "parts of it overlap"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_refused(data: bytes, sentence: str) -> None:
    with pytest.raises(Malformed) as raised:
        check_descriptor(data)
    assert str(raised.value) == f"its security descriptor is not valid: {sentence}"


@settings(max_examples=1000)
@given(
    st.sampled_from(sorted(SOUND)),
    st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=4),
    st.integers(-8, 8),
)
def test_no_damage_gives_anything_but_malformed(
    name: str, damage: list[tuple[int, int]], length: int
) -> None:
    data = bytearray(SOUND[name])
    for at, value in damage:
        data[at % len(data)] = value
    data = data[:length] if length < 0 else data + bytes(length)
    with suppress(Malformed):
        check_descriptor(bytes(data))
