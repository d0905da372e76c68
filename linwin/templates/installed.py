"""Installed templates, and the cache of finished builds they come from.

    LINWIN_ROOT/templates/NAME/template.json     which build is installed, by digest
    LINWIN_ROOT/templates/NAME/HEX/…             the parts of a build, immutable
    ~/.cache/linwin/templates/KEY/…              finished builds, by what went into them

A build is installed beside earlier ones of its name and becomes current by the
rename of one file: chains that stand on the C: of an earlier build keep it.
"""

from __future__ import annotations

import asyncio
import builtins
import errno
import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Literal

from linwin.errors import Conflict, InvalidRequest, LinwinError, NotFound, Unavailable
from linwin.host import files, locks
from linwin.host.turns import to_its_end
from linwin.model.progress import Progress, Report
from linwin.model.template import Media, Template, Unusable
from linwin.paths import Paths
from linwin.templates import key, manifest, recipe, wine
from linwin.templates.manifest import Manifest
from linwin.templates.recipe import AnyRecipe, Recipe, SetupRecipe
from linwin.templates.windows import agent_service, disk_file, iso, room
from linwin.templates.windows.build import WindowsBuild
from linwin.templates.windows.imported import WindowsImport
from linwin.templates.windows.setup_build import Install, SetupBuild
from linwin.templates.wine import WineBuild

_Digest = Callable[[Path, Callable[[int, int], None]], Awaitable[str]]
_Work = WineBuild | WindowsBuild | SetupBuild | WindowsImport
_PACKAGE = Path(__file__).resolve().parents[1]
_HEX = 16
_KEY = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
DEFAULT = "wine"
"""What needs nothing of its user, and so is advised first."""
_AGENTS = {"linux": wine.AGENT, "windows": agent_service.PROGRAM}


