"""What lies in the chains' folder, and what the files there say of themselves."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from linwin.disks.c_start import NOTE
from linwin.disks.qcow2 import CORRUPT, DIRTY, EXTERNAL_DATA, Header, read_header
from linwin.errors import Internal
from linwin.layers import quoted, short

SUFFIX = ".qcow2"
NAME = re.compile(r"[0-9a-f]{64}\.qcow2")
READ_ONLY = 0o444
WRITABLE = 0o222

FEATURES = {
    DIRTY: "was not closed",
    CORRUPT: "is marked as corrupt",
    EXTERNAL_DATA: "keeps its data in another file",
}


@dataclass(slots=True)
class Survey:
    """The files of all chains, by name.

    ``files`` has all whose name is a chain's, with their headers where these can
    be read. ``problems`` ends a sentence that begins with the file, ``writable``
    names those that somebody could change, ``strays`` what is no chain's at all.
    """

    folder: Path
    files: dict[str, Header | None] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    writable: list[str] = field(default_factory=list)
    strays: list[str] = field(default_factory=list)

    def backing(self, name: str) -> str | None:
        header = self.files.get(name)
        return None if header is None else header.backing

    def lineage(self, name: str) -> list[str]:
        """A file and those below it that are there, downwards; each once, whatever the headers say."""
        found: list[str] = []
        at: str | None = name
        while at is not None and at in self.files and at not in found:
            found.append(at)
            at = self.backing(at)
        return found

    def closure(self, names: Iterable[str]) -> set[str]:
        """Files with all that they stand on."""
        return {below for name in names for below in self.lineage(name)}

    def ends_first(self, names: Iterable[str]) -> list[str]:
        """Files in an order in which none goes before what stands on it."""
        return sorted(names, key=lambda name: (-len(self.lineage(name)), name))


def survey(folder: Path) -> Survey:
    """Read the header of every file. Raises OSError when the folder cannot be read."""
    found = Survey(folder)
    for path in sorted(folder.iterdir()) if folder.exists() else ():
        if NOTE.fullmatch(path.name):
            continue  # one whose chain is gone goes with the next prune
        if not NAME.fullmatch(path.name):
            found.strays.append(path.name)
            continue
        try:
            look_at(path, found)
        except OSError as error:
            found.files[path.name] = None
            found.problems[path.name] = f"cannot be read: {error.strerror}"
    for name, header in found.files.items():
        if (
            header is not None
            and name not in found.problems
            and (wrong := wrong_backing(name, header, found))
        ):
            found.problems[name] = wrong
    return found


def look_at(path: Path, found: Survey) -> None:
    found.files[path.name] = None
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode):
        found.problems[path.name] = "is not a file"
        return
    if status.st_mode & WRITABLE:
        found.writable.append(path.name)
    try:
        header = found.files[path.name] = read_header(path)
    except Internal:
        found.problems[path.name] = "has no valid qcow2 header"
        return
    for feature, words in FEATURES.items():
        if header.features & feature:
            found.problems[path.name] = words


def wrong_backing(name: str, header: Header, found: Survey) -> str | None:
    """What is wrong with the way a file names the one below it."""
    if header.backing is None:
        return None
    if not NAME.fullmatch(header.backing):
        return f"names the backing file {quoted(header.backing)}, which is no chain's"
    if header.backing not in found.files:
        return f"stands on {title(header.backing)}, which is missing"
    if found.backing(found.lineage(name)[-1]) is not None:
        return "stands on itself"
    below = found.files[header.backing]
    if below is not None and below.size != header.size:
        return f"is not as large as {title(header.backing)}, on which it stands"
    return None


def title(name: str) -> str:
    """How messages call a chain, by its file's name."""
    return f"chain {short(name)}"
