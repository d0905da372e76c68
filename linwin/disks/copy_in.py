"""Entries that a client wants copied → a volume in use, by docker's rules for what is there already."""

from __future__ import annotations

from linwin.disks.apply import Applier
from linwin.disks.content import Refused
from linwin.disks.volume import ROOT, Node, Volume
from linwin.layers import AlternateStream, Directory, HardLink, HiveDelta, quoted
from linwin.layers.copied import Copied


class CopyIn:
    """Writes entries in the archive's order. Raises Refused, and what :class:`Volume` raises.

    With ``keep_kinds`` neither does a file replace a folder nor a folder a file.
    """

    def __init__(self, volume: Volume, *, keep_kinds: bool) -> None:
        self._volume = volume
        self._keep_kinds = keep_kinds
        self._applier = Applier(volume, no_hives, keep_streams=True)

    def apply(self, entry: Copied) -> None:
        there = self._place(entry.path)
        if there is not None and self._keep_kinds and not isinstance(entry, AlternateStream):
            check_kind(entry, there)
        if isinstance(entry, HardLink):
            target = self._volume.find(entry.target)
            if target is not None and target.is_reparse_point:
                raise Refused(f"{quoted(entry.target)} is a link, to which there are no hard links")
        self._applier.apply(entry)

    def _place(self, path: str) -> Node | None:
        """What lies at a path; refuses to make a folder of a file, or to go through a link, on the way."""
        *folders, last = path.split("/")
        folder = ROOT
        for name in folders:
            node = self._volume.lookup(folder, name)
            if node is None:
                return None
            if not node.is_folder:
                raise Refused(f"{quoted(name)} on its path is not a folder")
            folder = node.number
        return self._volume.lookup(folder, last)


def check_kind(entry: Copied, there: Node) -> None:
    """docker's noOverwriteDirNonDir. Raises Refused."""
    shown = quoted("C:\\" + entry.path.replace("/", "\\"))
    if there.is_folder and not isinstance(entry, Directory):
        raise Refused(f"cannot overwrite directory {shown} with non-directory")
    if not there.is_folder and isinstance(entry, Directory):
        raise Refused(f"cannot overwrite non-directory {shown} with directory")


def no_hives(_: HiveDelta) -> None:
    raise AssertionError("read_copy yields no registry deltas")
