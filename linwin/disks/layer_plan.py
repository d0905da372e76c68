"""What a layer has to hold, so that whoever applies it to the volume as it was gets the volume as it is.

A path is in the layer when another file has it than before, or the same with something changed
that a layer tells; names that are gone become whiteouts. docs/commit.md says it to users.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from linwin.disks.changes import Record, View, above, moved_folder, records_of
from linwin.disks.likeness import Likeness, likeness
from linwin.disks.volume import ROOT, Extent, Node, Volume, VolumeError
from linwin.errors import Unsupported
from linwin.layers import FILE_ATTRIBUTE_DIRECTORY, quoted
from linwin.layers.names import WHITEOUT_PREFIX
from linwin.layers.noise import holds_noise, is_noise


@dataclass(frozen=True, slots=True)
class Whole:
    """A file or folder with all that is known of it, read from the volume as it is."""

    number: int


@dataclass(frozen=True, slots=True)
class Parent:
    """A folder that is there for what lies in it, read from the volume as it was."""

    number: int


@dataclass(frozen=True, slots=True)
class Link:
    """One more name of the file at ``target``, which the layer has further up, or the layers below have."""

    target: str


@dataclass(frozen=True, slots=True)
class Gone:
    """A whiteout."""


Step = Whole | Parent | Link | Gone


@dataclass(frozen=True, slots=True)
class Plan:
    """``steps`` are by the name that the entry has, relative to C:, parents first, without the root.

    ``root`` is how the root itself is told. ``is_empty`` says that nothing a layer tells has changed.
    """

    root: Whole | Parent
    steps: dict[str, Step]

    @property
    def is_empty(self) -> bool:
        return not self.steps and isinstance(self.root, Parent)


def plan(old: Volume, new: Volume, written: Sequence[Extent]) -> Plan:
    """What a layer holds that turns ``old`` into ``new``, which differ in ``written`` parts of the disk."""
    return Planning(old, new).plan(written)


class Planning:
    def __init__(self, old: Volume, new: Volume) -> None:
        self._old, self._new = old, new
        self._before, self._after = View(old), View(new)
        self._steps: dict[str, Step] = {}
        self._gone: dict[str, str] = {}
        self._there: set[str] = set()
        """Paths of what differs, as it was and as it is. Folded; the former with how they are written."""
        self._other_times: dict[str, int] = {}
        """Folders of which nothing but times differ, by path."""
        self._renewed: set[str] = set()
        """Folders in which there are other names than before, folded."""
        self._noisy: set[str] = set()
        """Folders that hold noise which differs, folded."""
        self._folders: dict[str, Node | None] = {}
        self._earlier_folders: dict[str, Node | None] = {}

    def plan(self, written: Sequence[Extent]) -> Plan:
        was, is_ = records_of(self._before, self._after, written)
        moved = self._moved(was, is_)
        for number in sorted(was.keys() | is_.keys() | moved):
            earlier = self._before.paths(number) if number in was or number in moved else ()
            later = self._after.paths(number) if number in is_ or number in moved else ()
            if number != ROOT:
                is_known = number in was or number in is_
                self._place(number, self._heard(earlier), self._heard(later), is_known)
        self._check_case()
        self._whiteouts()
        self._folders_of_other_times()
        self._parents()
        root = self._root(ROOT in was)
        return Plan(root, {name: self._steps[name] for name in sorted(self._steps, key=in_order)})

    def _moved(self, was: dict[int, Record], is_: dict[int, Record]) -> set[int]:
        """What is in folders that moved, and so has other paths though its own record says nothing of it."""
        found: set[int] = set()
        for number in was.keys() & is_.keys():
            if not moved_folder(was[number], is_[number]):
                continue
            earlier, later = self._before.paths(number), self._after.paths(number)
            if earlier != later:
                found |= {node.number for one in earlier for _, node in self._before.below(number, one)}
                found |= {node.number for one in later for _, node in self._after.below(number, one)}
        return found

    def _heard(self, paths: Iterable[str]) -> set[str]:
        """The paths that are no noise, relative to the root."""
        heard = set()
        for path in paths:
            path = path[1:]
            if is_noise(path):
                self._noisy.add(self._fold(parent_of(path)))
            else:
                heard.add(path)
        return heard

    # ---- files and folders -------------------------------------------------

    def _place(self, number: int, earlier: set[str], later: set[str], differs: bool) -> None:
        """Put a file or folder in its places; ``differs`` says that its own record does."""
        if len(later) > 1 and self._new.details(number)[0].attributes & FILE_ATTRIBUTE_DIRECTORY:
            raise VolumeError(errno.EIO, f"the folder {min(later)} has two names")
        self._gone |= {self._fold(path): path for path in earlier}
        for path in later:
            if (folded := self._fold(path)) in self._there:
                raise alike(path)
            self._there.add(folded)
        self._renewed |= {self._fold(parent_of(path)) for path in earlier ^ later}
        known = {self._identity(path) for path in earlier}
        stays = {path for path in later if self._identity(path) in known}
        if stays and differs:
            how = likeness(self._old, self._new, number)
            if how is Likeness.TIMES:
                self._other_times |= dict.fromkeys(stays, number)
            elif how is Likeness.OTHER:
                stays = set()
        # What is named first has the bytes. A name that is as it was stays out of the layer.
        first = min(stays or later, key=in_order, default="")
        for path in later - stays:
            self._steps[path] = Link(first) if path != first else Whole(number)

    def _identity(self, path: str) -> str:
        """Equal for paths that lead to one name. Folders on the way keep their spelling when layers merge."""
        parent, slash, name = path.rpartition("/")
        return self._fold(parent) + slash + name

    def _fold(self, path: str) -> str:
        return self._new.fold(path)

    def _check_case(self) -> None:
        """Refuse a new name beside one that stays and differs in case only: it would replace that."""
        for path, step in self._steps.items():
            if isinstance(step, (Whole, Link)) and self._fold(path) not in self._gone:
                parent, _, name = path.rpartition("/")
                folder = self._earlier_folder(parent)
                if folder is not None and self._old.lookup(folder.number, name) is not None:
                    raise alike(path)

    # ---- what is gone --------------------------------------------------------

    def _whiteouts(self) -> None:
        """Whiteouts, but for what lies below one, or below a folder that is none any more."""
        for folded, path in self._gone.items():
            if folded not in self._there and self._folder(parent_of(path)) is not None:
                parent, slash, name = path.rpartition("/")
                self._steps[f"{parent}{slash}{WHITEOUT_PREFIX}{name}"] = Gone()

    # ---- folders ---------------------------------------------------------------

    def _folders_of_other_times(self) -> None:
        """Folders whose times alone differ are in the layer, unless it may be noise that changed them."""
        for path, number in self._other_times.items():
            if not self._is_disturbed(path):
                self._steps[path] = Whole(number)

    def _is_disturbed(self, folder: str) -> bool:
        """Whether noise, and no name that is in the layer, came or went in a folder."""
        folded = self._fold(folder)
        return folded not in self._renewed and (folded in self._noisy or holds_noise(folder))

    def _parents(self) -> None:
        for path in list(self._steps):
            for folder in above(path):
                if folder in self._steps:
                    break
                node = self._folder(folder)
                if node is None:
                    raise VolumeError(errno.EIO, f"{folder} is no folder, though it has names")
                self._steps[folder] = Parent(node.number)

    def _root(self, differs: bool) -> Whole | Parent:
        if differs:
            how = likeness(self._old, self._new, ROOT)
            if how is Likeness.OTHER or (how is Likeness.TIMES and not self._is_disturbed("")):
                return Whole(ROOT)
        return Parent(ROOT)

    def _folder(self, path: str) -> Node | None:
        """The folder that lies at a path now, if one does."""
        return folder_at(self._new, path, self._folders)

    def _earlier_folder(self, path: str) -> Node | None:
        return folder_at(self._old, path, self._earlier_folders)


def folder_at(volume: Volume, path: str, known: dict[str, Node | None]) -> Node | None:
    if path not in known:
        node = volume.find(path)
        known[path] = node if node is not None and node.is_folder else None
    return known[path]


def alike(path: str) -> Unsupported:
    return Unsupported(
        f"{shown(path)} has a name that differs from another's in case only, and Windows takes both for one",
        hint="Delete or rename one of them in the container, then try again.",
    )


def shown(path: str) -> str:
    """A path on C: for an error's reader."""
    return quoted("C:\\" + path.replace("/", "\\"))


def parent_of(path: str) -> str:
    return path.rpartition("/")[0]


def in_order(path: str) -> list[str]:
    """A key that sorts folders before what is in them, and all that is in one together."""
    return path.split("/")