class InstalledTemplates:
    """Implements :class:`linwin.engine.interfaces.Templates`.

    ``recipes`` holds one folder a template, ``agents`` the guest's binaries and
    ``cache`` finished builds; the defaults are what this package holds (in a checkout,
    ``vm-templates`` and what scripts/build-agent made) and the user's own.
    """

    def __init__(
        self,
        paths: Paths,
        *,
        recipes: Path = _PACKAGE / "_recipes",
        agents: Path = _PACKAGE / "_agent",
        cache: Path | None = None,
    ) -> None:
        self._paths = paths
        self._recipes = recipes
        self._agents = agents
        self._cache = cache or user_cache()

    async def list(self) -> list[Template]:
        return [found for found in await asyncio.to_thread(self._installed) if isinstance(found, Template)]

    async def unusable(self) -> builtins.list[Unusable]:
        return [found for found in await asyncio.to_thread(self._installed) if isinstance(found, Unusable)]

    async def get(self, name: str) -> Template:
        found = {template.name: template for template in await asyncio.to_thread(self._installed)}
        match found.get(name):
            case None:
                raise NotFound(f"No such template: {name}", hint=self._advice(sorted(found)))
            case Unusable(reason=reason) as unusable:
                raise Unavailable(reason, hint=unusable.remedy)
            case Template() as template:
                return template

    async def agent(self, system: Literal["linux", "windows"]) -> Path:
        """The program that is the agent of the templates which are made now."""
        program = self._agents / _AGENTS[system]
        if not await asyncio.to_thread(program.is_file):
            raise Unavailable(
                f"this linwin comes without the agent for {system}",
                hint="In a checkout, build it: scripts/build-agent",
            )
        return program

    async def build(
        self, name: str, report: Report, media: Media, install: Install | None = None
    ) -> Template:
        """Build and install; a build of equal inputs is taken from the cache.

        ``install`` runs the machine of a template whose disk is written in one; others do without.

        Raises NotFound for an unknown recipe, InvalidRequest for a faulty one and for what
        the user adds where it is not what the recipe wants, Unavailable when this host or
        the mirror cannot serve the build.
        """
        instructions = self._recipe(name)
        _check_media(instructions, media)
        with _disk_errors(f"cannot build the template {name}"):
            wanted = await self._key(instructions, report, media)
            _make_folder(self._cache, 0o700)
            async with locks.locked(self._cache / f"{wanted}.lock"):
                self._give_up_disks(name, wanted)
                await self._fill_cache(
                    name,
                    wanted,
                    report,
                    lambda scratch: self._builder(instructions, wanted, scratch, report, media, install),
                )
                template = await self._install(name, self._cache / wanted, report)
                self._kept_disk(name, wanted).unlink(missing_ok=True)
                return template

    async def import_disk(self, name: str, report: Report, disk: Path, virtio: Path | None) -> Template:
        """Make a Windows template of a user's disk, which is only read; one of equal inputs is taken from the
        cache.

        Raises Conflict for a name that is taken, InvalidRequest, Unsupported or NotFound for a disk that is
        not there, is none or cannot become a template, Unavailable when this host cannot serve the import.
        """
        self._check_new(name)
        for path in (disk, virtio):
            if path is not None:
                _check_file(path)
        with _disk_errors(f"cannot import {disk}"):
            source = await disk_file.open_disk(disk)
            given = {"name": name, "file": disk.name, "disk": await _read(disk, report, disk_file.digest)}
            given["virtio"] = await _read(virtio, report) if virtio else ""
            wanted = await key.import_key(self._agents, given)
            _make_folder(self._cache, 0o700)
            async with locks.locked(self._cache / f"{wanted}.lock"):
                await self._fill_cache(
                    name,
                    wanted,
                    report,
                    lambda scratch: WindowsImport(name, self._agents, scratch, report, source, virtio),
                )
                return await self._install(name, self._cache / wanted, report, new=True)

    async def remove(self, name: str) -> None:
        """Delete an installed template, with earlier builds of its name. Raises NotFound."""
        names = [found.name for found in await asyncio.to_thread(self._installed)]
        if name not in names:
            raise NotFound(f"No such template: {name}", hint=self._advice(names))
        with _disk_errors(f"cannot remove the template {name}"):
            async with self._name_lock(name):
                await asyncio.to_thread(self._remove, name)

    def _installed(self) -> builtins.list[Template | Unusable]:
        """What is installed, by name. One that cannot be used never hides the others."""
        if not self._paths.templates.is_dir():
            return []
        folders = sorted(self._paths.templates.iterdir())
        found = [_usable(folder) for folder in folders if (folder / manifest.FILE).exists()]
        known = self._known()
        return [
            replace(one, imported=one.name not in known) if isinstance(one, Unusable) else one
            for one in found
        ]

    def _check_new(self, name: str) -> None:
        """Raise InvalidRequest or Conflict unless a disk may be imported under this name."""
        if not _NAME.fullmatch(name):
            raise InvalidRequest(
                f"{name!r} cannot be the name of a template",
                hint="a name has up to 64 letters, digits, dots, dashes and underscores, "
                "and begins with a letter or a digit",
            )
        if name in self._known():
            raise Conflict(
                f"{name} is the name of a template that linwin builds", hint="choose another name with --name"
            )
        if (self._paths.templates / name / manifest.FILE).exists():
            raise Conflict(
                f"there is a template {name} already",
                hint=f"choose another name with --name, or remove it: linwin template rm {name}",
            )

    def _recipe(self, name: str) -> AnyRecipe:
        known = self._known()
        if name not in known:
            known_names = ", ".join(known) or "none"
            raise NotFound(f"No recipe for a template named {name}", hint=f"recipes at hand: {known_names}")
        return recipe.load(self._recipes / name)

    def _known(self) -> builtins.list[str]:
        names = (path.parent.name for path in self._recipes.glob("*/template.yaml"))
        return sorted(names, key=lambda name: (name != DEFAULT, name))

    def _advice(self, installed: builtins.list[str]) -> str:
        at_hand = f"installed: {', '.join(installed)}" if installed else "none is installed"
        return f"{at_hand}; build one with: linwin template build {'|'.join(self._known()) or 'NAME'}"

    async def _key(self, instructions: AnyRecipe, report: Report, media: Media) -> str:
        if isinstance(instructions, Recipe):
            return await key.build_key(instructions, self._agents)
        chosen = "" if isinstance(instructions, SetupRecipe) else instructions.index
        given = {"index": str(media.index or chosen), "product key": media.product_key}
        for name, path in (("iso", media.iso), ("virtio", media.virtio)):
            if path is not None:
                given[name] = await _read(path, report)
        return await key.windows_build_key(instructions, self._agents, given)

    async def _fill_cache(
        self, name: str, wanted: str, report: Report, work: Callable[[Path], _Work]
    ) -> None:
        """Make sure that the cache holds the build; one that does not match its record is made again."""
        finished = self._cache / wanted
        if await asyncio.to_thread(_is_whole, finished):
            report(Progress("Using the finished build of equal inputs", id=name))
            return
        async with self._scratch() as scratch:
            await work(scratch).run()
            report(Progress("Storing the build", id=name))
            await to_its_end(asyncio.to_thread(_publish, scratch / "out", finished))

    def _builder(
        self,
        instructions: AnyRecipe,
        wanted: str,
        scratch: Path,
        report: Report,
        media: Media,
        install: Install | None,
    ) -> _Work:
        agents = self._agents
        if isinstance(instructions, Recipe):
            return WineBuild(instructions, agents, scratch, report)
        assert media.iso is not None
        assert media.virtio is not None  # _check_media saw to both
        if isinstance(instructions, SetupRecipe):
            if install is None:
                raise ValueError(f"the template {instructions.name} is made in a machine")
            kept = self._kept_disk(instructions.name, wanted)
            given = (media.iso, media.virtio, media.index, media.product_key)
            return SetupBuild(instructions, agents, scratch, report, *given, kept, install)
        index = media.index or instructions.index
        return WindowsBuild(instructions, agents, scratch, report, media.iso, media.virtio, index)

    def _kept_disk(self, name: str, wanted: str) -> Path:
        """Where a disk is kept that Setup finished with and that is no template yet."""
        return self._paths.installed_disks / f"{name}-{wanted}.qcow2"

    def _give_up_disks(self, name: str, wanted: str) -> None:
        """Delete disks that are kept for other builds of the name, unless such a build is under way."""
        for disk in self._paths.installed_disks.glob(f"{name}-*.qcow2"):
            other = disk.stem.removeprefix(f"{name}-")
            if other == wanted or not _KEY.fullmatch(other):
                continue
            if (lock := locks.try_lock(self._cache / f"{other}.lock")) is not None:
                disk.unlink()
                lock.release()

    async def _install(self, name: str, source: Path, report: Report, *, new: bool = False) -> Template:
        record = manifest.read(source)
        folder = self._paths.templates / name
        async with self._name_lock(name), self._scratch() as scratch:
            if new:
                self._check_new(name)
            installed = folder / _short(record)
            await to_its_end(asyncio.to_thread(_install, source, installed, scratch / "parts"))
            files.write_atomically(folder / manifest.FILE, record.to_json(), mode=0o600)
        report(Progress("Installed", id=name))
        return record.template(folder / _short(record))

    def _remove(self, name: str) -> None:
        folder = self._paths.templates / name
        # First the record: what is left after a crash is not a template.
        (folder / manifest.FILE).unlink(missing_ok=True)
        files.sync_folder(folder)
        shutil.rmtree(folder)

    @asynccontextmanager
    async def _name_lock(self, name: str) -> AsyncIterator[None]:
        self._paths.templates.mkdir(parents=True, exist_ok=True)
        async with locks.locked(self._paths.templates / f".{name}.lock"):
            yield

    @asynccontextmanager
    async def _scratch(self) -> AsyncIterator[Path]:
        folder = _make_scratch(self._paths.scratch)
        try:
            yield folder
        finally:
            await asyncio.shield(asyncio.to_thread(shutil.rmtree, folder))


