"""Tar members → layer entries.

Format: the records that go-winio's ``backuptar`` writes, and what BuildKit,
crane, ko and imgutil make of them.
"""

from __future__ import annotations

import base64
import binascii
import re
from functools import lru_cache

from linwin.layers import tar
from linwin.layers.descriptor import check_descriptor
from linwin.layers.entries import (
    FILE_ATTRIBUTE_DIRECTORY,
    AlternateStream,
    Content,
    Directory,
    Entry,
    File,
    HardLink,
    HiveDelta,
    Metadata,
    OpaqueWhiteout,
    ReparsePoint,
    Whiteout,
)
from linwin.layers.errors import Malformed
from linwin.layers.names import WHITEOUT_PREFIX, Area, check_component, split_area, split_stream
from linwin.layers.reparse import link_data
from linwin.layers.sddl import descriptor_of_sddl

OPAQUE_WHITEOUT = ".wh..wh..opq"

TICKS_PER_SECOND = 10_000_000
EPOCH = 116_444_736_000_000_000
"""1970-01-01 as a FILETIME."""
LAST_FILETIME = 2**63 - 1

TIME = re.compile(r"(-?)([0-9]{1,12})(?:\.([0-9]{0,18}))?")
LARGEST_EXTENDED_ATTRIBUTES = 64 * 1024
ATTRIBUTES = "MSWINDOWS.fileattr"
CREATION_TIME = "LIBARCHIVE.creationtime"
EXTENDED_ATTRIBUTE = "MSWINDOWS.xattr."
EXTENDED_NAME = re.compile(r"[!-~]([ -~]{0,252}[!-~])?")


def entry_of(member: tar.Member, content: Content, wanted: Area = Area.FILES) -> Entry | None:
    """The entry that a member stands for; None when it says nothing about ``wanted``.

    Registry deltas are said to be about FILES. Raises Malformed, whatever the area.
    """
    full = member.name
    if full.endswith("/"):
        if member.type != tar.DIRECTORY:
            raise Malformed("only a folder's name can end in a slash")
        full = full[:-1]
    parent, _, name = full.rpartition("/")
    if name.startswith(WHITEOUT_PREFIX):
        return whiteout(member, parent, name, wanted)
    area, path = split_area(full)
    if area is Area.HIVES:
        return hive_delta(member, path, content) if wanted is Area.FILES else None
    place = place_in(area, path)
    if place is None or area is not wanted:
        return None
    if not place and member.type != tar.DIRECTORY:
        raise Malformed("the root of C: is not a folder in it")
    if ":" in name:
        return alternate_stream(member, place, content)
    return node(member, place, content)


def place_in(area: Area, path: str) -> str | None:
    """Where in an area's C: a path lies; None for what UtilityVM has beside its ``Files``."""
    if area is not Area.UTILITY_VM:
        return path
    top, _, rest = path.partition("/")
    return rest if top == Area.FILES.value else None


def node(member: tar.Member, path: str, content: Content) -> Entry:
    if member.type == tar.HARD_LINK:
        return HardLink(path, *link_target(member.linkname))
    if member.type == tar.DIRECTORY:
        return Directory(path, metadata(member, FILE_ATTRIBUTE_DIRECTORY))
    if member.type == tar.SYMBOLIC_LINK:
        junction = "MSWINDOWS.mountpoint" in member.pax
        default = FILE_ATTRIBUTE_DIRECTORY if junction else 0
        data = link_data(symbolic_target(member), junction=junction)
        link = ReparsePoint(path, metadata(member, default), data)
        if junction and not link.is_directory:
            raise Malformed("a junction has to be a folder")
        return link
    return File(path, metadata(member, 0), member.size, content)


def hive_delta(member: tar.Member, path: str, content: Content) -> HiveDelta | None:
    if not path and member.type == tar.DIRECTORY:
        return None
    if member.type != tar.FILE or "/" in path or ":" in path:
        raise Malformed("only registry hives have a place in Hives")
    return HiveDelta(path, member.size, content)


def whiteout(member: tar.Member, parent: str, name: str, wanted: Area) -> Whiteout | OpaqueWhiteout | None:
    """``name`` is the whiteout's own; its prefix counts in no limit, since it never reaches a volume."""
    if member.type != tar.FILE or member.size:
        raise Malformed("a whiteout has to be an empty file")
    opaque = name == OPAQUE_WHITEOUT
    hidden = name.removeprefix(WHITEOUT_PREFIX)
    if not opaque:
        if hidden.startswith(WHITEOUT_PREFIX):
            raise Malformed("it is not a whiteout that OCI knows")
        check_component(hidden)
    area, path = split_area(parent if opaque else f"{parent}/{hidden}")
    place = place_in(area, path)
    if place is None or area is not wanted:
        return None
    return OpaqueWhiteout(place) if opaque else Whiteout(place)


