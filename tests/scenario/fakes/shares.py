"""A file server that serves nothing: what was offered and not withdrawn is what it would share."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Sequence, Set
from contextlib import aclosing
from pathlib import Path

from linwin.errors import NotFound, Unavailable
from linwin.model.mount import Access, Share


class FakeShares:
    """``offered`` is by container, as its short id, ``filled`` has archives by the folders for them.

    ``why_not`` is what keeps this host from sharing files.
    """

    def __init__(self) -> None:
        self.why_not = ""
        self.offered: dict[str, tuple[Share, ...]] = {}
        self.filled: dict[Path, bytes] = {}

    async def unavailable(self) -> str:
        return self.why_not

    async def offer(self, shares: Sequence[Share]) -> Sequence[Access]:
        if self.why_not:
            raise Unavailable(self.why_not)
        if gone := _gone(shares):
            raise NotFound(f"{gone[0]} is gone")
        for share in shares:
            container = share.id.rpartition("-")[0]
            self.offered[container] = (*self.offered.get(container, ()), share)
        return [_access(share) for share in shares]

    async def withdraw(self, container: str) -> None:
        self.offered.pop(container, None)

    async def recover(self, containers: Set[str]) -> None:
        self.offered = {one: shares for one, shares in self.offered.items() if one in containers}

    async def fill(self, folder: Path, pieces: AsyncGenerator[bytes, None]) -> None:
        async with aclosing(pieces):
            if not os.listdir(folder):
                self.filled[folder] = b"".join([piece async for piece in pieces])

    async def close(self) -> None:
        """The server ends with the test."""

    async def purge(self) -> None:
        self.offered.clear()


def _gone(shares: Sequence[Share]) -> list[str]:
    return [share.source for share in shares if not os.path.exists(share.source)]


def _access(share: Share) -> Access:
    source = Path(share.source)
    return Access(share.id, share.id, f"secret of {share.id}", source.name if source.is_file() else "")
