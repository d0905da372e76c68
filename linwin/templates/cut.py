"""Cuts Wine down to what console programs need, and checks that nothing kept misses a part."""

from __future__ import annotations

import fnmatch
import shutil
from collections.abc import Iterable
from pathlib import Path

from linwin.errors import InvalidRequest, Unavailable
from linwin.templates import elf, pe
from linwin.templates.recipe import Cut

# ext-ms- sets are optional by design; api-ms- names are mapped by Wine's apisetschema.
_UNREAD = (
    "usr/share/doc",
    "usr/share/man",
    "usr/share/lintian",
    "usr/share/locale",
    "usr/share/bug",
    "usr/share/fontconfig",
    "usr/share/gdb",
    "usr/lib/x86_64-linux-gnu/gconv",
    "usr/x86_64-w64-mingw32",
    "usr/x86_64-w64-mingw32ucrt",
)
_API_SETS = ("api-ms-win-", "ext-ms-")


def remove_unwanted(folders: Iterable[Path], cuts: Iterable[Cut], programs: Iterable[str]) -> None:
    """Delete the files that the cuts and the left-out ``programs`` name.

    Raises InvalidRequest for a pattern that matches nothing: Wine has changed
    and the recipe's author should look again.
    """
    files = {path.name: path for folder in folders for path in sorted(folder.iterdir())}
    patterns = [pattern for cut in cuts for pattern in cut.files] + [f"{name}.exe" for name in programs]
    for pattern in patterns:
        matching = fnmatch.filter(files, pattern)
        if not matching:
            raise InvalidRequest(f"the recipe cuts {pattern!r}, and Wine has no such file")
        for name in matching:
            files[name].unlink(missing_ok=True)


def strip_modules(folder: Path) -> None:
    """Strip every 64-bit module in ``folder`` in place and check that its imports are there too."""
    imports: dict[str, frozenset[str]] = {}
    for path in sorted(folder.iterdir()):
        image = path.read_bytes()
        try:
            stripped = pe.strip(image)
            imports[path.name] = pe.imports(stripped)
        except pe.BadImage as error:
            raise InvalidRequest(f"Wine's {path.name} cannot be stripped: {error}") from error
        if pe.is_builtin(image) != pe.is_builtin(stripped):
            raise InvalidRequest(f"Wine's {path.name} lost its signature")
        path.write_bytes(stripped)
    check_imports(imports)


def check_imports(imports: dict[str, frozenset[str]]) -> None:
    """Raise InvalidRequest when a module imports one that is not among them."""
    for name, needed in sorted(imports.items()):
        for missing in sorted(needed - imports.keys()):
            if not missing.startswith(_API_SETS):
                raise InvalidRequest(f"the recipe cuts {missing}, which {name} imports")


def mark_builtin(source: Path, destination: Path) -> None:
    """Copy a module that is not Wine's own among Wine's, so that every process finds it."""
    try:
        destination.write_bytes(pe.mark_builtin(source.read_bytes()))
    except (OSError, pe.BadImage) as error:
        raise Unavailable(f"cannot use {source.name} as a module of Wine: {error}") from error


def remove_placeholders(drive: Path) -> list[str]:
    """Delete the files that stand in a prefix for modules which were cut; return their names."""
    removed = []
    for path in sorted(drive.rglob("*")):
        if path.is_symlink() or not path.is_file():
            continue
        with path.open("rb") as file:
            start = file.read(pe.SIGNATURE_OFFSET + pe.SIGNATURE_SIZE)
        if pe.is_placeholder(start):
            path.unlink()
            removed.append(path.name)
    return removed


def trim_system(root: Path) -> None:
    """Delete documentation and the like, which nothing in the guest reads."""
    for name in _UNREAD:
        folder = root / name
        if folder.exists():
            shutil.rmtree(folder)


def check_libraries(root: Path) -> None:
    """Raise InvalidRequest when a shared library that a file in ``root`` needs is not in ``root``."""
    present = {path.name for path in root.rglob("*.so*")}
    for path in sorted(root.rglob("*")):
        if path.is_symlink() or not path.is_file():
            continue
        data = path.read_bytes()
        for library in elf.needed(data) if elf.is_elf(data) else ():
            if library not in present:
                where = path.relative_to(root)
                raise InvalidRequest(f"/{where} needs {library}, and none of the recipe's packages has it")
