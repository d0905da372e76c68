"""Builds a wine guest: kernel, initrd, root disk and C: disk, from Debian's packages.

Everything that the result depends on is in the recipe, the packages and the
agent. Dates are the recipe's, random numbers are replaced or seeded by it, so
that two builds from the same packages are equal byte for byte.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import zstandard

from linwin.errors import Unavailable
from linwin.host import process
from linwin.model.progress import Progress, Report
from linwin.model.template import BaseImage
from linwin.templates import cpio, cut, manifest, modules, packages, registry
from linwin.templates.manifest import C_DISK, INITRD, KERNEL, PARTS, ROOT_DISK, Manifest
from linwin.templates.recipe import Recipe

AGENT = "linwin-agent"
OWN_PROGRAMS = (
    "linwin-launch.exe", "linwin-stop-services.exe", "linwin-define-drives.exe", "linwin-save-registry.exe",
)  # fmt: skip
"""What the agent has Wine run for it."""
REPLACED = ("setx.exe", "hostname.exe")
"""Our own, in the place of Wine's."""
GUEST_PROGRAMS = (AGENT, *OWN_PROGRAMS, *REPLACED)

_WINE = "usr/lib/x86_64-linux-gnu/wine"
_ZLIB = "usr/x86_64-w64-mingw32ucrt/lib/zlib1.dll"
_WINE_USER = "ContainerAdministrator"
_HIVES = ("system.reg", "user.reg", "userdef.reg")
# What a guest's networks change, on a root that is read-only; the agent writes them.
_NETWORK_FILES = ("hosts", "resolv.conf")
_EROFS_UUID = "6c696e77-696e-5072-8000-726f6f740000"
_PREFIX_TIMEOUT = 300.0  # seconds; it takes ten, and a Wine that misses a part never ends
_STEP_TIMEOUT = 600.0
# Wine spells these in lower case, Windows and the layers of its images do not.
_SPELLING = (("windows/system32", "windows/System32"), ("windows", "Windows"), ("users", "Users"))


