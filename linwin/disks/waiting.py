"""Files that stand empty on the volume until what they link to has been found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from linwin.disks.content import Refused
from linwin.disks.volume import Volume
from linwin.layers import HardLink

MOST = 100_000
"""Names that may wait at a time. Real layers have a handful."""


@dataclass(slots=True, eq=False)
class WaitingFile:
    """The file ``number``; ``link`` is the entry that asked for it.

    ``names`` are its names on the volume: folder's number and folded name, with
    the name as it is written. ``is_filled`` once it was given content, which
    another may yet replace.
    """

    number: int
    link: HardLink
    names: dict[tuple[int, str], str] = field(default_factory=dict)
    is_filled: bool = False


class WaitingFiles:
    """The files of one layer whose hard links' targets lie in UtilityVM, which is not on the volume.

    They exist from the moment of the link on, so that whatever else the layer
    says of their names, replaces, removes or links again, is done to them as to
    any file. One that loses its last name waits no longer.
    """

    def __init__(self, volume: Volume) -> None:
        self._volume = volume
        self._by_number: dict[int, WaitingFile] = {}
        self._by_target: dict[str, WaitingFile] = {}
        self._names = 0

    def __iter__(self) -> Iterator[WaitingFile]:
        return iter(tuple(self._by_number.values()))

    def for_target(self, path: str) -> WaitingFile | None:
        """The file that waits for ``path`` already."""
        return self._by_target.get(self._volume.fold(path))

    def add(self, number: int, link: HardLink) -> None:
        self._by_number[number] = self._by_target[self._volume.fold(link.target)] = WaitingFile(number, link)

    def named(self, number: int, parent: int, name: str) -> None:
        """A file, one of these or another, has got a name. Raises Refused."""
        if file := self._by_number.get(number):
            file.names[parent, self._volume.fold(name)] = name
            self._names += 1
            if self._names > MOST:
                raise Refused(f"a layer cannot have more than {MOST} hard links into UtilityVM")

    def unnamed(self, number: int, parent: int, name: str) -> None:
        """A file, one of these or another, has lost a name."""
        if file := self._by_number.get(number):
            del file.names[parent, self._volume.fold(name)]
            self._names -= 1
            if not file.names:
                del self._by_number[number]
                del self._by_target[self._volume.fold(file.link.target)]
