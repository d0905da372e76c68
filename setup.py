"""What pyproject.toml cannot say: the compiled part of linwin.disks, and what scripts/package generated."""

from pathlib import Path

from setuptools import setup


def generated() -> list[tuple[str, list[str]]]:
    """Manual pages and completions below ``share``, to be installed at the same places of a prefix."""
    folders: dict[str, list[str]] = {}
    for path in sorted(Path("share").rglob("*")):
        if path.is_file():
            folders.setdefault(str(path.parent), []).append(str(path))
    return list(folders.items())


setup(cffi_modules=["linwin/disks/_ntfs_build.py:ffi"], data_files=generated())
