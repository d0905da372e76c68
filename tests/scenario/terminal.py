"""A person at a terminal, for tests: a pseudo-terminal whose other end a client has."""

from __future__ import annotations

import asyncio
import fcntl
import os
import struct
import termios
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any


class Terminal:
    """What a client shows, and what is typed to it."""

    def __init__(self, master: int, slave: int) -> None:
        self.master = master
        self.slave = slave
        self.process: Process
        self._shown = bytearray()
        self._changed = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        # Packets (tty_ioctl(4)) also tell when the client changes the terminal's mode.
        fcntl.ioctl(master, termios.TIOCPKT, struct.pack("i", 1))
        self._loop.add_reader(master, self._read)

    def _read(self) -> None:
        try:
            packet = os.read(self.master, 65536)
        except OSError:  # EIO: the client closed its end
            packet = b""
        if not packet:
            self._loop.remove_reader(self.master)
        elif packet[0] == termios.TIOCPKT_DATA:
            self._shown += packet[1:]
        self._changed.set()

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    async def shows(self, text: bytes, timeout: float = 10) -> bytes:
        """Wait until ``text`` is shown; returns what came before it since the last call."""
        async with asyncio.timeout(timeout):
            while text not in self._shown:
                self._changed.clear()
                await self._changed.wait()
        at = self._shown.index(text)
        before = bytes(self._shown[:at])
        del self._shown[: at + len(text)]
        return before

    async def lent(self, timeout: float = 10) -> None:
        """Wait until keys go to the client as they are typed."""
        async with asyncio.timeout(timeout):
            while self.cooked:
                self._changed.clear()
                await self._changed.wait()

    @property
    def cooked(self) -> bool:
        """Whether the terminal echoes and edits lines, as it did before the client came."""
        mode: list[Any] = termios.tcgetattr(self.slave)
        wanted = termios.ECHO | termios.ICANON | termios.ISIG
        return bool(mode[3] & wanted == wanted and mode[0] & termios.ICRNL and mode[1] & termios.OPOST)

    async def ends(self, timeout: float = 10) -> int:
        return await asyncio.wait_for(self.process.wait(), timeout)


@asynccontextmanager
async def at_terminal(
    *arguments: str, env: dict[str, str], rows: int = 30, columns: int = 100
) -> AsyncIterator[Terminal]:
    """Run a client in a terminal; what still runs at the end is killed."""
    master, slave = os.openpty()
    terminal = Terminal(master, slave)
    try:
        terminal.resize(rows, columns)
        terminal.process = await asyncio.create_subprocess_exec(
            *arguments, stdin=slave, stdout=slave, stderr=slave, env=env, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        yield terminal
    finally:
        if terminal.process.returncode is None:
            terminal.process.kill()
        await terminal.process.wait()
        asyncio.get_running_loop().remove_reader(master)
        os.close(master)
        os.close(slave)
