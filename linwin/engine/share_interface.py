"""The shares room as the engine sees it: part of :mod:`linwin.engine.interfaces`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence, Set
from pathlib import Path
from typing import Protocol

from linwin.model.mount import Access, Share


class Shares(Protocol):
    """The file server of this root, through which guests reach files of the host.

    Shares are named ``CONTAINER-NUMBER`` by the short id of the container that they are for. They
    live as long as the server keeps them, which outlives the daemon as guests do.
    """

    async def unavailable(self) -> str:
        """Why this host can share no files (no root, no smbd); empty when it can."""

    async def offer(self, shares: Sequence[Share]) -> Sequence[Access]:
        """Share files, each with a credential of its own, and see to it that the server runs.

        Raises Unavailable, NotFound for a source that is gone. None is left where one failed.
        """

    async def withdraw(self, container: str) -> None:
        """Take back what was offered to a container, by its short id. Idempotent. Raises Unavailable."""

    async def recover(self, containers: Set[str]) -> None:
        """Go on with the server of an earlier daemon, or start it where one of ``containers``, the
        short ids of those that run, has shares; take back what others had. Raises Unavailable."""

    async def fill(self, folder: Path, pieces: AsyncGenerator[bytes, None]) -> None:
        """Unpack a tar archive into a folder that is empty, all of it or nothing; leave another as it is.

        What Windows knows of its files beyond names, contents and times is left out.
        Raises Unavailable, and what ``pieces`` does.
        """

    async def close(self) -> None:
        """End the server unless a container has shares. Idempotent."""

    async def purge(self) -> None:
        """End the server and remove all that it had. Idempotent."""
