"""The shares room: what is offered to which container, and a server that goes on offering it."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import shutil
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence, Set
from contextlib import aclosing, suppress
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from linwin.errors import LinwinError, NotFound, Unavailable
from linwin.host.files import make_folders, write_atomically
from linwin.host.programs import find_program
from linwin.host.turns import Turns
from linwin.model.mount import Access, Share
from linwin.paths import Paths
from linwin.shares import configuration
from linwin.shares.filling import put_in_place, unpacked
from linwin.shares.server import FileServer, has_room, wrapper

T = TypeVar("T")

logger = logging.getLogger(__name__)

_PASSWORD_BYTES = 24
_BRIEFLY = 10.0
"""Seconds after which a server that ended had not failed to start."""
_LONGEST_PAUSE = 60.0
_NEEDED = ("smbd", "smbpasswd", "smbcontrol", "unshare", "nsenter")


class SambaShares:
    """Implements :class:`linwin.engine.share_interface.Shares`."""

    def __init__(self, paths: Paths) -> None:
        self._folder = paths.shares
        self._address, self._port = paths.file_server
        self._server = FileServer(self._folder, paths.file_server)
        self._scratch = paths.scratch
        self._turns = Turns()
        self._filling = asyncio.Lock()
        self._closing = asyncio.Event()
        self._watch: asyncio.Task[None] | None = None

    async def unavailable(self) -> str:
        if os.geteuid() != 0:
            return "mounts need root: linwin's daemon does not run as root"
        if not has_room(self._folder):
            return f"mounts need a shorter LINWIN_ROOT: Samba's sockets have no names below {self._folder}"
        try:
            for program in _NEEDED:
                find_program(program)
            wrapper()
        except Unavailable as error:
            hint = f" ({error.hint})" if error.hint else ""
            return f"this host cannot share files with guests: {error.message}{hint}"
        return ""

    async def offer(self, shares: Sequence[Share]) -> Sequence[Access]:
        return await self._uninterrupted(self._offer(shares))

    async def withdraw(self, container: str) -> None:
        await self._uninterrupted(self._withdraw(lambda owner: owner == container))

    async def recover(self, containers: Set[str]) -> None:
        await self._uninterrupted(self._recover(containers))

    async def fill(self, folder: Path, pieces: AsyncGenerator[bytes, None]) -> None:
        async with aclosing(pieces), self._filling:
            try:
                if not await asyncio.to_thread(os.listdir, folder):
                    async with unpacked(pieces, folder, self._scratch) as whole:
                        await self._uninterrupted(self._put(whole, folder))
            except OSError as error:
                raise _failure(error) from error

    async def close(self) -> None:
        await self._uninterrupted(self._close())

    async def purge(self) -> None:
        await self._uninterrupted(self._purge())

    # Each is called with the lock held, and goes on to its end.

    async def _offer(self, shares: Sequence[Share]) -> Sequence[Access]:
        try:
            await asyncio.to_thread(self._clear_away, {share.id for share in shares})
            names = [await asyncio.to_thread(self._lay_out, share) for share in shares]
            shares = [await asyncio.to_thread(_owned, share) for share in shares]
            await asyncio.to_thread(self._write_users, configuration.passwd(self._lines(), shares))
            if not self._server.find():
                await asyncio.to_thread(self._configure)  # now: who adds users reads it too
            passwords = [secrets.token_hex(_PASSWORD_BYTES) for _ in shares]
            serving = asyncio.create_task(self._serve(shares))
            try:
                for share, password in zip(shares, passwords, strict=True):
                    await self._server.add_user(share.id, password)
            finally:
                await serving
        except Exception:
            try:
                await self._take_back({share.id for share in shares})
            except OSError as left:
                logger.error("what was to be shared is not taken back: %s", left)
            raise
        return [
            Access(_kind(share.read_only), share.id, password, name)
            for share, password, name in zip(shares, passwords, names, strict=True)
        ]

    async def _serve(self, shares: Sequence[Share]) -> None:
        """See to it that the server runs, and sees what it did not see before."""
        if self._server.find():
            self._keep_watch()
            try:
                await self._server.mount([self._pair(share.id) for share in shares])
                return
            except Unavailable:
                if self._server.find():  # or it has just ended
                    raise
        others = set(self._users()) - {share.id for share in shares}
        await self._start(others)
        await self._server.mount([self._pair(share.id) for share in shares])

    async def _start(self, shares: Set[str]) -> None:
        """Start the server, and have it see again what was shared before, as far as that is still there."""
        pairs = []
        for share in sorted(shares):
            try:
                pairs.append(await asyncio.to_thread(self._pair, share))
            except (LinwinError, OSError) as error:
                why = error.message if isinstance(error, LinwinError) else error
                logger.error("container %s: a mount is lost: %s", configuration.container_of(share), why)
        try:
            await asyncio.to_thread(self._configure)
            await self._server.start(pairs)
        finally:
            self._keep_watch()  # which goes on trying

    async def _withdraw(self, doomed: Callable[[str], bool]) -> None:
        await self._take_back({user for user in self._users() if doomed(configuration.container_of(user))})

    async def _take_back(self, shares: Set[str]) -> None:
        """Users first: what they no longer reach nobody can, whatever fails afterwards."""
        if shares:
            await asyncio.to_thread(self._forget_users, shares)
            await asyncio.to_thread(self._clear_away, shares)

    async def _recover(self, containers: Set[str]) -> None:
        await self._withdraw(lambda owner: owner not in containers)
        left = set(self._users())
        if not left:
            await self._stop()
        elif self._server.find():
            self._keep_watch()
        else:
            await self._start(left)

    async def _close(self) -> None:
        self._closing.set()
        if not self._users():
            await self._stop()
        else:
            await self._leave()
            self._server.leave()

    async def _put(self, whole: Path, folder: Path) -> None:
        await asyncio.to_thread(put_in_place, whole, folder, in_use=folder in self._sources())

    async def _purge(self) -> None:
        self._closing.set()
        await self._stop()
        if self._folder.exists():
            await asyncio.to_thread(shutil.rmtree, self._folder)

    async def _stop(self) -> None:
        await self._leave()
        await self._server.stop()

    async def _leave(self) -> None:
        if self._watch is not None:
            await _cancelled(self._watch)
            self._watch = None

    # Going on

    def _keep_watch(self) -> None:
        if self._watch is None or self._watch.done():
            self._watch = asyncio.create_task(self._restart(), name="watching the file server")

    async def _restart(self) -> None:
        """Start the server again each time it ends, at once where it had run for a while."""
        pause = 1.0
        while True:
            began = time.monotonic()
            await self._server.ended()
            if time.monotonic() - began < _BRIEFLY:
                await self._closing_within(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
            else:
                pause = 1.0
            async with self._turns.lock:
                if self._server.find():
                    continue
                if not (shares := set(self._users())):
                    return
                logger.warning("the file server ended; it is started again")
                try:
                    await self._start(shares)
                except (LinwinError, OSError) as error:
                    logger.error("the file server does not start: %s", error)

    async def _closing_within(self, seconds: float) -> None:
        """Wait for the room's end, for so long at most: then the server may be tried again."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._closing.wait()

    # What is on disk

    def _configure(self) -> None:
        text = configuration.smb_conf(self._folder, self._address, self._port)
        write_atomically(self._folder / configuration.CONFIGURATION, text.encode(), durable=False)

    def _users(self) -> list[str]:
        return configuration.users("".join(self._lines()))

    def _lines(self) -> list[str]:
        """The server's passwd."""
        path = self._folder / configuration.PASSWD
        return path.read_text().splitlines(keepends=True) if path.exists() else []

    def _write_users(self, passwd: str) -> None:
        texts = {configuration.GROUP: configuration.group(passwd), configuration.PASSWD: passwd}
        for name, text in texts.items():
            path = self._folder / name
            before = path.stat().st_mtime_ns if path.exists() else 0
            write_atomically(path, text.encode(), mode=0o644, durable=False)
            # The server reads it again where it has another time, and looks at whole seconds.
            changed = max(time.time_ns(), before + 10**9)
            os.utime(path, ns=(changed, changed))

    def _forget_users(self, shares: Set[str]) -> None:
        if shares.isdisjoint(self._users()):
            return
        path = self._folder / configuration.SECRETS
        if path.exists():
            kept = configuration.without(path.read_text(), shares)
            write_atomically(path, kept.encode(), durable=False)
        self._write_users(configuration.without("".join(self._lines()), shares))

    def _lay_out(self, share: Share) -> str:
        """Make the place at which the server is to see it; the name there of a file that is all of it."""
        # Its users pass through, and list nothing.
        kinds = (configuration.READ_WRITE, configuration.READ_ONLY, configuration.SOURCES)
        make_folders(self._folder, *(self._folder / kind for kind in kinds), mode=0o711)
        make_folders(*(self._folder / name for name in configuration.FOLDERS), mode=0o700)
        source = _present(Path(share.source))
        place = self._folder / _kind(share.read_only) / share.id
        place.mkdir(mode=0o755)
        (self._folder / configuration.SOURCES / share.id).symlink_to(source)
        if source.is_dir():
            return ""
        (place / configuration.FILE).touch()
        return configuration.FILE

    def _clear_away(self, shares: Set[str]) -> None:
        """Remove the places; the server loses with them what is mounted there."""
        for share in shares:
            source = self._folder / configuration.SOURCES / share
            for kind in (configuration.READ_WRITE, configuration.READ_ONLY):
                place = self._folder / kind / share
                with suppress(FileNotFoundError):
                    for left in os.listdir(place):
                        (place / left).unlink()  # a single file's stand-in; what was mounted is not here
                    place.rmdir()
            source.unlink(missing_ok=True)

    def _pair(self, share: str) -> tuple[Path, Path]:
        """What is shared, and where the server is to see it."""
        source = _present((self._folder / configuration.SOURCES / share).readlink())
        for kind in (configuration.READ_WRITE, configuration.READ_ONLY):
            place = self._folder / kind / share
            if place.is_dir():
                return source, next((place / name for name in os.listdir(place)), place)
        raise Unavailable(f"the share {share} was not laid out")

    def _sources(self) -> list[Path]:
        """What is shared."""
        links = self._folder / configuration.SOURCES
        return [link.readlink() for link in links.iterdir()] if links.exists() else []

    async def _uninterrupted(self, change: Coroutine[object, object, T]) -> T:
        """Carry a change out to its end when it is its turn. Raises Unavailable for an OSError."""
        try:
            return await self._turns.take(change)
        except OSError as error:
            raise _failure(error) from error


def _present(source: Path) -> Path:
    """Raise NotFound for a path that is not there."""
    if not source.exists():
        raise NotFound(f"the path {source} does not exist", hint="It is to be mounted: make it first.")
    return source


def _owned(share: Share) -> Share:
    """With the owner of its source in it, unless it says another. Raises OSError."""
    status = os.stat(share.source)
    return replace(
        share,
        uid=status.st_uid if share.uid is None else share.uid,
        gid=status.st_gid if share.gid is None else share.gid,
    )


def _kind(read_only: bool) -> str:
    return configuration.READ_ONLY if read_only else configuration.READ_WRITE


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _failure(error: OSError) -> Unavailable:
    where = f"{error.filename}: " if error.filename else ""
    return Unavailable(
        f"cannot share files: {where}{error.strerror}", hint="Check the disk that holds LINWIN_ROOT."
    )
