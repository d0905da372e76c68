"""Where a copy goes and what it is called there: docker's rules, for both directions. No I/O."""

from __future__ import annotations

from dataclasses import dataclass

from linwin.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class Source:
    """``name`` is its last name, ``.`` for the content of a folder."""

    name: str
    is_folder: bool


@dataclass(frozen=True, slots=True)
class Target:
    """``path`` is as it is to be used, ``parent`` and ``name`` are its two parts.

    ``says_folder`` tells that it was written with a slash or a dot at its end.
    """

    path: str
    parent: str
    name: str
    exists: bool
    is_folder: bool
    says_folder: bool


def place(source: Source, target: Target) -> tuple[str, str]:
    """The folder to unpack in, and what the archive's first member is to be called.

    Raises InvalidRequest in docker's words.
    """
    if target.exists and target.is_folder:
        return target.path, source.name
    if target.exists and source.is_folder:
        raise InvalidRequest("cannot copy directory", hint=f"{target.path} is a file.")
    if not target.exists and not source.is_folder and target.says_folder:
        raise InvalidRequest("no such directory", hint=f"There is no directory {target.path}.")
    return target.parent, target.name


def renamed(name: str, old: str, new: str) -> str:
    """A member's name with its first part, ``old``, called ``new``. Raises InvalidRequest for another."""
    if name.rstrip("/") == old.rstrip("/"):
        return new
    prefix = old.rstrip("/") + "/"
    if not name.startswith(prefix):
        raise InvalidRequest(f'the daemon sent "{name}", which was not asked for')
    return f"{new.rstrip('/')}/{name.removeprefix(prefix)}"