def _check_media(instructions: AnyRecipe, media: Media) -> None:
    """Raise InvalidRequest or NotFound unless the user gave what the recipe needs, and no more."""
    name = instructions.name
    if isinstance(instructions, Recipe):
        if media != Media():
            raise InvalidRequest(
                f"the template {name} is made from Debian's packages, not from an ISO",
                hint=f"leave out --iso, --virtio, --index and --product-key: linwin template build {name}",
            )
        return
    if media.iso is None or media.virtio is None:
        raise InvalidRequest(
            f"the template {name} needs two ISOs: {instructions.source}, and virtio-win with the drivers",
            hint=f"give both: linwin template build {name} --iso WINDOWS.iso --virtio virtio-win.iso",
        )
    if media.product_key and not isinstance(instructions, SetupRecipe):
        raise InvalidRequest(
            f"the template {name} takes no product key",
            hint="leave out --product-key: its image is used as it is",
        )
    for path in (media.iso, media.virtio):
        _check_file(path)


def _check_file(path: Path) -> None:
    if not path.is_file():
        raise NotFound(
            f"there is no file {path}", hint="the daemon reads it: give a path on the daemon's own host"
        )


async def _read(path: Path, report: Report, digest: _Digest = iso.digest) -> str:
    return await digest(
        path, lambda done, total: report(Progress("Reading", id=path.name, current=done, total=total))
    )


