"""Debian packages, fetched and unpacked without being installed.

apt does what only apt should: verify the archive's signature and every hash.
It works on folders of its own, so neither the host's sources nor its package
database matter. Maintainer scripts are never run.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from linwin.errors import Unavailable
from linwin.host import process

_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
_TIMEOUT = 1200.0  # seconds; apt gives up by itself on a dead mirror long before
_DEPENDS = re.compile(r"^ *Depends: (\S+)$", re.MULTILINE)


MIRROR_SETTING = "LINWIN_DEBIAN_MIRROR"
_INDEX_TARGETS = ("apt-get", "indextargets", "--format", "$(LABEL) $(REPO_URI)", "Created-By: Packages")


async def debian_mirror() -> str:
    """The mirror to build from: the setting's, else the one that this host's own apt uses.

    Raises Unavailable on a host that is no Debian and has no setting.
    """
    if setting := os.environ.get(MIRROR_SETTING):
        return setting
    listed = await process.run(_INDEX_TARGETS, check=True, timeout=_TIMEOUT)
    return choose_mirror(listed.stdout.decode())


def choose_mirror(listing: str) -> str:
    """The first line's address that is labelled ``Debian``; others are security updates or foreign."""
    for line in listing.splitlines():
        label, _, address = line.rpartition(" ")
        if label == "Debian":
            return address.rstrip("/")
    raise Unavailable(
        "this host's apt knows no Debian mirror",
        hint=f"set {MIRROR_SETTING} to the address of one, as it would stand in sources.list",
    )


class Archive:
    """One suite of a Debian mirror, seen through a private apt in ``folder``."""

    def __init__(self, folder: Path, mirror: str, suite: str) -> None:
        self._folder = folder
        self._source = f"deb [signed-by={_KEYRING}] {mirror} {suite} main\n"
        self._mirror = mirror

    async def update(self) -> None:
        """Fetch the suite's index. Raises Unavailable when it cannot be had."""
        for name in ("etc/preferences.d", "etc/apt.conf.d", "state/lists/partial", "cache/archives/partial"):
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        (self._folder / "status").touch()
        (self._folder / "etc/sources.list").write_text(self._source)
        (self._folder / "apt.conf").write_text(self._configuration())
        # Without this apt tells of an unreachable mirror in a warning, and succeeds.
        await self._apt("apt-get", "-q", "-o", "APT::Update::Error-Mode=any", "update")

    async def dependency(self, package: str, prefix: str) -> str:
        """The one dependency of a metapackage whose name starts with ``prefix``."""
        shown = await self._apt("apt-cache", "depends", package)
        names: list[str] = _DEPENDS.findall(shown)
        found = [name for name in names if name.startswith(prefix)]
        if len(found) != 1:
            raise Unavailable(f"{package} does not depend on exactly one package named {prefix}…")
        return found[0]

    async def fetch(self, packages: Sequence[str], folder: Path) -> list[Path]:
        """Download the packages' files; return them in order of their names."""
        os.mkdir(folder)
        await self._apt("apt-get", "-q", "download", *packages, cwd=folder)
        files = _package_files(folder)
        if len(files) != len(set(packages)):
            raise Unavailable(
                f"{self._mirror} gave {len(files)} packages where {len(set(packages))} were asked for"
            )
        return files

    async def _apt(self, program: str, *arguments: str, cwd: Path | None = None) -> str:
        env = {**os.environ, "APT_CONFIG": str(self._folder / "apt.conf"), "LC_ALL": "C.UTF-8"}
        done = await process.run([program, *arguments], env=env, cwd=cwd, timeout=_TIMEOUT)
        if done.returncode != 0:
            raise Unavailable(
                f"cannot get packages from {self._mirror}: {done.last_words}",
                hint="building a template needs a Debian mirror; check the network and apt's proxy settings",
            )
        return done.stdout.decode(errors="replace")

    def _configuration(self) -> str:
        lines = {
            "Dir::Etc": self._folder / "etc",
            "Dir::State": self._folder / "state",
            "Dir::State::status": self._folder / "status",
            "Dir::Cache": self._folder / "cache",
            "APT::Architecture": "amd64",
            "APT::Architectures": "amd64",
            # apt's download user cannot reach into our folders
            "APT::Sandbox::User": "",
            "Acquire::Languages": "none",
            "Acquire::Retries": "3",
        }
        return "".join(f'{key} "{value}";\n' for key, value in lines.items())


def _package_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.deb"))


async def unpack(files: Sequence[Path], root: Path) -> None:
    """Unpack package files into ``root``, which dpkg-deb makes."""
    for file in files:
        await process.run(["dpkg-deb", "--extract", file, root], check=True, timeout=_TIMEOUT)


def version(file: Path) -> str:
    """``name version`` of a downloaded package file, as apt names it."""
    name, number, _ = file.name.split("_")
    return f"{name} {number.replace('%3a', ':')}"