def alternate_stream(member: tar.Member, path: str, content: Content) -> AlternateStream:
    if member.type != tar.FILE:
        raise Malformed("a stream has to be a file")
    base, stream = split_stream(path)
    if stream is None:
        raise Malformed("the name of its stream is not valid")
    return AlternateStream(base, stream, member.size, content)


def link_target(linkname: str) -> tuple[str, Area]:
    """The path of a hard link's target, and its area.

    BuildKit forgot the leading ``Files/``; crane leaves the target as ``tar -C DIR .`` wrote it.
    """
    top = linkname.partition("/")[0]
    known = top in (area.value for area in Area)
    area, path = split_area(linkname if known else f"Files/{linkname.removeprefix('./')}")
    if area is Area.HIVES:
        raise Malformed("its hard link's target lies in Hives, which has no files")
    place = place_in(area, path)
    if not place or ":" in place:
        raise Malformed("its hard link's target is not a file")
    return place, area


def symbolic_target(member: tar.Member) -> str:
    """A symbolic link's target, without the ``Files/`` that BuildKit puts in front of it by mistake.

    Nothing else writes a creation time without attributes, so no other tool's target is touched.
    """
    by_buildkit = CREATION_TIME in member.pax and ATTRIBUTES not in member.pax
    return member.linkname.removeprefix("Files/") if by_buildkit else member.linkname


def metadata(member: tar.Member, default_attributes: int) -> Metadata:
    pax = member.pax
    modified = filetime(pax["mtime"]) if "mtime" in pax else bounded(member.mtime * TICKS_PER_SECOND + EPOCH)
    created = filetime(pax[CREATION_TIME]) if CREATION_TIME in pax else modified
    changed = filetime(pax["ctime"]) if "ctime" in pax else modified
    accessed = filetime(pax["atime"]) if "atime" in pax else modified
    attributes = default_attributes
    if ATTRIBUTES in pax:
        attributes = tar.decimal(pax[ATTRIBUTES], "attributes")
        if attributes > 0xFFFFFFFF:
            raise Malformed(f"its attributes {attributes} are not 32 bits")
    if member.type == tar.DIRECTORY:
        attributes |= FILE_ATTRIBUTE_DIRECTORY
    elif member.type == tar.FILE:
        attributes &= ~FILE_ATTRIBUTE_DIRECTORY
    return Metadata(attributes, created, modified, changed, accessed, security(pax), extended_attributes(pax))


def security(pax: dict[str, str]) -> bytes | None:
    """The entry's security descriptor; SDDL counts only where there is no raw one."""
    if raw := pax.get("MSWINDOWS.rawsd"):
        return raw_descriptor(raw)
    if text := pax.get("MSWINDOWS.sd"):
        return text_descriptor(text)
    return None


@lru_cache(maxsize=128)
def raw_descriptor(value: str) -> bytes:
    data = from_base64(value, "security descriptor")
    check_descriptor(data)
    return data


@lru_cache(maxsize=128)
def text_descriptor(text: str) -> bytes:
    return descriptor_of_sddl(text)


def extended_attributes(pax: dict[str, str]) -> tuple[tuple[str, bytes], ...]:
    found: dict[str, bytes] = {}
    for key, value in pax.items():
        if key.startswith(EXTENDED_ATTRIBUTE):
            name = key.removeprefix(EXTENDED_ATTRIBUTE).upper()
            if not EXTENDED_NAME.fullmatch(name):
                raise Malformed("the name of an extended attribute is not valid")
            if name in found:
                raise Malformed(f"it has the extended attribute {name} twice")
            found[name] = from_base64(value, "extended attribute")
    if sum(len(name) + len(value) + 16 for name, value in found.items()) > LARGEST_EXTENDED_ATTRIBUTES:
        raise Malformed("its extended attributes are larger than 64 KiB")
    # One without a value is one that is not there.
    return tuple((name, value) for name, value in found.items() if value)


def from_base64(value: str, what: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Malformed(f"its {what} is not base64") from error


def filetime(value: str) -> int:
    """``seconds[.fraction]`` since 1970 → FILETIME, cut to 100 ns."""
    match = TIME.fullmatch(value)
    if match is None:
        raise Malformed(f"its time {value[:40]!r} is not a number of seconds")
    sign, seconds, fraction = match.groups()
    ticks = int(seconds) * TICKS_PER_SECOND + int((fraction or "")[:7].ljust(7, "0"))
    return bounded(EPOCH - ticks if sign else EPOCH + ticks)


def bounded(time: int) -> int:
    if not 0 <= time <= LAST_FILETIME:
        raise Malformed("its time lies outside what Windows can keep")
    return time