@dataclass(frozen=True, slots=True)
class WineBuild:
    """One build in ``folder``, an empty folder of its own; ``agents`` holds the guest's binaries."""

    recipe: Recipe
    agents: Path
    folder: Path
    report: Report

    async def run(self) -> Manifest:
        """Make the parts and their record in ``folder/out``. Raises LinwinError."""
        self._out.mkdir()
        fetched = await self._fetch_packages()
        await self._make_kernel()
        await self._cut_wine()
        await self._make_prefix()
        os_version = await asyncio.to_thread(self._freeze_prefix)
        await self._make_c_disk()
        await self._make_root_disk()
        return await asyncio.to_thread(self._record, fetched, os_version)

    @property
    def _out(self) -> Path:
        return self.folder / "out"

    @property
    def _root(self) -> Path:
        return self.folder / "root"

    @property
    def _prefix(self) -> Path:
        return self._root / "prefix"

    async def _fetch_packages(self) -> tuple[str, ...]:
        mirror = await packages.debian_mirror()
        self._say("Reading the package index of " + mirror)
        archive = packages.Archive(self.folder / "apt", mirror, self.recipe.suite)
        await archive.update()
        kernel = await archive.dependency(self.recipe.kernel_package, "linux-image-")
        self._say("Downloading packages")
        system = await archive.fetch(self.recipe.packages, self.folder / "system-packages")
        boot = await archive.fetch([kernel], self.folder / "kernel-packages")
        self._say("Unpacking packages")
        await packages.unpack(system, self._root)
        await packages.unpack(boot, self.folder / "kernel")
        return tuple(packages.version(file) for file in [*system, *boot])

    async def _make_kernel(self) -> None:
        self._say("Making the initrd")
        kernel = self.folder / "kernel"
        images = list((kernel / "boot").glob("vmlinuz-*"))
        folders = list((kernel / "usr/lib/modules").glob("*"))
        if len(images) != 1 or len(folders) != 1:
            raise Unavailable(f"{self.recipe.kernel_package} does not hold exactly one kernel")
        shutil.copyfile(images[0], self._out / KERNEL)
        agent = (self.agents / AGENT).read_bytes()
        data = await asyncio.to_thread(initrd, modules.ModuleFolder(folders[0]), self.recipe.modules, agent)
        (self._out / INITRD).write_bytes(data)

    async def _cut_wine(self) -> None:
        self._say("Cutting Wine")
        await asyncio.to_thread(self._cut)

    def _cut(self) -> None:
        windows, unix = self._root / _WINE / "x86_64-windows", self._root / _WINE / "x86_64-unix"
        cut.remove_unwanted((windows, unix), self.recipe.cuts, (name for name, _ in self.recipe.left_out))
        # Debian's maintainer script would put it into the prefix, where a program could lose it.
        cut.mark_builtin(self._root / _ZLIB, windows / "zlib1.dll")
        for name in REPLACED:
            cut.mark_builtin(self.agents / name, windows / name)
        cut.strip_modules(windows)
        # An empty folder of 32-bit modules makes Wine look for syswow64.
        shutil.rmtree(self._root / _WINE / "i386-windows")
        cut.trim_system(self._root)
        cut.check_libraries(self._root)
        self._lay_out_root()

    def _lay_out_root(self) -> None:
        for name in ("bin", "lib", "lib64", "sbin"):
            (self._root / "usr" / name).mkdir(exist_ok=True)
            (self._root / name).symlink_to(f"usr/{name}")
        for name in ("proc", "dev", "sys", "tmp", "run", "root", "usr/lib/linwin", "usr/share/linwin/prefix"):
            (self._root / name).mkdir(parents=True, exist_ok=True)
        shutil.copytree(self.recipe.folder / "root", self._root, dirs_exist_ok=True)
        for name in _NETWORK_FILES:
            (self._root / "etc" / name).symlink_to(f"/run/linwin/{name}")
        for name in OWN_PROGRAMS:
            shutil.copyfile(self.agents / name, self._root / "usr/lib/linwin" / name)

    async def _make_prefix(self) -> None:
        self._say("Running wineboot")
        self._prefix.mkdir()
        settings = self._root / "prefix.reg"
        shutil.copyfile(self.recipe.folder / "prefix.reg", settings)
        script = self.recipe.folder / "prefix.sh"
        words = [*_namespaces(), "sh", os.fspath(script), os.fspath(self._root)]
        done = await process.run(words, timeout=_PREFIX_TIMEOUT)
        settings.unlink()
        if done.returncode != 0:
            raise Unavailable(
                f"Wine could not fill its prefix: {done.last_words or 'it said nothing'}",
                hint="building the wine template needs root, or a host that lets users make namespaces",
            )

    def _freeze_prefix(self) -> str:
        """Move the prefix out of the root, date everything, and return the os.version it tells."""
        drive, frozen = self.folder / "c", self._root / "usr/share/linwin/prefix"
        os.rename(self._prefix / "drive_c", drive)
        for old, new in _SPELLING:
            os.rename(drive / old, drive / new)
        shutil.copytree(drive / "Users" / _WINE_USER, drive / "Users/ContainerUser", symlinks=True)
        cut.remove_placeholders(drive)
        # wineserver makes it, and a program that finds it believes that 32-bit programs run.
        (drive / "Windows/syswow64").rmdir()
        seeded = drive / "Windows/System32/config/linwin"
        seeded.mkdir(parents=True)
        for name in _HIVES:
            text = (self._prefix / name).read_text(encoding="utf-8", errors="surrogateescape")
            text = registry.freeze(text, self.recipe.date)
            for folder in (frozen, seeded):
                (folder / name).write_text(text, encoding="utf-8", errors="surrogateescape")
        # The word by which wineboot knows that it must never run wine.inf again.
        (frozen / ".update-timestamp").write_text("disable\n")
        shutil.rmtree(self._prefix)
        _date(drive, self.recipe.date)
        return registry.os_version((frozen / "system.reg").read_text(encoding="utf-8", errors="replace"))

    async def _make_c_disk(self) -> None:
        self._say("Writing C:")
        raw, wim = self.folder / "c.raw", self.folder / "c.wim"
        with raw.open("wb") as file:
            file.truncate(self.recipe.c_size_gib << 30)
        # The volume's serial number and dates come from the clock, so the clock stands still.
        clock = [
            "faketime",
            "-f",
            datetime.fromtimestamp(self.recipe.date, UTC).strftime("%Y-%m-%d %H:%M:%S"),
        ]
        env = {**os.environ, "TZ": "UTC", "LC_ALL": "C.UTF-8"}
        steps: list[list[str | os.PathLike[str]]] = [
            ["mkntfs", "--quick", "--force", "--quiet", "--label", self.recipe.c_label, raw],
            ["wimlib-imagex", "capture", self.folder / "c", wim, "--compress=none", "--threads=1"],
            ["wimlib-imagex", "apply", wim, "1", raw],
        ]
        for words in steps:
            await process.run([*clock, *words], env=env, check=True, timeout=_STEP_TIMEOUT)
        self._say("Compressing C:")
        convert = ["qemu-img", "convert", "-c", "-m", "1", "-O", "qcow2", "-o", "compression_type=zstd"]
        await process.run([*convert, raw, self._out / C_DISK], check=True, timeout=_STEP_TIMEOUT)

    async def _make_root_disk(self) -> None:
        self._say("Writing the root disk")
        # lz4hc is what Debian 12's mkfs.erofs has, and what unpacks fastest under emulation.
        options = [
            "-zlz4hc,12",
            "-C65536",
            f"-T{self.recipe.date}",
            f"-U{_EROFS_UUID}",
            "--all-root",
            "--quiet",
        ]
        image, root = self._out / ROOT_DISK, self._root
        await process.run(["mkfs.erofs", *options, "-x-1", image, root], check=True, timeout=_STEP_TIMEOUT)

    def _record(self, fetched: tuple[str, ...], os_version: str) -> Manifest:
        self._say("Hashing the parts")
        for name in PARTS:
            (self._out / name).chmod(0o444)
        record = Manifest(
            name=self.recipe.name,
            kind=self.recipe.kind,
            summary=self.recipe.summary,
            cmdline=self.recipe.cmdline,
            minimum_memory=self.recipe.minimum_memory,
            serves_any_build=self.recipe.serves_any_build,
            provides=tuple(
                BaseImage(image.references, os_version, image.user) for image in self.recipe.provides
            ),
            left_out=self.recipe.left_out,
            unserved=self.recipe.unserved,
            parts=manifest.part_digests(self._out),
            packages=fetched,
            created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        )
        (self._out / manifest.FILE).write_bytes(record.to_json())
        return record

    def _say(self, status: str) -> None:
        self.report(Progress(status, id=self.recipe.name))


