"""Programs of Debian packages that the tests run and that nobody wants installed: they bring daemons."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from linwin.templates.packages import Archive, debian_mirror, unpack


def debian_program(package: str, program: str) -> str:
    """The path of ``program``: the one on PATH, or that of a Debian package."""
    return shutil.which(program) or unpacked_program(package, program)


def unpacked_program(package: str, program: str) -> str:
    """The path of a Debian package's ``program``, unpacked into a cache whatever is on PATH."""
    cache = _cache()
    unpacked = cache / package
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"{package}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # campaigns run side by side
        if unpacked.exists():
            return str(unpacked / "usr/bin" / program)
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            subprocess.run(["apt-get", "-q", "download", package], cwd=folder, check=True)
            (archive,) = Path(folder).glob("*.deb")
            subprocess.run(["dpkg-deb", "--extract", archive, f"{folder}/root"], check=True)
            os.rename(f"{folder}/root", unpacked)
    return str(unpacked / "usr/bin" / program)


def suite_program(suite: str, package: str, program: str) -> str:
    """The path of a ``program``, given from the root on, of another ``suite`` of this host's Debian mirror.

    Raises Unavailable where it cannot be had.
    """
    unpacked = _cache() / f"{package}-{suite}"
    if not unpacked.exists():
        with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
            runner.run(_unpack(suite, package, unpacked))
    return str(unpacked / program)


async def _unpack(suite: str, package: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        archive = Archive(Path(folder), await debian_mirror(), suite)
        await archive.update()
        files = await archive.fetch([package], Path(folder) / "fetched")
        await unpack(files, Path(folder) / "root")
        os.rename(f"{folder}/root", target)


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "linwin"
