"""What a container changed on its C:, found from the file records that its overlay holds.

A file that changed has a file record that changed, and an overlay holds the clusters that
were written, so what is read goes with what changed and not with what there is.

Format of a file record: ntfs-3g, include/ntfs-3g/layout.h, ``MFT_RECORD`` and ``ATTR_RECORD``.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from linwin.disks.likeness import REPEATED_FLAGS
from linwin.disks.volume import ROOT, Extent, Node, Records, Volume, VolumeError
from linwin.layers.noise import WINE_REGISTRY
from linwin.model.files import Change, ChangeKind

# magic, offset and count of the update sequence, log number, sequence number, links, offset of
# the first attribute, flags, bytes in use, bytes allocated, base record
HEADER = struct.Struct("<4sHHQHHHHIIQ")
MAGIC = b"FILE"
ATTRIBUTE = struct.Struct("<II")
"""The head of an attribute: its type, and its length in bytes, this included."""
RESIDENT = struct.Struct("<16xIH")
"""Length and offset of the value, in the head of an attribute that is kept in its record."""
INFORMATION = struct.Struct("<QQQQI")
"""The four times and the flags of $STANDARD_INFORMATION."""
NAME_REPEATS, NAME_GOES_ON = 0x08, 0x40
"""Between these, $FILE_NAME has the times, sizes and flags of the file as they were once."""
END = 0xFFFFFFFF
STANDARD_INFORMATION, FILE_NAME = 0x10, 0x30
INDEX = frozenset({0x90, 0xA0, 0xB0})
"""Types of $INDEX_ROOT, $INDEX_ALLOCATION, and the $BITMAP of the latter."""
IN_USE, FOLDER = 1, 2
SECTOR = 512
NUMBER = (1 << 48) - 1
FIRST_OF_USERS = 24
"""Records below are the volume's own files, but for the root folder's."""
LONGEST_PATH = 32_767
"""Characters of the longest path that a program can name. What lies deeper is left out."""
AT_ONCE = 1 << 20
"""Bytes of records that are read at once: what a guest lets its table grow to has no bound."""

OWN = f"/{WINE_REGISTRY}"


@dataclass(frozen=True, slots=True)
class Record:
    """A file record in use. ``essence`` is all of it that says something of the file.

    ``owner`` is the record that it belongs to: itself, or the one that it continues.
    """

    owner: int
    sequence: int
    is_folder: bool
    essence: bytes


def parse(number: int, raw: bytes) -> Record | None:
    """The record with that number; None for one that is not in use, or is none."""
    if len(raw) < HEADER.size:
        return None
    magic, fixups, fixup_count, _, sequence, links, first, flags, used, _, base = HEADER.unpack_from(raw)
    if magic != MAGIC or not flags & IN_USE:
        return None
    attributes = without_fixups(raw, fixups, fixup_count)[first:used]
    essence = struct.pack("<HHQ", links, flags, base) + b"".join(told_by(attributes))
    return Record((base & NUMBER) or number, sequence, bool(flags & FOLDER), essence)


def told_by(attributes: bytes) -> Iterator[bytes]:
    """What the attributes of a record say of its file.

    Not what they repeat: an index has times and sizes of what is in its folder, a name has its
    file's as they were once. A folder that gets or loses a name is told by its own times.
    """
    at = 0
    while at + ATTRIBUTE.size <= len(attributes):
        kind, length = ATTRIBUTE.unpack_from(attributes, at)
        if kind == END or length < ATTRIBUTE.size:
            return
        attribute = attributes[at : at + length]
        if kind == STANDARD_INFORMATION:
            yield without_bookkeeping(value_of(attribute))
        elif kind == FILE_NAME:
            value = value_of(attribute)
            yield value[:NAME_REPEATS] + value[NAME_GOES_ON:]
        elif kind not in INDEX:
            yield attribute
        at += length


def value_of(attribute: bytes) -> bytes:
    """The value of an attribute that is kept in its record."""
    if len(attribute) < RESIDENT.size:
        return b""
    length, at = RESIDENT.unpack_from(attribute)
    return attribute[at : at + length]


def without_bookkeeping(information: bytes) -> bytes:
    """$STANDARD_INFORMATION without the last access, and without the flags that repeat a record's kind."""
    if len(information) < INFORMATION.size:
        return information
    created, modified, changed, _, attributes = INFORMATION.unpack_from(information)
    kept = attributes & ~REPEATED_FLAGS
    return INFORMATION.pack(created, modified, changed, 0, kept) + information[INFORMATION.size :]


def without_fixups(raw: bytes, at: int, count: int) -> bytes:
    """A record with the last two bytes of each sector, which the update sequence took, in their place."""
    fixed = bytearray(raw)
    for index in range(1, count):
        end, saved = index * SECTOR, raw[at + 2 * index : at + 2 * index + 2]
        if end > len(raw) or len(saved) != 2:
            break
        fixed[end - 2 : end] = saved
    return bytes(fixed)


