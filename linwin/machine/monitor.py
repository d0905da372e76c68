"""The QMP monitor of one machine: the only place that meets ``qemu.qmp`` and its errors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from qemu.qmp import (
    ConnectError,
    EventListener,
    ExecInterruptedError,
    ExecuteError,
    QMPClient,
    QMPError,
    StateError,
)
from qemu.qmp.message import Message

from linwin.errors import LinwinError, NotFound, Unavailable
from linwin.host.sockets import connect

ANSWER_SECONDS = 30.0
"""How long QEMU may take to answer a command; most take it a few milliseconds."""

MIGRATION_SECONDS = 60.0
"""How long the state of the devices may take to be written or read; it is half a megabyte."""


UNPLUG_SECONDS = 20.0
"""How long a guest may take to let go of a device; an emulated one on a busy host takes one."""

_NO_DEVICE = "DeviceNotFound"  # the one class of errors, beside that of all others, that QEMU still uses


class Monitor:
    """A session with a machine's monitor. QEMU serves one at a time."""

    def __init__(self, client: QMPClient) -> None:
        self._client = client
        self.restarts = 0
        """How often the guest has restarted the machine during the session."""
        # Counted as they come, and not kept: a guest may go on restarting as long as it likes.
        client.register_listener(EventListener("RESET", self._count))
        self._passing = asyncio.Lock()  # QEMU takes the file that came last for that of the command

    def _count(self, event: Message) -> bool:
        match event.get("data"):
            case {"guest": True}:
                self.restarts += 1
        return False

    @classmethod
    async def connect(cls, path: Path, name: str) -> Monitor:
        """Open a session at the socket ``path``, waiting for QEMU's greeting.

        Raises Unavailable when nobody listens or QEMU ends before it answers.
        """
        client = QMPClient(name)
        try:
            connection = connect(path)
            try:
                await client.connect(connection)
            except BaseException:
                connection.close()  # the library forgets it when it is cancelled
                raise
        except (OSError, ConnectError) as error:
            raise Unavailable(f"the monitor of {name} does not answer: {error}") from error
        return cls(client)

    async def execute(self, command: str, arguments: dict[str, Any] | None = None) -> Any:
        """Run a QMP command and return what it returns.

        Raises NotFound for a device that the machine does not have, Unavailable in
        QEMU's own words when it refuses, and when the machine ends or too much time
        passes before it answers.
        """
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await self._client.execute(command, arguments)
        except TimeoutError as error:
            raise Unavailable(f"QEMU did not answer {command} within {ANSWER_SECONDS:g} s") from error
        except ExecuteError as error:
            kind = NotFound if error.error_class == _NO_DEVICE else Unavailable
            raise kind(f"QEMU refused {command}: {error}") from error
        except (ExecInterruptedError, StateError) as error:
            raise Unavailable(f"the machine ended before it answered {command}") from error

    async def give(self, file: int, name: str) -> None:
        """Hand an open file to QEMU, which knows it by ``name`` from then on."""
        await self._pass(file, "getfd", {"fdname": name})

    @asynccontextmanager
    async def lend(self, file: int) -> AsyncIterator[str]:
        """A path by which QEMU opens a file that is open here, as long as the context lasts."""
        lent = await self._pass(file, "add-fd", {})
        try:
            yield f"/dev/fdset/{lent['fdset-id']}"
        finally:
            with suppress(LinwinError):  # one that has ended has no file any more
                await self.execute("remove-fd", {"fdset-id": lent["fdset-id"]})

    async def _pass(self, file: int, command: str, arguments: dict[str, Any]) -> Any:
        async with self._passing:
            try:
                self._client.send_fd_scm(file)
            except (OSError, StateError) as error:
                raise Unavailable("the machine ended before it was given a file") from error
            return await self.execute(command, arguments)

    async def take_back(self, name: str) -> None:
        """Close a file that was given and that a failed command may not have taken.

        Raises nothing: why that command failed is what its caller has to tell.
        """
        with suppress(LinwinError):  # the command had taken it, and closed it when it failed
            await self.execute("closefd", {"fdname": name})

    async def unplug(self, device: str) -> None:
        """Ask the guest to let go of a device, and return when it has.

        Raises NotFound for a device that the machine does not have, Unavailable
        when the guest keeps it: one that is halted does.
        """
        with self._client.listener("DEVICE_DELETED") as events:
            await self.execute("device_del", {"id": device})
            try:
                async with asyncio.timeout(UNPLUG_SECONDS):
                    async for event in events:
                        match event.get("data"):
                            case {"device": name} if name == device:
                                return
            except TimeoutError as error:
                raise Unavailable(
                    f"the guest did not let go of {device} within {UNPLUG_SECONDS:g} s"
                ) from error

    async def migrate(self, command: str, uri: str) -> None:
        """Begin a migration, in or out, and return when all of it is done.

        Raises Unavailable when it fails, and when QEMU says nothing of it for too long.
        """
        with self._client.listener("MIGRATION") as events:
            await self.execute(command, {"uri": uri})
            try:
                async with asyncio.timeout(MIGRATION_SECONDS):
                    async for event in events:
                        match event.get("data"):
                            case {"status": "completed"}:
                                return
                            case {"status": "failed"}:
                                raise Unavailable("QEMU could not read or write the state of the machine")
            except TimeoutError as error:
                raise Unavailable(f"QEMU did not finish {command} within {MIGRATION_SECONDS:g} s") from error

    async def close(self) -> None:
        """End the session; the machine goes on. Idempotent."""
        try:
            await self._client.disconnect()
        except (QMPError, EOFError, OSError):
            return  # the library reports here how the other end left, and that is why we close
