"""Volumes: folders of the host that outlive the containers that use them.

The state says which there are, and :meth:`linwin.paths.Paths.volume` where one's files lie. A volume
is recorded before its folder is made and forgotten after its files went, so what a daemon that
dies leaves undone is done by the next request for the same.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import shutil
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from linwin.engine import names
from linwin.engine.usage import tree_size
from linwin.errors import Conflict, InvalidRequest, LinwinError, NotFound, Unavailable, Unsupported
from linwin.model.container import Container
from linwin.model.mount import ANONYMOUS_LABEL, Volume

if TYPE_CHECKING:
    from linwin.engine.engine import Engine

logger = logging.getLogger(__name__)

NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
LONGEST_NAME = 255
"""Characters of a folder's name."""


class Volumes:
    """All volumes of one root."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = asyncio.Lock()
        """Held while it is decided which volumes there are, and by a container that is to use some."""
        self._going: set[str] = set()
        """Those whose files are being deleted. The lock is free meanwhile, as that may take long."""
        self._made: list[Volume] = []
        """Those without a name that were made since :meth:`held` was entered last."""

    # Looking them up

    async def list(self) -> Sequence[Volume]:
        """All, by name."""
        return await self._engine.rooms.state.volumes.list()

    async def find(self, name: str) -> Volume:
        """Raises NotFound in docker's words."""
        for volume in await self.list():
            if volume.name == name:
                return volume
        raise NotFound(f"get {name}: no such volume")

    async def users(self, name: str) -> Sequence[Container]:
        """The containers that have it mounted or would at their next start."""
        return [one for one in await self._engine.rooms.state.list() if name in volume_names(one)]

    async def references(self) -> Mapping[str, int]:
        """How many containers use each volume that any of them uses."""
        containers = await self._engine.rooms.state.list()
        return Counter(name for one in containers for name in volume_names(one))

    async def usage(self) -> Mapping[str, int]:
        """Bytes of disk that each volume's files take, by its name."""
        return {volume.name: await self._size(volume) for volume in await self.list()}

    async def _size(self, volume: Volume) -> int:
        return await asyncio.to_thread(tree_size, self._engine.paths.volume(volume.name))

    # Making them

    async def create(
        self, name: str, *, labels: Mapping[str, str], options: Mapping[str, str] | None = None
    ) -> Volume:
        """A new volume, or as docker has it the one of that name; an empty ``name`` has linwin choose one.

        Raises InvalidRequest in docker's words for what is no name, Unsupported for any option,
        Conflict while a volume of that name is being removed, Unavailable for a full disk.
        """
        if options:
            raise Unsupported(
                f"linwin does not support the volume option {', '.join(options)}",
                hint="A volume is a folder of this host; mount another with -v /FOLDER:C:\\PATH.",
            )
        async with self._lock:
            return await self.provide(name, labels)

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Keep all volumes while a container that uses some is recorded.

        Where that fails the ones without a name go that :meth:`provide` made for it.
        """
        async with self._lock:
            self._made.clear()
            try:
                yield
            except BaseException:
                for volume in self._made:
                    await self._take_back(volume)
                raise

    async def provide(self, name: str, labels: Mapping[str, str]) -> Volume:
        """As :meth:`create`, called within :meth:`held`."""
        if name:
            check_name(name)
            if name in self._going:
                raise Conflict(f"create {name}: volume is being removed", hint="Try again in a moment.")
        found = next((volume for volume in await self.list() if volume.name == name), None)
        volume = found or _new(name, labels)
        if not found:
            await self._engine.rooms.state.volumes.add(volume)
        try:
            await asyncio.to_thread(_make_folder, self._engine.paths.volume(volume.name))
        except OSError as error:
            if not found:
                await self._engine.rooms.state.volumes.delete(volume.name)
            raise Unavailable(
                f"create {volume.name}: {error.filename}: {error.strerror}",
                hint="Check that the disk is writable and not full.",
            ) from error
        if not found:
            self._engine.events.volume(volume.name, "create")
            self._made += [volume] if volume.anonymous else []
        return volume

    async def _take_back(self, volume: Volume) -> None:
        try:
            await self._delete(volume)
        except LinwinError as error:  # why it was to go is what its user is told
            logger.error("volume %s: it was not removed: %s", volume.name, error)

    # Removing them

    async def remove(self, name: str, *, force: bool) -> None:
        """Delete a volume and its files; ``force`` says nothing of one that is not there.

        Raises NotFound, Conflict in docker's words where containers use it, Unavailable.
        """
        try:
            users = await self._removed(name)
        except NotFound:
            if not force:
                raise
            return
        if users:
            raise Conflict(
                f"remove {name}: volume is in use - [{', '.join(one.id for one in users)}]",
                hint=f"Remove these first: linwin rm {' '.join(one.name for one in users)}",
            )

    async def prune(self, keep: Callable[[Volume], bool], *, everything: bool) -> tuple[tuple[str, ...], int]:
        """Remove what no container uses; returns names, and bytes of disk that were freed.

        As docker's, those that users named only with ``everything``. One that fails saves no other.
        """
        removed, freed = list[str](), 0
        for volume in await self.list():
            spared = not (everything or ANONYMOUS_LABEL in volume.labels) or keep(volume)
            if spared or not await self._is_free(volume):
                continue
            size = await self._size(volume)
            if await self._dropped(volume.name):
                removed.append(volume.name)
                freed += size
        self._engine.events.pruned("volume", freed)
        return tuple(removed), freed

    async def discard(self, name: str, container: Container) -> None:
        """Remove a volume that linwin named with the one container that used it. Failures are logged."""
        volume = next((one for one in await self.list() if one.name == name and one.anonymous), None)
        if volume and await self._is_free(volume, but=container.id):
            await self._dropped(name, but=container.id)

    async def _is_free(self, volume: Volume, *, but: str = "") -> bool:
        """Whether no container but one may use a volume: nobody knows what one uses whose record is lost."""
        containers = [one for one in await self._engine.rooms.state.list() if one.id != but]
        for container in containers:
            if container.unreadable:
                logger.warning(
                    "volume %s is kept: container %s may use it, whose record cannot be read",
                    volume.name,
                    container.short_id,
                )
                return False
        return all(volume.name not in volume_names(container) for container in containers)

    async def _dropped(self, name: str, *, but: str = "") -> bool:
        """Whether a volume is gone now that nobody named."""
        try:
            return not await self._removed(name, but=but)
        except NotFound:  # somebody else was first
            return False
        except LinwinError as error:
            logger.error("volume %s: it was not removed: %s", name, error)
            self._engine.metrics.failed("remove", error)
            return False

    async def _removed(self, name: str, *, but: str = "") -> Sequence[Container]:
        """Remove a volume unless containers use it, ``but`` aside, which are returned."""
        async with self._lock:
            volume = await self.find(name)
            if users := [one for one in await self.users(name) if one.id != but]:
                return users
            if name in self._going:
                raise Conflict(f"remove {name}: volume is being removed", hint="Somebody else was first.")
            self._going.add(name)
        try:
            await self._delete(volume)
        finally:
            self._going.discard(name)
        return ()

    async def _delete(self, volume: Volume) -> None:
        try:
            await asyncio.to_thread(_delete_tree, self._engine.paths.volume(volume.name).parent)
        except OSError as error:
            raise Unavailable(
                f"remove {volume.name}: {error.filename}: {error.strerror}",
                hint=f"Put right what keeps the file, then try again: linwin volume rm {volume.name}",
            ) from error
        await self._engine.rooms.state.volumes.delete(volume.name)
        self._engine.events.volume(volume.name, "destroy")


def volume_names(container: Container) -> frozenset[str]:
    """The volumes that a container uses."""
    return frozenset(mount.source for mount in container.mounts if mount.kind == "volume")


def check_name(name: str) -> None:
    """Raise InvalidRequest in docker's words for what is no name of a volume, and leads out of no folder."""
    if len(name) == 1:
        raise InvalidRequest(
            f"create {name}: volume name is too short, names should be at least two alphanumeric characters"
        )
    if not NAME.fullmatch(name):
        raise InvalidRequest(
            f"create {name}: {json.dumps(name, ensure_ascii=False)} includes invalid characters for a local "
            'volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host '
            "directory, use absolute path"
        )
    if len(name) > LONGEST_NAME:
        raise InvalidRequest(
            f"create {name}: volume name is too long", hint=f"Use at most {LONGEST_NAME} characters."
        )


def _new(name: str, labels: Mapping[str, str]) -> Volume:
    if name:
        return Volume(name, time.time_ns(), dict(labels))
    return Volume(names.new_id(), time.time_ns(), {**labels, ANONYMOUS_LABEL: ""}, anonymous=True)


def _make_folder(folder: Path) -> None:
    """Idempotent. The file server passes through the folders above as whoever owns the files."""
    for made, mode in ((folder.parents[1], 0o711), (folder.parent, 0o711), (folder, 0o755)):
        if not made.is_dir():
            made.mkdir()
            made.chmod(mode)  # whatever the daemon's umask is


def _delete_tree(folder: Path) -> None:
    """Idempotent. Links are deleted, and what they lead to is not."""
    if os.path.lexists(folder):
        shutil.rmtree(folder)
