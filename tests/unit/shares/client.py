"""smbclient, as what a guest could do at its worst."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from linwin.host.process import run
from linwin.model.mount import Access

PATIENCE = 30.0


@dataclass(frozen=True)
class Said:
    """What a client's run came to."""

    code: int
    text: str


@dataclass(frozen=True)
class Client:
    """A client of the server at an address."""

    address: str
    port: int

    async def __call__(self, access: Access, *commands: str, options: Sequence[str] = ()) -> Said:
        """Log in and do something there, each ``command`` being one of smbclient's."""
        credential = f"--user={access.user}%{access.password}"
        return await self.connect(access.share, credential, *options, "--command", "; ".join(commands))

    async def connect(self, share: str, *options: str) -> Said:
        own = ("--configfile=/dev/null", f"--port={self.port}")
        done = await run(
            ["smbclient", f"//{self.address}/{share}", *own, *options], timeout=PATIENCE, input=b""
        )
        return Said(done.returncode, (done.stdout + done.stderr).decode(errors="replace"))

    async def call(self, access: Access, *commands: str) -> Said:
        """Call procedures of the server."""
        own = ("--configfile=/dev/null", f"--port={self.port}", f"--user={access.user}%{access.password}")
        done = await run(
            ["rpcclient", *own, self.address, "--command", "; ".join(commands)], timeout=PATIENCE
        )
        return Said(done.returncode, (done.stdout + done.stderr).decode(errors="replace"))

    async def negotiate(self) -> tuple[int, int]:
        """The dialect and the security mode that the server wants (MS-SMB2, 2.2.3 and 2.2.4)."""
        header = b"\xfeSMB" + struct.pack("<HHIHHIIQIIQ16x", 64, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0)
        body = struct.pack("<HHHHI16sIHHH2x", 36, 1, 0, 0, 0, bytes(16), 104, 1, 0, 0x0311)
        hashes = struct.pack("<HHIHHH32s", 1, 38, 0, 1, 32, 1, bytes(32))
        packet = header + body + hashes
        reader, writer = await asyncio.open_connection(self.address, self.port)
        writer.write(struct.pack(">I", len(packet)) + packet)
        answer = await reader.readexactly(struct.unpack(">I", await reader.readexactly(4))[0])
        writer.close()
        await writer.wait_closed()
        security_mode, dialect = struct.unpack_from("<HH", answer, 64 + 2)
        return dialect, security_mode

    async def until_served(self, access: Access) -> Said:
        """Ask until the server answers."""
        async with asyncio.timeout(PATIENCE):
            while (said := await self(access, "ls")).code:
                continue
        return said
