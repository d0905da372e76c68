"""What there is of a file server, and what happens to it."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from linwin.host.pidfd import ProcessIdentity, WatchedProcess
from linwin.model.mount import Share
from linwin.paths import Paths
from linwin.shares import SambaShares

BOX, SHOP = "0123456789ab", "ba9876543210"
LOGON_FAILURE = "session setup failed: NT_STATUS_LOGON_FAILURE"


def share(source: Path, container: str = BOX, number: int = 0, *, read_only: bool = False) -> Share:
    return Share(f"{container}-{number}", str(source), read_only)


def pid(paths: Paths) -> int:
    """The server's, as it is written down."""
    identity = ProcessIdentity.parse((paths.shares / "pid").read_text())
    assert identity is not None
    return identity.pid


async def kill(process: int) -> None:
    """Kill a server as the kernel does; it is gone when this returns."""
    watched = WatchedProcess(process)
    watched.send_signal(signal.SIGKILL)
    await watched.wait()
    watched.close()


def left(paths: Paths) -> list[str]:
    """What there still is of all offers."""
    found = [path for kind in ("rw", "ro", "sources") for path in (paths.shares / kind).glob("*")]
    users = (paths.shares / "passwd").read_text() if (paths.shares / "passwd").exists() else ""
    secrets = paths.shares / "private" / "smbpasswd"
    return [*map(str, found), *users.split()[:-1], *(secrets.read_text().split() if secrets.exists() else [])]


def server_sees(paths: Paths) -> list[str]:
    """What is mounted for shares where the server is."""
    lines = Path(f"/proc/{pid(paths)}/mountinfo").read_text().splitlines()
    places = [line.split()[4] for line in lines]
    return sorted(
        place for place in places if place.startswith((f"{paths.shares}/rw/", f"{paths.shares}/ro/"))
    )


@asynccontextmanager
async def next_daemon(paths: Paths, earlier: SambaShares) -> AsyncIterator[SambaShares]:
    """The room of the daemon after the one of ``earlier``, which has let go of everything."""
    await earlier.close()
    room = SambaShares(paths)
    yield room
    await room.close()


async def started_again(room: SambaShares) -> None:
    """Wait until a start that has come to the server is over."""
    async with room._turns.lock:
        pass