def initrd(kernel: modules.ModuleFolder, wanted: tuple[str, ...], agent: bytes) -> bytes:
    """The first root of the guest: the agent as ``/init`` and the modules it loads, in order."""
    order = modules.load_order(wanted, kernel.builtin, kernel.read)
    entries = [cpio.Entry("init", agent, executable=True)]
    entries += [cpio.Entry(folder) for folder in ("dev", "proc", "sys", "root")]
    entries += [cpio.Entry(f"modules/{module.name}.ko", module.data) for module in order]
    entries.append(cpio.Entry("modules/order", "".join(f"{module.name}.ko\n" for module in order).encode()))
    return zstandard.ZstdCompressor(level=19, write_content_size=True).compress(cpio.archive(entries))


def _namespaces() -> list[str]:
    """Words that give a program mounts, processes and a host name of its own, which end with it."""
    words = ["unshare", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child"]
    return words if os.geteuid() == 0 else [*words, "--user", "--map-root-user"]


def _date(folder: Path, seconds: int) -> None:
    """Give everything in ``folder`` one date; folders last, since touching files changes them."""
    for parent, folders, files in os.walk(folder, topdown=False):
        for name in files + folders:
            os.utime(Path(parent) / name, (seconds, seconds), follow_symlinks=False)
    os.utime(folder, (seconds, seconds))
