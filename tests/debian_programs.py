"""Programs of Debian packages that the tests run and that nobody wants installed: they bring daemons."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from linwin.templates.packages import Archive, debian_mirror, unpack


def debian_program(package: str, program: str) -> str:
    """The path of ``program``: the one on PATH, or that of a Debian package."""
    return shutil.which(program) or unpacked_program(package, program)


def unpacked_program(package: str, program: str) -> str:
    """The path of a Debian package's ``program``, unpacked into a cache whatever is on PATH."""
    with _one_of_all(package) as unpacked:
        if not unpacked.exists():
            with tempfile.TemporaryDirectory(dir=unpacked.parent) as folder:
                subprocess.run(["apt-get", "-q", "download", package], cwd=folder, check=True)
                (archive,) = Path(folder).glob("*.deb")
                subprocess.run(["dpkg-deb", "--extract", archive, f"{folder}/root"], check=True)
                os.rename(f"{folder}/root", unpacked)
    return str(unpacked / "usr/bin" / program)


def suite_program(suite: str, package: str, program: str) -> str:
    """The path of a ``program``, given from the root on, of another ``suite`` of this host's Debian mirror.

    Raises Unavailable where it cannot be had.
    """
    with _one_of_all(f"{package}-{suite}") as unpacked:
        if not unpacked.exists():
            with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
                runner.run(_unpack(suite, package, unpacked))
    return str(unpacked / program)


async def _unpack(suite: str, package: str, target: Path) -> None:
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        archive = Archive(Path(folder), await debian_mirror(), suite)
        await archive.update()
        files = await archive.fetch([package], Path(folder) / "fetched")
        await unpack(files, Path(folder) / "root")
        os.rename(f"{folder}/root", target)


@contextmanager
def _one_of_all(name: str) -> Iterator[Path]:
    """A folder in the cache, for one process at a time: tests and campaigns run side by side."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "linwin"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield cache / name
