"""One running QEMU: its monitor, its process and its logs."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import signal
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from linwin import paths
from linwin.errors import Conflict, LinwinError, NotFound, Unavailable, Unsupported
from linwin.host.files import tail
from linwin.host.pidfd import WatchedProcess
from linwin.host.programs import last_words
from linwin.host.sockets import connect
from linwin.machine import console, domain, picture
from linwin.machine.frozen import empty_memory
from linwin.machine.line import SocketLine
from linwin.machine.monitor import Monitor
from linwin.model.machine import FIRST_NIC, MachineExit, MachineSpec
from linwin.model.network import Attachment

QUIT_SECONDS = 5.0
"""How long QEMU may take to end itself before it is killed."""

_TRIM_SECONDS = 10.0
_INSERTED = "inserted"
"""The name of a medium that took the place of C:'s first one."""

_ENDPOINTS = (paths.AGENT_SOCKET, paths.MONITOR_SOCKET, paths.CONSOLE_SOCKET, paths.PID_FILE)

_log = logging.getLogger(__name__)


def remove_endpoints(run_dir: Path) -> None:
    """Remove the files by which a running machine is reached; its logs stay. Idempotent."""
    for name in _ENDPOINTS:
        (run_dir / name).unlink(missing_ok=True)


class QemuMachine:
    """Implements :class:`linwin.engine.interfaces.Machine`.

    The process is held by its pidfd, so that it makes no difference whether
    this daemon started it or an earlier one did.
    """

    def __init__(self, spec: MachineSpec, process: WatchedProcess) -> None:
        """Watch a machine's process; :meth:`open_monitor` makes it usable."""
        self._spec = spec
        self._process = process
        self._monitor: Monitor | None = None
        self._plugging = asyncio.Lock()
        self._console = console.ConsoleLog(spec.run_dir / paths.CONSOLE_LOG)
        self._typing: SocketLine | None = None
        self._screens = itertools.count(1)
        self._exit = asyncio.create_task(self._watch(), name=f"exit of {self._name}")

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def agent_socket(self) -> Path:
        return self._spec.run_dir / paths.AGENT_SOCKET

    @property
    def exited(self) -> asyncio.Future[MachineExit]:
        """Resolves when QEMU has ended. A caller that is cancelled while awaiting it harms nobody else's."""
        return asyncio.shield(self._exit)

    async def open_monitor(self, *, timeout: float) -> None:
        """Connect to QEMU's monitor. Raises Unavailable when it does not answer in time."""
        try:
            async with asyncio.timeout(timeout):
                self._monitor = await Monitor.connect(self._spec.run_dir / paths.MONITOR_SOCKET, self._name)
        except TimeoutError as error:
            raise Unavailable(f"the monitor of {self._name} did not answer within {timeout:g} s") from error

    async def insert_disk(self, image: Path) -> None:
        """Put another qcow2 behind C:, once, while the guest is halted and has nothing mounted of it.

        Raises Unavailable in QEMU's words when it refuses; the disk that was there is still there then.
        """
        await self._execute("blockdev-add", {"node-name": _INSERTED, **domain.medium_node(image)})
        try:
            await self._execute("blockdev-reopen", {"options": [domain.c_node(_INSERTED)]})
        except LinwinError:
            await self._execute("blockdev-del", {"node-name": _INSERTED})
            raise

    async def connect_nic(self, *, connected: bool) -> None:
        """Plug the cable of the NIC that it has from its start in, or pull it. Idempotent."""
        _, device = domain.nic_names(FIRST_NIC)
        await self._execute("set_link", {"name": device, "up": connected})

    async def plug_nic(self, tap: int, nic_id: str, mac: str) -> None:
        """Hot-plug a NIC on an open tap into the first free port.

        Raises Conflict when no port is free, Unavailable in QEMU's words when it
        refuses; nothing of the NIC is left in the machine then, and the tap is free.
        """
        backend = domain.nic_backend(nic_id)
        await self._plug(nic_id, mac, partial(self._add_backend, tap, backend))

    async def plug_user_nic(self, nic_id: str, attachment: Attachment) -> None:
        """Hot-plug a NIC whose network is QEMU itself, which listens at the attachment's ports."""
        backend = domain.user_backend(nic_id, attachment)
        await self._plug(nic_id, attachment.mac, partial(self._execute, "netdev_add", backend))

    async def _plug(self, nic_id: str, mac: str, add_backend: Callable[[], Awaitable[object]]) -> None:
        backend, _ = domain.nic_names(nic_id)
        async with self._plugging:
            port = await self._free_port()
            await add_backend()
            try:
                await self._execute("device_add", domain.nic_device(nic_id, mac, port))
            except LinwinError:
                await self._execute("netdev_del", {"id": backend})
                raise

    async def _add_backend(self, tap: int, backend: dict[str, Any]) -> None:
        monitor = self._connected()
        await monitor.give(tap, backend["fd"])
        try:
            await monitor.execute("netdev_add", backend)
        except LinwinError:
            await monitor.take_back(backend["fd"])
            raise

    async def unplug_nic(self, nic_id: str) -> None:
        """Take a NIC out. Idempotent.

        Its tap is free first, whatever the guest does: one that keeps the device
        (which is Unavailable) has nothing left to send on.
        """
        backend, device = domain.nic_names(nic_id)
        with suppress(NotFound):  # an earlier attempt came as far as this
            await self._execute("netdev_del", {"id": backend})
        with suppress(NotFound):
            await self._unless_it_ends(self._connected().unplug(device), "device_del")

    async def freeze(self, state: int) -> None:
        """Stop the guest for good and write the state of its devices to the open file ``state``.

        Its RAM, which must be shared, stays in its own file.
        """
        await self._execute("stop")
        await self._migrate("migrate", state)

    async def thaw(self, state: int) -> None:
        """Go on from where a machine of the same description was frozen.

        Raises Unavailable, in QEMU's words, when the state is not of such a machine.
        """
        try:
            # QEMU would announce the address that the NIC was frozen with.
            await self._execute("migrate-set-parameters", {"announce-rounds": 0})
            await self._migrate("migrate-incoming", state)
            await self._execute("cont")
        except Unavailable as error:
            words = last_words(tail(self._spec.run_dir / paths.QEMU_LOG, 4096))
            raise Unavailable(f"the checkpoint could not be restored: {words or error.message}") from error

    async def _migrate(self, command: str, state: int) -> None:
        monitor = self._connected()
        await monitor.execute("migrate-set-capabilities", {"capabilities": domain.MIGRATION})
        await monitor.give(state, "state")
        # A QEMU that does not like what it reads ends at once.
        await self._unless_it_ends(monitor.migrate(command, "fd:state"), command)

    async def _unless_it_ends(self, waiting: Coroutine[Any, Any, None], name: str) -> None:
        """Wait for what an event will tell; the monitor of a machine that has ended is silent."""
        task = asyncio.create_task(waiting, name=f"{name} of {self._name}")
        try:
            await asyncio.wait([task, self._exit], return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise Unavailable(f"the machine ended before it finished {name}")
            await task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def move(self, run_dir: Path) -> None:
        """Make the empty folder ``run_dir`` its run folder, with all that is in the one it has."""
        self._spec = await moved(self._spec, run_dir, self._name, self._console)

    async def pause(self) -> None:
        """Halt its CPUs. Idempotent."""
        await self._execute("stop")

    async def resume(self) -> None:
        """Let its CPUs go on. Idempotent."""
        await self._execute("cont")

    async def press_power_button(self) -> None:
        """As somebody at it would. What the guest makes of it shows in :attr:`exited`."""
        await self._execute("system_powerdown")

    async def quit(self) -> None:
        """End the machine now. QEMU closes its disks; one that takes too long is killed. Idempotent."""
        if not self._exit.done():
            await self._ask_to_quit()
            try:
                async with asyncio.timeout(QUIT_SECONDS):
                    await self.exited
            except TimeoutError:
                self._process.send_signal(signal.SIGKILL)
                await self.exited
        remove_endpoints(self._spec.run_dir)

    @property
    def restarts(self) -> int:
        """How often the guest has restarted the machine while this daemon watched."""
        return self._connected().restarts

    async def disk_written(self) -> int:
        """How many bytes the guest has written to C: since the machine was started. Raises Unavailable."""
        for disk in await self._execute("query-blockstats"):
            if disk.get("node-name") == domain.C_NODE:
                return int(disk["stats"]["wr_bytes"])
        raise Unavailable(f"{self._name} has no C:")

    async def release(self) -> None:
        """Let go of the machine, which runs on for another daemon to adopt. Idempotent."""
        self._exit.cancel()
        await asyncio.wait([self._exit])

    async def console_tail(self, lines: int = 20) -> tuple[str, ...]:
        """The last lines of the console, as printable text."""
        return console.last_lines(self._spec.run_dir / paths.CONSOLE_LOG, lines)

    def console(self, *, last: int | None, follow: bool) -> AsyncGenerator[str, None]:
        """What the guest wrote to its console, from the ``last`` lines on, as printable text.

        With ``follow`` also what it will write, until the machine ends. Raises Unavailable.
        """
        return self._console.read(last=last, follow=follow, over=self.exited)

    async def open_console(self) -> SocketLine:
        """The console as a terminal has it: what is written from now on, and what is typed.

        Raises Unsupported for a console that takes no input, Conflict while somebody has it.
        """
        if self._typing is not None and not self._typing.closed:
            raise taken_console(self._name)
        try:
            self._typing = SocketLine(connect(self._spec.run_dir / paths.CONSOLE_SOCKET))
        except FileNotFoundError as error:
            raise Unsupported(f"the console of {self._name} takes no input") from error
        except OSError as error:
            raise Unavailable(f"the console of {self._name} cannot be opened: {error.strerror}") from error
        return self._typing

    async def screenshot(self) -> bytes:
        """What the screen shows, as a PNG. Raises Unsupported where there is none."""
        await self._require_screen()
        try:
            with os.fdopen(empty_memory("linwin-screen"), "rb") as file:
                await self._picture(file.fileno())
                return picture.whole_picture(file.fileno())
        except OSError as error:
            raise Unavailable(f"there is no room for a picture of the screen: {error.strerror}") from error

    async def _require_screen(self) -> None:
        """Ask QEMU, as it knows also after a daemon's restart: without VNC it drops a client in silence."""
        devices = [device for bus in await self._execute("query-pci") for device in bus["devices"]]
        if all(device["qdev_id"] != domain.SCREEN for device in devices):
            raise Unsupported(f"{self._name} has no screen")

    async def _picture(self, file: int) -> None:
        # QEMU opens it for writing only, and takes a file that is lent for that as long as it is so too.
        writable = os.open(f"/proc/self/fd/{file}", os.O_WRONLY | os.O_CLOEXEC)
        try:
            async with self._connected().lend(writable) as path:
                await self._execute("screendump", {"filename": path, "format": "png"})
        finally:
            os.close(writable)

    async def open_screen(self) -> SocketLine:
        """A client's end of the screen's VNC server (RFC 6143), which asks for no password.

        Raises Unsupported where there is no screen.
        """
        await self._require_screen()
        ours, theirs = socket.socketpair()
        name = f"screen-{next(self._screens)}"
        try:
            ours.setblocking(False)
            await self._connected().give(theirs.fileno(), name)
            try:
                await self._execute("add_client", {"protocol": "vnc", "fdname": name, "skipauth": True})
            except LinwinError:
                await self._connected().take_back(name)
                raise
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        return SocketLine(ours)

    @property
    def _name(self) -> str:
        return f"machine {self._spec.id[:12]}"

    async def _ask_to_quit(self) -> None:
        """Have QEMU end itself: by its monitor, or by SIGTERM, which it takes for the same."""
        try:
            async with asyncio.timeout(QUIT_SECONDS):
                await self._execute("quit")
        except (LinwinError, TimeoutError):
            self._process.send_signal(signal.SIGTERM)

    async def _free_port(self) -> str:
        """Ask QEMU which port is empty: it knows best, also after a daemon's restart."""
        ports = {domain.port_name(index) for index in range(self._spec.spare_ports)}
        bridges = {d["qdev_id"]: d for bus in await self._execute("query-pci") for d in bus["devices"]}
        for name in sorted(ports & bridges.keys()):
            if not bridges[name]["pci_bridge"].get("devices"):
                return name
        raise Conflict(f"all {len(ports)} hot-plug ports of the container's machine are taken")

    async def _execute(self, command: str, arguments: dict[str, Any] | None = None) -> Any:
        return await self._connected().execute(command, arguments)

    def _connected(self) -> Monitor:
        if self._monitor is None:
            raise Unavailable(f"the monitor of {self._name} is not connected")
        return self._monitor

    async def _watch(self) -> MachineExit:
        """Wait for QEMU's end, keeping its logs within bounds, and then collect what it left."""
        keeping = keep_bounded(self._console, self._name, beside=paths.QEMU_LOG)
        trimming = asyncio.create_task(keeping, name=f"logs of {self._name}")
        try:
            code = await self._process.wait()
            return MachineExit(code, await self.console_tail())
        finally:
            trimming.cancel()
            if self._monitor is not None:
                await self._monitor.close()
            self._process.close()


async def moved(spec: MachineSpec, run_dir: Path, name: str, log: console.ConsoleLog) -> MachineSpec:
    """Make the empty folder ``run_dir`` the run folder of the machine called ``name``, with all that it has.

    Raises Unavailable.
    """
    try:
        await asyncio.to_thread(os.rename, spec.run_dir, run_dir)
    except OSError as error:
        raise Unavailable(f"{name} cannot be moved to {run_dir}: {error.strerror}") from error
    log.path = run_dir / paths.CONSOLE_LOG
    return replace(spec, run_dir=run_dir)


def taken_console(name: str) -> Conflict:
    """For the second who wants to type at a console."""
    return Conflict(
        f"somebody else types at the console of {name}", hint="Read it meanwhile: linwin console --follow"
    )


async def keep_bounded(log: console.ConsoleLog, name: str, *, beside: str = "") -> None:
    """Bound what a guest can write, and the log called ``beside`` in the same folder, until cancelled.

    Its size is looked at: to be told of a file's growth takes an inotify instance for each machine,
    and a user has 128.
    """
    while True:
        await asyncio.sleep(_TRIM_SECONDS)
        try:
            log.trim()
            if beside:
                console.trim(log.path.with_name(beside))
        except OSError as error:
            _log.warning("the logs of %s could not be cut: %s", name, error)
