"""Programs of Debian packages that the tests run and that nobody wants installed: they bring daemons."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path


def debian_program(package: str, program: str) -> str:
    """The path of ``program``: the one on PATH, or that of a Debian package."""
    return shutil.which(program) or unpacked_program(package, program)


def unpacked_program(package: str, program: str) -> str:
    """The path of a Debian package's ``program``, unpacked into a cache whatever is on PATH."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "linwin"
    unpacked = cache / package
    if not unpacked.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            subprocess.run(["apt-get", "-q", "download", package], cwd=folder, check=True)
            (archive,) = Path(folder).glob("*.deb")
            subprocess.run(["dpkg-deb", "--extract", archive, f"{folder}/root"], check=True)
            os.rename(f"{folder}/root", unpacked)
    return str(unpacked / "usr/bin" / program)