def touched(records: Records, written: Sequence[Extent]) -> Iterator[range]:
    """The numbers of the records that lie, in part at least, in what was written.

    ``written`` is in the order of the disk, and no two parts of it overlap.
    """
    first, ends = 0, [part.end for part in written]
    for extent in records.extents:
        # The parts that end before it are many, where a guest has written here and there.
        for index in range(bisect_right(ends, extent.start), len(written)):
            start, end = max(written[index].start, extent.start), min(ends[index], extent.end)
            if start >= end:
                break
            low, high = start - extent.start, end - extent.start
            yield range((first + low) // records.size, (first + high + records.size - 1) // records.size)
        first += extent.length


def pieces(numbers: Iterable[range], most: int) -> Iterator[range]:
    """The same numbers, at most so many in a range."""
    for some in numbers:
        for start in range(some.start, some.stop, most):
            yield range(start, min(start + most, some.stop))


class View:
    """One of the two volumes: as it was, or as it is."""

    def __init__(self, volume: Volume) -> None:
        self.volume = volume
        self.records = volume.records()
        self._folders: dict[int, str | None] = {ROOT: ""}
        self._entered: set[int] = set()

    def read(self, numbers: Iterable[range]) -> Iterator[tuple[int, Record | None]]:
        """The records with these numbers that there are."""
        size, end = self.records.size, self.volume.open_content(0)
        try:
            for some in numbers:
                here = range(some.start, min(some.stop, end // size))
                if not here:
                    continue
                data = self.volume.read_content(here.start * size, len(here) * size)
                for index, number in enumerate(here):
                    yield number, parse(number, data[index * size : (index + 1) * size])
        finally:
            self.volume.close_content()

    def paths(self, number: int) -> tuple[str, ...]:
        """All paths of a file, from the root on with slashes; none for the volume's own and for orphans."""
        if number == ROOT:
            return ("",)
        paths = (joined(self._folder(parent), name) for parent, name in self._names(number))
        return tuple(path for path in paths if path is not None)

    def below(self, number: int, path: str) -> Iterator[tuple[str, Node]]:
        """All that is in a folder, and in the folders in it, with its path.

        But of what it told before: a folder has one path, and a volume of a hostile guest
        may have one that is in itself.
        """
        waiting = [(number, path)]
        while waiting:
            folder, above = waiting.pop()
            if folder in self._entered:
                continue
            self._entered.add(folder)
            for name, node in self.volume.list(folder):
                if (found := joined(above, name)) is None:
                    continue
                yield found, node
                if node.is_folder:
                    waiting.append((node.number, found))

    def _folder(self, number: int) -> str | None:
        """The path of a folder; None where it does not come from the root, or is too long to be one."""
        climbed: dict[int, str] = {}
        while number not in self._folders and number not in climbed:
            above = self._names(number)
            parent, climbed[number] = above[0] if above else (number, "")
            number = parent
        path = self._folders.get(number)  # none where it goes in a circle
        for folder, name in reversed(climbed.items()):
            path = self._folders[folder] = joined(path, name)
        return path

    def _names(self, number: int) -> Sequence[tuple[int, str]]:
        if number < FIRST_OF_USERS:
            return ()
        try:
            return self.volume.names(number)
        except VolumeError:  # a record that another says is its folder, and that is none
            return ()


def joined(above: str | None, name: str) -> str | None:
    if above is None or len(above) + 1 + len(name) > LONGEST_PATH:
        return None
    return f"{above}/{name}"


def changes(old: Volume, new: Volume, written: Sequence[Extent]) -> list[Change]:
    """What differs between two volumes that only ``written`` parts of the new one's disk tell apart.

    In the order of their paths. As docker does, with the folders above each, without what
    is below a folder that was deleted.
    """
    before, after = View(old), View(new)
    was, is_ = records_of(before, after, written)
    gone: set[str] = set()
    there: set[str] = set()
    for number in was.keys() | is_.keys():
        earlier = set(before.paths(number)) if number in was else set()
        later = set(after.paths(number)) if number in is_ else set()
        if earlier != later and moved_folder(was.get(number), is_.get(number)):
            gone |= {path for one in earlier for path, _ in before.below(number, one)}
            there |= {path for one in later for path, _ in after.below(number, one)}
        gone |= earlier
        there |= later
    return listed(gone - {""}, there - {""})  # the root is nobody's


def records_of(
    before: View, after: View, written: Sequence[Extent]
) -> tuple[dict[int, Record], dict[int, Record]]:
    """The files whose records differ, by number: as they were, and as they are."""
    was: dict[int, Record | None] = {}
    is_: dict[int, Record | None] = {}
    owners: set[int] = set()
    for some in pieces(touched(after.records, written), AT_ONCE // after.records.size):
        old, new = dict(before.read([some])), dict(after.read([some]))
        for number in old.keys() | new.keys():
            one, other = old.get(number), new.get(number)
            if (one and one.essence) != (other and other.essence):
                owners |= {record.owner for record in (one, other) if record is not None}
                was[number], is_[number] = one, other
    # What a record continues may lie elsewhere, and be as it was.
    elsewhere = [range(number, number + 1) for number in sorted(owners - was.keys())]
    was |= before.read(elsewhere)
    is_ |= after.read(elsewhere)
    return in_use(was), in_use(is_)


def in_use(records: dict[int, Record | None]) -> dict[int, Record]:
    """Those of them that a file begins with."""
    return {number: record for number, record in records.items() if record and record.owner == number}


def moved_folder(was: Record | None, is_: Record | None) -> bool:
    """Whether two records are of one folder, so that what is in it moved with it."""
    return was is not None and is_ is not None and was.is_folder and was.sequence == is_.sequence


def listed(gone: set[str], there: set[str]) -> list[Change]:
    """``gone`` and ``there`` are the paths of what differs, as it was and as it is."""
    kinds: dict[str, ChangeKind] = {
        path: "modified" if path in gone else "added" for path in there if not is_own(path)
    }
    deleted = {path for path in gone - there if not is_own(path)}
    kinds |= dict.fromkeys((path for path in deleted if not deleted & set(above(path))), "deleted")
    for path in list(kinds):
        for folder in above(path):
            kinds.setdefault(folder, "modified")
    return [Change(kind, path) for path, kind in sorted(kinds.items())]


def above(path: str) -> Iterator[str]:
    """The folders that a path lies in, the root left out."""
    while (path := path.rpartition("/")[0]) != "":
        yield path


def is_own(path: str) -> bool:
    folded = path.lower()
    return folded == OWN or folded.startswith(OWN + "/")