def _make_scratch(parent: Path) -> Path:
    parent.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix="template-", dir=parent))


def user_cache() -> Path:
    """``$XDG_CACHE_HOME/linwin/templates``, by default below ``~/.cache`` (XDG Base Directory)."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "linwin" / "templates"


def _usable(folder: Path) -> Template | Unusable:
    try:
        record = manifest.read(folder)
        return record.template(folder / _short(record))
    except LinwinError as error:
        return Unusable(folder.name, error.message)
    except OSError as error:
        return Unusable(folder.name, f"the template {folder.name} lacks a part: {error.filename}")


def _short(record: Manifest) -> str:
    return record.digest.removeprefix("sha256:")[:_HEX]


def _is_whole(folder: Path) -> bool:
    """Whether ``folder`` holds a build whose parts are those of its record."""
    if not (folder / manifest.FILE).exists():
        return False
    try:
        parts = manifest.read(folder).parts
        return manifest.part_digests(folder, [name for name, _ in parts]) == parts
    except (LinwinError, OSError):
        return False  # it is made again, whatever is wrong with it


def _publish(parts: Path, folder: Path) -> None:
    """Move a finished build into the cache, replacing a damaged one; it appears whole or not at all."""
    if folder.exists():
        shutil.rmtree(folder)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=folder.parent) as temporary:
        staged = Path(temporary) / "parts"
        staged.mkdir(mode=0o755)
        for path in sorted(parts.iterdir()):
            _place(path, staged / path.name)
        files.sync_folder(staged)
        os.rename(staged, folder)
    files.sync_folder(folder.parent)


def _install(source: Path, folder: Path, staged: Path) -> None:
    """Make the parts in ``source`` appear in ``folder``, unless they are there already."""
    if _is_whole(folder):
        return
    if folder.exists():
        shutil.rmtree(folder)
    staged.mkdir(mode=0o711)
    for path in sorted(source.iterdir()):
        _place(path, staged / path.name)
    files.sync_folder(staged)
    _make_folder(folder.parent, 0o711)
    os.rename(staged, folder)
    files.sync_folder(folder.parent)


def _make_folder(folder: Path, mode: int) -> None:
    """One that others may not list: in it are disks with a Windows that may be a user's own.

    Machines, which run as users of their own, come to a disk by the digest in its path.
    """
    folder.mkdir(mode=mode, parents=True, exist_ok=True)
    if folder.stat().st_mode & 0o777 & ~mode:  # it may be an earlier linwin's
        folder.chmod(mode)


def _place(source: Path, destination: Path) -> None:
    """A hard link where one file system holds both, else a copy; on disk when this returns."""
    try:
        os.link(source, destination)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP):
            raise
        shutil.copyfile(source, destination)
        destination.chmod(0o444)
    fd = os.open(destination, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextmanager
def _disk_errors(what: str) -> Iterator[None]:
    """Turn the operating system's refusals into Unavailable."""
    try:
        yield
    except OSError as error:
        hint = room.MORE_ROOM if error.errno == errno.ENOSPC else None
        raise Unavailable(
            f"{what}: {error.strerror}: {error.filename or ''}".rstrip(": "), hint=hint
        ) from error
