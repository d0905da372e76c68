"""Hard links from ``Files`` into ``UtilityVM``: their targets' content, from the layers that have it.

UtilityVM is not kept, since no container sees it. A link into it is applied as
an empty file (:mod:`linwin.disks.waiting`), and when the layer is done its blob,
then those below, are read once more for the content. That costs something only
where there are such links.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path

from linwin.disks.content import Refused, write_stream
from linwin.disks.volume import Volume, VolumeError
from linwin.disks.waiting import WaitingFile, WaitingFiles
from linwin.errors import InvalidRequest
from linwin.layers import (
    DAMAGED,
    AlternateStream,
    Area,
    Directory,
    Entry,
    File,
    HardLink,
    Metadata,
    OpaqueWhiteout,
    ReparsePoint,
    Whiteout,
    quoted,
    read_layer,
)

MOST_READS = 8
"""How often one layer is read for links that lead to links. A tool links to the file itself: once."""

Wanted = dict[str, list[WaitingFile]]
"""Folded path → the files that wait for it, in one area."""


def fill_waiting(
    volume: Volume, waiting: WaitingFiles, layers: Sequence[tuple[str, str]], limit: int, where: str
) -> None:
    """Give every waiting file the content it waits for.

    ``layers`` are blob and diff id of the layer that was applied and of those
    below it, the nearest first; ``limit`` is what one may expand to. Raises
    InvalidRequest, which begins with ``where``, for a link whose target is in
    none, Unavailable when a blob cannot be read, and what Volume raises.
    """
    search = Search(volume)
    for file in waiting:
        search.want(file.link.area, file.link.target, file)
    try:
        for depth, (blob, diff_id) in enumerate(layers):
            if search.wanted:
                search.layer(Path(blob), diff_id, limit, own=depth == 0)
        search.in_template()
    except RefusedLink as error:
        entry = quoted(f"Files/{error.file.link.path}")
        raise InvalidRequest(f"{where}, entry {entry}: {error}", hint=DAMAGED) from error


class RefusedLink(Refused):
    """A waiting file cannot be filled."""

    def __init__(self, file: WaitingFile, sentence: str) -> None:
        super().__init__(sentence)
        self.file = file


class Search:
    """What is wanted still, by area."""

    def __init__(self, volume: Volume) -> None:
        self._volume = volume
        self.wanted: dict[Area, Wanted] = {}
        # What the layer at hand has given, by area and folded path.
        self._given: dict[tuple[Area, str], WaitingFile] = {}
        # The files by number: a link may lead to one that is still waiting itself.
        self._files: dict[int, WaitingFile] = {}

    def want(self, area: Area, path: str, file: WaitingFile) -> None:
        self._files.setdefault(file.number, file)
        self.wanted.setdefault(area, {}).setdefault(self._volume.fold(path), []).append(file)

    def layer(self, blob: Path, diff_id: str, limit: int, *, own: bool) -> None:
        """Look in one layer, again where a link in it leads on to another place in it."""
        self._given.clear()
        for _ in range(MOST_READS):
            led_on = False
            for area in tuple(self.wanted):
                wanted = self.wanted.pop(area)
                reading = Reading(self._volume, wanted)
                with closing(read_layer(blob, diff_id, limit=limit, area=area)) as entries:
                    reading.take(entries)
                led_on |= self._conclude(area, reading, own)
            if not led_on or not self.wanted:
                return
        raise RefusedLink(self._any(), f"its target is a hard link behind more than {MOST_READS} others")

    def _conclude(self, area: Area, reading: Reading, own: bool) -> bool:
        """Take over what a reading found out; say whether a link led on."""
        self._given |= {(area, path): file for path, file in reading.found.items()}
        for path, files in reading.wanted.items():
            link = reading.links.get(path)
            if link is not None:
                for file in files:
                    self._follow(link, file, own)
            elif path not in reading.found:
                # Whiteouts of the layer that has the link itself do not keep it from its target.
                if not own and reading.hides(path):
                    raise missing(files[0])
                self.wanted.setdefault(area, {}).setdefault(path, []).extend(files)
        return bool(reading.links)

    def _follow(self, link: HardLink, file: WaitingFile, own: bool) -> None:
        given = self._given.get((link.area, self._volume.fold(link.target)))
        if given is not None:
            join(self._volume, file, given)
        elif not (own and link.area is Area.FILES and self._link_to_volume(link.target, file)):
            self.want(link.area, link.target, file)

    def in_template(self) -> None:
        """What no layer has: files of C: may be the template's, those of a utility VM are gone."""
        for area, wanted in self.wanted.items():
            for path, files in wanted.items():
                for file in files:
                    if area is not Area.FILES or not self._link_to_volume(path, file):
                        raise missing(file)

    def _link_to_volume(self, path: str, file: WaitingFile) -> bool:
        node = self._volume.find(path)
        if node is None or node.is_directory or node.number == file.number:
            return False
        other = self._files.get(node.number)
        if other is None:
            move_names(self._volume, file, node.number)
        else:
            join(self._volume, file, other)
        return True

    def _any(self) -> WaitingFile:
        return next(files[0] for wanted in self.wanted.values() for files in wanted.values())


