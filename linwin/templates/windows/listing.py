"""The paths of an image, in the spelling that the image has. Pure.

Windows does not tell case, the tools here do: what is added must meet the folders that are there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Listing:
    """Every path of an image, by its lower-case form; no path begins with a slash."""

    paths: Mapping[str, str]

    @classmethod
    def of(cls, paths: Iterable[str]) -> Listing:
        return cls({path.lower(): path for path in paths})

    def has(self, path: str) -> bool:
        return path.lower() in self.paths

    def spelled(self, path: str) -> str:
        """``path``, as far as it exists in the spelling of the image."""
        parent, _, name = path.rpartition("/")
        if found := self.paths.get(path.lower()):
            return found
        return f"{self.spelled(parent)}/{name}" if parent else path

    def new_folders(self, paths: Iterable[str]) -> frozenset[str]:
        """The folders that have to be made for ``paths``."""
        parents = (path.split("/")[:length] for path in paths for length in range(1, path.count("/") + 1))
        return frozenset(folder for parts in parents if not self.has(folder := "/".join(parts)))
