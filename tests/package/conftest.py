"""The Debian package as scripts/package builds it, installed in a fresh Debian."""

from __future__ import annotations

import platform
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
# The hooks let apt in the new root see the package's file.
BOOTSTRAP = (
    "mmdebstrap",
    "--quiet",
    "--variant=minbase",
    "--hook-dir=/usr/share/mmdebstrap/hooks/file-mirror-automount",
)


@dataclass(frozen=True)
class System:
    """A small Debian in a folder."""

    root: Path

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a program in it, without a network, and end with it all that it has started."""
        apart = ("unshare", "--mount", "--net", "--pid", "--fork", "--kill-child")
        return subprocess.run(
            [*apart, "--root", self.root, "--mount-proc", *words],
            env={
                "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                "LC_ALL": "C.UTF-8",
                "DEBIAN_FRONTEND": "noninteractive",
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
        )

    def sh(self, script: str) -> str:
        """What a script prints; it must succeed."""
        done = self.run("sh", "-euc", script)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def named(self) -> set[Path]:
        """Every file and folder that has linwin's name, as it is called in there."""
        return {Path("/") / path.relative_to(self.root) for path in self.root.rglob("*linwin*")}


@pytest.fixture(scope="session")
def package() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="package-") as folder:
        built = subprocess.run(
            [REPOSITORY / "scripts/package", "deb", folder], stdout=subprocess.PIPE, text=True, check=True
        )
        yield Path(built.stdout.strip())


@pytest.fixture(scope="module")
def system(package: Path) -> Iterator[System]:
    """The package installed by apt with all that it depends on, from the mirror of this host's own apt."""
    targets = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Origin: Debian"]
    mirror = subprocess.run(targets, stdout=subprocess.PIPE, text=True, check=True).stdout.split()[0]
    suite = platform.freedesktop_os_release()["VERSION_CODENAME"]
    with tempfile.TemporaryDirectory(prefix="system-") as folder:
        root = Path(folder) / "root"
        subprocess.run(
            [*BOOTSTRAP, f"--include={package}", suite, root, mirror],
            check=True,
        )
        yield System(root)
