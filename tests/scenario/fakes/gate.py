"""Where a test holds what is under way."""

from __future__ import annotations

import asyncio


class Gate:
    """``reached`` is set when somebody waits before the gate, and ``opened`` lets everybody through."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.opened = asyncio.Event()

    async def passed(self) -> None:
        self.reached.set()
        await self.opened.wait()
