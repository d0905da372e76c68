"""Paths into a container's C:, by docker's rules for Windows, and what lies there.

Docker removes ``C:`` from a path and takes what is left from the root, so
``C:\\x``, ``c:/x``, ``\\x``, ``/x`` and ``x`` are one file. Both slashes separate.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

OTHER_DRIVE = "The specified path is not on the system drive (C:)"
MOST_LINKS = 40
"""Links that are followed on the way to one file: Linux's own limit."""

_DRIVE = re.compile(r"([A-Za-z]):")
_NT_PREFIXES = ("/??/", "//?/", "//./")


@dataclass(frozen=True, slots=True)
class VolumePath:
    """A path on C:, taken apart. ``parts`` are its names from the root on.

    ``is_folder`` says that it ends in a slash or a dot: then a link at its end is
    followed, and it names nothing but a folder. ``base`` is what docker calls
    the thing in an archive: its last name as it was asked for, ``.`` or ``/``.
    """

    parts: tuple[str, ...]
    is_folder: bool
    base: str

    @property
    def relative(self) -> str:
        """The names joined by slashes; empty for the root."""
        return "/".join(self.parts)


@dataclass(frozen=True, slots=True)
class FileStat:
    """One file or folder. ``link`` is where a link leads, with slashes, from the root or relative; or empty.

    ``modified`` is in nanoseconds since 1970.
    """

    size: int
    is_directory: bool
    is_read_only: bool
    modified: int
    link: str = ""


ChangeKind = Literal["modified", "added", "deleted"]


@dataclass(frozen=True, slots=True)
class Change:
    """A file or folder of a container that differs from its image's; ``path`` has slashes, from the root."""

    kind: ChangeKind
    path: str


SPELLING = "Name a path on C:, such as C:\\folder\\file or /folder/file."


def parse_path(text: str) -> VolumePath:
    """Take a path apart that a client sent. Raises ValueError with a sentence for its user."""
    rest = _without_drive(text)
    if not rest and text:
        raise ValueError(f'No relative path specified in "{text}"')
    names = rest.split("/")
    parts: list[str] = []
    for name in names:
        if name == "..":
            parts = parts[:-1]
        elif name not in ("", "."):
            parts.append(name)
    is_folder = names[-1] in ("", ".") or not parts
    base = "." if names[-1] == "." else parts[-1] if parts else "/"
    return VolumePath(tuple(parts), is_folder, base)


def parse_folder(text: str) -> VolumePath:
    """The folder that a client wants an archive unpacked in; a drive alone is its root.

    Docker's clients for Linux cut the slash off ``C:/``. Raises ValueError as :func:`parse_path` does.
    """
    return parse_path(f"{text}/" if _DRIVE.fullmatch(text) else text)


def parse_entry(name: str) -> tuple[str, ...]:
    """The names in an archive entry's name, from the folder on that it is unpacked in.

    Docker's client for Linux sends ``C:\\folder\\file`` as one name. Raises
    ValueError for a name that leads out of the folder.
    """
    parts: list[str] = []
    for part in _without_drive(name).split("/"):
        if part == "..":
            if not parts:
                raise ValueError("it is outside of the folder that is copied to")
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return tuple(parts)


def follow(link: str, parent: tuple[str, ...]) -> tuple[str, ...]:
    """Where a link in the folder ``parent`` leads, as names from the root on; never out of C:.

    Raises ValueError for another drive or a server.
    """
    text = link.replace("\\", "/")
    for prefix in _NT_PREFIXES:
        text = text.removeprefix(prefix)
    absolute = text.startswith("/") or _DRIVE.match(text)
    above = "" if absolute else "/" + "/".join(parent) + "/"
    return parse_path(above + text).parts


def shown_link(link: str) -> str:
    """A link's target in the form that clients on Linux take for a path: slashes, and no drive for C:."""
    text = link.replace("\\", "/")
    for prefix in _NT_PREFIXES:
        text = text.removeprefix(prefix)
    match = _DRIVE.match(text)
    return text[2:] or "/" if match and match[1] in "Cc" else text


def _without_drive(text: str) -> str:
    if "\0" in text:
        raise ValueError("a path cannot hold a null character")
    if text.startswith("\\\\"):  # a server's share or a device
        raise ValueError(OTHER_DRIVE)
    if match := _DRIVE.match(text):
        if match[1] not in "Cc":
            raise ValueError(OTHER_DRIVE)
        text = text[2:]
    return text.replace("\\", "/")
