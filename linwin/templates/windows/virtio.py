"""The virtio drivers of an ISO: for each that a guest needs, the package that is for its Windows.

The ISO has a folder for each driver, in it one for each version of Windows (``2k16``), in that one for each
architecture. Which folder is for which build is for others to say; the INF file in it has the last word.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from linwin.errors import Unsupported
from linwin.templates.windows.drivers import Package, read
from linwin.templates.windows.inf import MOST_BYTES, Target
from linwin.templates.windows.iso import File, Iso, open_iso

_ARCHITECTURE = "amd64"
_MOST_FILES = 64
_MOST_SIZE = 64 << 20  # of a package's files


@dataclass(frozen=True, slots=True)
class Driver:
    """A package, and the folder that its files are in, all in lower case."""

    package: Package
    folder: Path


@dataclass(frozen=True, slots=True)
class Wanted:
    """Drivers by the names of their folders, for a build; ``systems`` are folders in those, best first."""

    names: tuple[str, ...]
    systems: tuple[str, ...]
    build: int


async def read_drivers(source: Path, wanted: Wanted, destination: Path) -> tuple[Driver, ...]:
    """What is wanted, in that order, the files below ``destination``.

    Raises Unsupported, naming a driver that the ISO does not have for this build.
    """
    opened = await open_iso(source)
    found = []
    for name in wanted.names:
        folder = destination / name.lower()
        folder.mkdir()
        found.append(await _driver(opened, name, wanted, folder))
    return tuple(found)


async def _driver(opened: Iso, name: str, wanted: Wanted, destination: Path) -> Driver:
    listed = next(_candidates(opened, name, wanted.systems), ())
    infs = [file for file in listed if file.path.lower().endswith(".inf")]
    if len(infs) != 1 or infs[0].size > MOST_BYTES or sum(file.size for file in listed) > _MOST_SIZE:
        places = " or ".join(f"{name}/{system}/{_ARCHITECTURE}" for system in wanted.systems)
        raise Unsupported(
            f"{opened.source} has no driver {name} for Windows of build {wanted.build}: "
            f"it is looked for in {places}",
            hint="take a release of the virtio-win ISO that still serves that Windows, as it is published",
        )
    for path in await opened.extract(listed, destination):
        path.rename(path.with_name(path.name.lower()))
    inf = destination / infs[0].path.rpartition("/")[2].lower()
    package = read(inf.name, inf.read_bytes(), Target(wanted.build))
    for file in package.files:
        if not (destination / file).is_file():
            raise Unsupported(
                f"{opened.source} lacks a part of the driver {name}: {inf.name} names {file}",
                hint="download the virtio-win ISO again, or take another release of it",
            )
    return Driver(package, destination)


def _candidates(opened: Iso, name: str, systems: tuple[str, ...]) -> Iterator[tuple[File, ...]]:
    """The files of each folder that there is, best first; symbol files, which are large, are left out."""
    for system in systems:
        files = opened.folder(f"{name}/{system}/{_ARCHITECTURE}")
        kept = tuple(file for file in files if not file.path.lower().endswith(".pdb"))
        if 0 < len(kept) <= _MOST_FILES:
            yield kept
