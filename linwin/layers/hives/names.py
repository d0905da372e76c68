"""Names of keys and values: how a hive stores, sorts and hashes them."""

from __future__ import annotations

import struct
from collections.abc import Callable

from linwin.layers.errors import Malformed

LONGEST_KEY_NAME = 256
LONGEST_VALUE_NAME = 16_383
"""UTF-16 units (Windows: "Registry Element Size Limits")."""

Fold = Callable[[str], str]
"""A name in upper case, one UTF-16 unit at a time, as a volume's $UpCase does it.

Names are the same when their folded forms are equal.
"""


def units_of(name: str) -> tuple[int, ...]:
    data = name.encode("utf-16-le", "surrogatepass")
    return struct.unpack(f"<{len(data) // 2}H", data)


def text_of(data: bytes) -> str:
    """UTF-16 units as text; half a unit at the end is left out."""
    return data[: len(data) & ~1].decode("utf-16-le", "surrogatepass")


def order(folded: str) -> bytes:
    """The key by which a hive sorts the folded names of subkeys: their units."""
    return folded.encode("utf-16-be", "surrogatepass")


def hash_of(folded: str) -> int:
    """What a hash leaf (``lh``) keeps of a folded name."""
    value = 0
    for unit in units_of(folded):
        value = (value * 37 + unit) & 0xFFFFFFFF
    return value


def hint(name: str) -> bytes:
    """What a fast leaf (``lf``) keeps of a name: its first four characters.

    A hint that begins with zero is none; one that is not all ASCII would be
    read in a code page.
    """
    start = name[:4]
    return start.encode("ascii").ljust(4, b"\0") if start.isascii() else bytes(4)


def encode(name: str) -> tuple[bytes, bool]:
    """A name as a cell holds it, and whether it is compressed: one byte a character."""
    try:
        return name.encode("latin-1"), True
    except UnicodeEncodeError:
        return name.encode("utf-16-le", "surrogatepass"), False


def decode(data: bytes, compressed: bool) -> str:
    """Raises Malformed for half a UTF-16 unit."""
    if compressed:
        return data.decode("latin-1")
    if len(data) % 2:
        raise Malformed("a name ends in the middle of a character")
    return data.decode("utf-16-le", "surrogatepass")


def stored_size(name: str) -> int:
    """Bytes of a name in UTF-16, which is how a key's limits count it."""
    return len(name.encode("utf-16-le", "surrogatepass"))


def check_key_name(name: str) -> None:
    """Refuse what no key can be called. Raises Malformed."""
    if not name:
        raise Malformed("a key without a name")
    if "\\" in name:
        raise Malformed("the name of a key contains a backslash")
    if stored_size(name) > 2 * LONGEST_KEY_NAME:
        raise Malformed(f"the name of a key is longer than {LONGEST_KEY_NAME} characters")


def check_value_name(name: str) -> None:
    """Raises Malformed. The empty name is the default value's."""
    if stored_size(name) > 2 * LONGEST_VALUE_NAME:
        raise Malformed(f"the name of a value is longer than {LONGEST_VALUE_NAME} characters")
