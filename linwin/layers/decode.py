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
from linwin.layers.names import Area, check_component, split_area, split_stream
from linwin.layers.reparse import link_data

WHITEOUT_PREFIX = ".wh."
OPAQUE_WHITEOUT = ".wh..wh..opq"

TICKS_PER_SECOND = 10_000_000
EPOCH = 116_444_736_000_000_000
"""1970-01-01 as a FILETIME."""
LAST_FILETIME = 2**63 - 1

TIME = re.compile(r"(-?)([0-9]{1,12})(?:\.([0-9]{0,18}))?")
LARGEST_SECURITY_DESCRIPTOR = 64 * 1024
LARGEST_EXTENDED_ATTRIBUTES = 64 * 1024
EXTENDED_ATTRIBUTE = "MSWINDOWS.xattr."


def entry_of(member: tar.Member, content: Content) -> Entry | None:
    """The entry that a member stands for; None when it says nothing about C:. Raises Malformed."""
    parent, _, name = member.name.rpartition("/")
    if name.startswith(WHITEOUT_PREFIX):
        return whiteout(member, parent, name)
    area, path = split_area(member.name)
    if area is Area.UTILITY_VM:
        return None
    if area is Area.HIVES:
        return hive_delta(member, path, content)
    if not path and member.type != tar.DIRECTORY:
        raise Malformed("the root of C: is not a folder in it")
    if ":" in name:
        return alternate_stream(member, path, content)
    return node(member, path, content)


def node(member: tar.Member, path: str, content: Content) -> Entry:
    if member.type == tar.HARD_LINK:
        return HardLink(path, link_target(member.linkname))
    if member.type == tar.DIRECTORY:
        return Directory(path, metadata(member, FILE_ATTRIBUTE_DIRECTORY))
    if member.type == tar.SYMBOLIC_LINK:
        junction = "MSWINDOWS.mountpoint" in member.pax
        default = FILE_ATTRIBUTE_DIRECTORY if junction else 0
        data = link_data(member.linkname, junction=junction)
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


def whiteout(member: tar.Member, parent: str, name: str) -> Whiteout | OpaqueWhiteout | None:
    """``name`` is the whiteout's own; its prefix counts in no limit, since it never reaches a volume."""
    if member.type != tar.FILE or member.size:
        raise Malformed("a whiteout has to be an empty file")
    if name == OPAQUE_WHITEOUT:
        area, path = split_area(parent)
        return OpaqueWhiteout(path) if area is Area.FILES else None
    hidden = name.removeprefix(WHITEOUT_PREFIX)
    if hidden.startswith(WHITEOUT_PREFIX):
        raise Malformed("it is not a whiteout that OCI knows")
    check_component(hidden)
    area, path = split_area(f"{parent}/{hidden}")
    return Whiteout(path) if area is Area.FILES else None


def alternate_stream(member: tar.Member, path: str, content: Content) -> AlternateStream:
    if member.type != tar.FILE:
        raise Malformed("a stream has to be a file")
    base, stream = split_stream(path)
    if stream is None:
        raise Malformed("the name of its stream is not valid")
    return AlternateStream(base, stream, member.size, content)


def link_target(linkname: str) -> str:
    """The path of a hard link's target. BuildKit forgets the leading ``Files/``."""
    top = linkname.partition("/")[0]
    prefixed = linkname if top in ("Files", "Hives", "UtilityVM") else f"Files/{linkname}"
    area, path = split_area(prefixed)
    if area is not Area.FILES:
        raise Malformed(f"its hard link's target lies in {area.value}, which is not kept")
    if not path or ":" in path:
        raise Malformed("its hard link's target is not a file")
    return path


def metadata(member: tar.Member, default_attributes: int) -> Metadata:
    pax = member.pax
    modified = filetime(pax["mtime"]) if "mtime" in pax else bounded(member.mtime * TICKS_PER_SECOND + EPOCH)
    created = filetime(pax["LIBARCHIVE.creationtime"]) if "LIBARCHIVE.creationtime" in pax else modified
    changed = filetime(pax["ctime"]) if "ctime" in pax else modified
    accessed = filetime(pax["atime"]) if "atime" in pax else modified
    attributes = default_attributes
    if "MSWINDOWS.fileattr" in pax:
        attributes = tar.decimal(pax["MSWINDOWS.fileattr"], "attributes")
        if attributes > 0xFFFFFFFF:
            raise Malformed(f"its attributes {attributes} are not 32 bits")
    if member.type == tar.DIRECTORY:
        attributes |= FILE_ATTRIBUTE_DIRECTORY
    elif member.type == tar.FILE:
        attributes &= ~FILE_ATTRIBUTE_DIRECTORY
    rawsd = pax.get("MSWINDOWS.rawsd")
    security = security_descriptor(rawsd) if rawsd else None
    return Metadata(attributes, created, modified, changed, accessed, security, extended_attributes(pax))


@lru_cache(maxsize=256)
def security_descriptor(value: str) -> bytes:
    data = from_base64(value, "security descriptor")
    if not 20 <= len(data) <= LARGEST_SECURITY_DESCRIPTOR:
        raise Malformed("its security descriptor is not valid")
    return data


def extended_attributes(pax: dict[str, str]) -> tuple[tuple[str, bytes], ...]:
    found = []
    for key, value in pax.items():
        if key.startswith(EXTENDED_ATTRIBUTE):
            name = key.removeprefix(EXTENDED_ATTRIBUTE)
            if not name or not name.isascii() or "\0" in name or len(name) > 254:
                raise Malformed("the name of an extended attribute is not valid")
            found.append((name, from_base64(value, "extended attribute")))
    if sum(len(name) + len(value) + 16 for name, value in found) > LARGEST_EXTENDED_ATTRIBUTES:
        raise Malformed("its extended attributes are larger than 64 KiB")
    return tuple(found)


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