class Reading:
    """One pass through one area of one layer."""

    def __init__(self, volume: Volume, wanted: Wanted) -> None:
        self._volume = volume
        self.wanted = wanted
        self.found: dict[str, WaitingFile] = {}
        self.links: dict[str, HardLink] = {}
        self._above = {folder for path in wanted for folder in folders_of(path)}
        self._hidden: set[str] = set()
        self._emptied: set[str] = set()

    def take(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            match entry:
                case File() | ReparsePoint() | HardLink():
                    self._file(entry, self._volume.fold(entry.path))
                case AlternateStream() if file := self.found.get(self._volume.fold(entry.path)):
                    self._write(file, entry.stream, entry)
                case Whiteout():
                    self._note(self._hidden, entry.path)
                case OpaqueWhiteout():
                    self._note(self._emptied, entry.path)
                case Directory() if files := self.wanted.get(self._volume.fold(entry.path)):
                    raise RefusedLink(files[0], f'its hard link\'s target "{entry.path}" is a folder')

    def hides(self, path: str) -> bool:
        """Whether the layer takes from view what those below it have at ``path``."""
        folders = folders_of(path)
        return (
            path in self._hidden
            or not self._hidden.isdisjoint(folders)
            or not self._emptied.isdisjoint(folders)
        )

    def _note(self, kind: set[str], path: str) -> None:
        folded = self._volume.fold(path)
        if folded in self._above or folded in self.wanted:
            kind.add(folded)

    def _file(self, entry: File | ReparsePoint | HardLink, path: str) -> None:
        files = self.wanted.get(path)
        if files is None:
            if path in self._above:
                self._hidden.add(path)
            return
        self.links.pop(path, None)
        if isinstance(entry, HardLink):
            self.found.pop(path, None)
            self.links[path] = entry
            return
        first, *others = files
        self._fill(first, entry)
        self.found[path] = first
        for other in others:
            join(self._volume, other, first)
        self.wanted[path] = [first]

    def _fill(self, file: WaitingFile, entry: File | ReparsePoint) -> None:
        if file.is_filled:
            empty(self._volume, file, entry.metadata)
        file.is_filled = True
        if isinstance(entry, File):
            self._write(file, "", entry)
            self._volume.set_metadata(file.number, entry.metadata)
        elif entry.is_directory:
            raise RefusedLink(file, f'its hard link\'s target "{entry.path}" is a folder')
        else:
            self._volume.set_metadata(file.number, entry.metadata, entry.data)

    def _write(self, file: WaitingFile, stream: str, entry: File | AlternateStream) -> None:
        try:
            write_stream(self._volume, file.number, stream, entry.size, entry.content)
        except Refused as error:
            raise RefusedLink(file, str(error)) from error


def join(volume: Volume, file: WaitingFile, other: WaitingFile) -> None:
    """Make one of two files: what ``other`` is given, and where its names go, is both's.

    Raises RefusedLink.
    """
    move_names(volume, file, other.number)
    other.names |= file.names


def move_names(volume: Volume, file: WaitingFile, number: int) -> None:
    """Make all names of a waiting file names of another. Raises RefusedLink."""
    for (parent, _), name in file.names.items():
        volume.remove(parent, file.number, name)
        try:
            volume.link(number, parent, name)
        except VolumeError as error:
            if error.errno != errno.EMLINK:
                raise
            raise RefusedLink(file, "a file cannot have more than 1024 names") from error
    file.number = number


def empty(volume: Volume, file: WaitingFile, metadata: Metadata) -> None:
    """Put a new file in a waiting one's place: nothing of what it was, link or streams, stays."""
    old = file.number
    for index, ((parent, _), name) in enumerate(file.names.items()):
        volume.remove(parent, old, name)
        if index:
            volume.link(file.number, parent, name)
        else:
            file.number = volume.create_file(parent, name, metadata, b"", 0)


def folders_of(path: str) -> list[str]:
    """The folders that a path lies in, the root first."""
    parts = path.split("/")[:-1]
    return ["", *("/".join(parts[: depth + 1]) for depth in range(len(parts)))]


def missing(file: WaitingFile) -> RefusedLink:
    target = quoted(f"{Area.UTILITY_VM.value}/Files/{file.link.target}")
    return RefusedLink(
        file, f"no layer that was pulled has {target} to link to, and a template has no UtilityVM"
    )
