"""Names in a layer, and which of them a Windows volume may be given.

Rules: Microsoft, "Naming Files, Paths, and Namespaces", and [MS-FSCC] 2.1.5.
A layer is written on a machine that is not Windows, so nothing but this module
stands between a hostile name and the volume.
"""

from __future__ import annotations

import re
from enum import Enum
from functools import lru_cache

from linwin.layers.errors import Malformed

LONGEST_NAME = 255
LONGEST_PATH = 32_000
"""UTF-16 units; Windows allows 32,767 with ``\\\\?\\C:\\`` in front."""
DEEPEST_PATH = 1_000
LONGEST_REMEMBERED = 1_000
"""Characters of a path that is worth its memory in a cache."""

WHITEOUT_PREFIX = ".wh."

FORBIDDEN = re.compile(r'[\x00-\x1f"*:<>?|\\]')
RESERVED = re.compile(r"(CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(COM|LPT)[0-9¹²³]) *(\.|$)", re.IGNORECASE)
VOLUME_FILES = frozenset(
    [
        "$MFT",
        "$MFTMIRR",
        "$LOGFILE",
        "$VOLUME",
        "$ATTRDEF",
        "$BITMAP",
        "$BOOT",
        "$BADCLUS",
        "$SECURE",
        "$UPCASE",
        "$EXTEND",
    ]
)
"""What NTFS keeps of itself in the root folder, in upper case."""


class Area(Enum):
    """The top folders of a layer."""

    FILES = "Files"
    HIVES = "Hives"
    UTILITY_VM = "UtilityVM"


def split_area(name: str) -> tuple[Area, str]:
    """Take the top folder off an entry's name; the rest is checked. Raises Malformed.

    One trailing slash is accepted. A colon in the last component passes, for
    :func:`split_stream`.
    """
    top, _, rest = name.removesuffix("/").partition("/")
    try:
        area = Area(top)
    except ValueError:
        raise Malformed("it lies outside Files, Hives and UtilityVM") from None
    if "\\" in rest:
        raise Malformed("a backslash is not allowed in a name")
    parent, slash, last = rest.rpartition("/")
    if slash:
        check_folder(parent)
    base, colon, _ = last.partition(":")
    if rest and (base or not colon):
        check_component(base)
    elif colon:
        raise Malformed("a stream needs a file's name before it")
    if not parent and area is Area.FILES and base.upper() in VOLUME_FILES:
        raise Malformed(f"{base} belongs to the volume itself")
    if len(rest) > LONGEST_PATH // 2 and utf16_length(rest) > LONGEST_PATH:
        raise Malformed("its path is too long")
    return area, rest


def split_stream(path: str) -> tuple[str, str | None]:
    """``file:stream[:$DATA]`` → (file, stream); a plain path has no stream. Raises Malformed."""
    base, colon, stream = path.partition(":")
    if not colon:
        return base, None
    if stream.upper().endswith(":$DATA"):
        stream = stream[: -len(":$DATA")]
    if not stream or ":" in stream or "\0" in stream:
        raise Malformed("the name of its stream is not valid")
    if utf16_length(stream) > LONGEST_NAME:
        raise Malformed("the name of its stream is too long")
    return base, stream


def check_folder(path: str) -> None:
    """Check the parents of an entry: as a rule the same as the entry's before."""
    if len(path) <= LONGEST_REMEMBERED:
        check_short_folder(path)
    else:
        check_components(path)


@lru_cache(maxsize=4096)
def check_short_folder(path: str) -> None:
    check_components(path)


def check_components(path: str) -> None:
    components = path.split("/")
    if len(components) > DEEPEST_PATH:
        raise Malformed("its path is too deep")
    for component in components:
        check_component(component)
    if components[0].upper() in VOLUME_FILES:
        raise Malformed(f"{components[0]} belongs to the volume itself")


def check_component(name: str) -> None:
    """Refuse what Windows cannot have as a file's name. Raises Malformed."""
    if not name:
        raise Malformed("an empty name is not allowed")
    if name in (".", ".."):
        raise Malformed(f'"{name}" is not allowed in a name')
    if name.startswith(WHITEOUT_PREFIX):
        raise Malformed("a name that begins with .wh. is none but a whiteout's")
    if bad := FORBIDDEN.search(name):
        raise Malformed(f"the character {bad[0]!r} is not allowed in a name")
    if name[-1] in ". ":
        raise Malformed("a name cannot end in a dot or a space")
    if RESERVED.match(name):
        raise Malformed(f"{name[:20]!r} is the name of a device")
    if len(name) > LONGEST_NAME or (not name.isascii() and utf16_length(name) > LONGEST_NAME):
        raise Malformed("a name is longer than 255 characters")


def utf16_length(name: str) -> int:
    return len(name.encode("utf-16-le", "surrogatepass")) // 2
