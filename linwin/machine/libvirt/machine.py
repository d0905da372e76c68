"""One running domain: its devices, its end, its console and its screen."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

from linwin import paths
from linwin.errors import Conflict, LinwinError, NotFound, Unavailable, Unsupported
from linwin.host.pidfd import WatchedProcess
from linwin.host.taps import let_go, name_of
from linwin.machine import console, picture
from linwin.machine.libvirt import xml
from linwin.machine.libvirt.host import Event, LibvirtHost, Removed, Restarted, Stopped, binding
from linwin.machine.line import FileLine, SocketLine
from linwin.machine.monitor import UNPLUG_SECONDS
from linwin.machine.running import keep_bounded, moved, taken_console
from linwin.model.machine import MachineExit, MachineSpec
from linwin.model.network import Attachment

T = TypeVar("T")

FORGET_SECONDS = 15.0
"""How long libvirt may take to notice that a QEMU has ended; a few milliseconds, where it runs."""

_log = logging.getLogger(__name__)


class LibvirtMachine:
    """Implements :class:`linwin.engine.interfaces.Machine`.

    The kernel tells when QEMU has ended, by its pidfd, and libvirt when it has forgotten the
    domain: only then can another of the same name be started. Where libvirtd itself is gone, the
    kernel's word is enough.
    """

    def __init__(
        self, spec: MachineSpec, host: LibvirtHost, uuid: UUID, process: WatchedProcess, agent_socket: Path
    ) -> None:
        self._spec = spec
        self._host = host
        self._uuid = uuid
        self._process = process
        self._agent_socket = agent_socket
        self._plugging = asyncio.Lock()
        self._console = console.ConsoleLog(spec.run_dir / paths.CONSOLE_LOG)
        self._typing: FileLine | None = None
        self._stopped = asyncio.Event()
        self._restarts = 0
        self._hearing = ExitStack()
        self._hearing.enter_context(host.events(uuid, self._note))
        self._exit = asyncio.create_task(self._watch(), name=f"exit of {self._name}")

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def agent_socket(self) -> Path:
        return self._agent_socket

    @property
    def exited(self) -> asyncio.Future[MachineExit]:
        """Resolves when the domain has ended. A caller that is cancelled meanwhile harms nobody else's."""
        return asyncio.shield(self._exit)

    async def insert_disk(self, image: Path) -> None:
        raise Unsupported(f"libvirt does not exchange the disk of {self._name}")

    @property
    def restarts(self) -> int:
        """How often the guest has restarted the machine while this daemon watched."""
        return self._restarts

    async def disk_written(self) -> int:
        """How many bytes the guest has written to C: since the machine was started. Raises Unavailable."""
        # Without a name libvirt counts all disks together; C: is the only one that is written.
        _, _, _, written, _ = await self._do("count what was written", lambda domain: domain.blockStats(""))
        return int(written)

    async def connect_nic(self, *, connected: bool) -> None:
        raise Unsupported(f"{self._name} has no NIC from its start under libvirt")

    async def plug_nic(self, tap: int, nic_id: str, mac: str) -> None:
        """Hot-plug a NIC on an open tap. What the open file stands for is given up for libvirt to open."""
        name = name_of(tap)
        async with self._plugging:
            port = await self._free_port()
            let_go(tap)
            await self._attach(xml.nic_xml(nic_id, name, mac, port))

    async def plug_user_nic(self, nic_id: str, attachment: Attachment) -> None:
        """Hot-plug a NIC whose network is QEMU itself.

        libvirt has no words for the ports that it listens at; QEMU's monitor is told behind its back,
        of which libvirt makes a note in its log.
        """
        async with self._plugging:
            port = await self._free_port()
            await self._attach(xml.user_nic_xml(nic_id, attachment, port))
        try:
            for command in xml.forwards(nic_id, attachment):
                if answer := (await self._monitor(command)).strip():
                    raise Unavailable(f"QEMU refused {command}: {answer}")
        except LinwinError:
            await self.unplug_nic(nic_id)
            raise

    async def unplug_nic(self, nic_id: str) -> None:
        """Take a NIC out. Idempotent. Raises Unavailable for a guest that keeps it."""
        alias = xml.alias_of(nic_id)
        answers: asyncio.Queue[Removed] = asyncio.Queue()

        def note(event: Event) -> None:
            if isinstance(event, Removed) and event.alias == alias:
                answers.put_nowait(event)

        with self._host.events(self._uuid, note):
            if not xml.has_nic(await self._live(), nic_id):
                return
            try:
                await self._do(f"take {alias} out", lambda domain: domain.detachDeviceAlias(alias, 0))
            except NotFound:
                return
            answer = asyncio.create_task(answers.get(), name=f"{alias} of {self._name}")
            try:
                race: set[asyncio.Future[Any]] = {answer, self._exit}
                await asyncio.wait(race, timeout=UNPLUG_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                if self._exit.done():
                    raise Unavailable(f"the machine ended before it let go of {alias}")
                if not answer.done() or answer.result().kept:
                    raise Unavailable(f"the guest did not let go of {alias} within {UNPLUG_SECONDS:g} s")
            finally:
                answer.cancel()
                await asyncio.gather(answer, return_exceptions=True)

    async def save(self, path: Path) -> None:
        """Stop the guest for good, write all of it to a file that libvirt creates, and end the domain."""
        await self._do("save the machine", lambda domain: domain.saveFlags(str(path), None, 0))
        await self.exited

    async def move(self, run_dir: Path) -> None:
        """Make the empty folder ``run_dir`` its run folder, with all that is in the one it has."""
        self._spec = await moved(self._spec, run_dir, self._name, self._console)

    async def pause(self) -> None:
        """Halt its CPUs. Idempotent."""
        await self._do("halt the machine", lambda domain: domain.suspend())

    async def resume(self) -> None:
        """Let its CPUs go on. Idempotent."""
        libvirt = binding()

        def resume(domain: Any) -> None:
            state, _reason = domain.state()
            if state != libvirt.VIR_DOMAIN_RUNNING:  # which libvirt would refuse
                domain.resume()

        await self._do("let the machine go on", resume)

    async def press_power_button(self) -> None:
        """As somebody at it would. What the guest makes of it shows in :attr:`exited`."""
        button = binding().VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN
        await self._do("press the power button", lambda domain: domain.shutdownFlags(button))

    async def quit(self) -> None:
        """End the machine now, by libvirt, or where that does not answer by a signal. Idempotent."""
        if not self._exit.done():
            try:
                await self._do("end the machine", lambda domain: domain.destroy())
            except NotFound:
                _log.debug("%s has ended by itself", self._name)
            except Unavailable as error:
                if not self._exit.done():
                    _log.warning("%s is killed: %s", self._name, error.message)
                    self._process.send_signal(signal.SIGKILL)
            await self.exited
        (self._spec.run_dir / paths.DOMAIN_FILE).unlink(missing_ok=True)

    async def console_tail(self, lines: int = 20) -> tuple[str, ...]:
        """The last lines of the console, as printable text."""
        return console.last_lines(self._spec.run_dir / paths.CONSOLE_LOG, lines)

    def console(self, *, last: int | None, follow: bool) -> AsyncGenerator[str, None]:
        """What the guest wrote to its console, as :meth:`linwin.machine.running.QemuMachine.console`."""
        return self._console.read(last=last, follow=follow, over=self.exited)

    async def open_console(self) -> FileLine:
        """The console as a terminal has it: what is written from now on, and what is typed.

        Raises Unsupported for a console that takes no input, Conflict while somebody has it.
        """
        if self._typing is not None and not self._typing.closed:
            raise taken_console(self._name)
        path = xml.terminal(await self._live())
        if path is None:
            raise Unsupported(f"the console of {self._name} takes no input")
        try:
            self._typing = FileLine.of_terminal(path)
        except OSError as error:
            raise Unavailable(f"the console of {self._name} cannot be opened: {error.strerror}") from error
        return self._typing

    async def screenshot(self) -> bytes:
        """What the screen shows, as a PNG. Raises Unsupported where there is none."""
        await self._require_screen()
        return await self._host.call("take a picture of the screen", self._picture)

    async def open_screen(self) -> SocketLine:
        """A client's end of the screen's VNC server. Raises Unsupported where there is no screen."""
        await self._require_screen()
        flags = binding().VIR_DOMAIN_OPEN_GRAPHICS_SKIPAUTH
        file = await self._host.domain_call(
            self._uuid,
            "open the screen",
            lambda domain: int(domain.openGraphicsFD(0, flags)),
            undo=os.close,
        )
        end = socket.socket(fileno=file)
        end.setblocking(False)
        return SocketLine(end)

    @property
    def _name(self) -> str:
        return f"machine {self._spec.id[:12]}"

    async def _require_screen(self) -> None:
        if not xml.has_screen(await self._live()):
            raise Unsupported(f"{self._name} has no screen")

    def _picture(self, connection: Any) -> bytes:
        stream, data = connection.newStream(0), bytearray()
        connection.lookupByUUIDString(str(self._uuid)).screenshot(stream, 0, 0)
        while (piece := stream.recv(64 << 10)) and len(data) <= picture.LARGEST_RAW:
            data += piece
        if len(data) > picture.LARGEST_RAW:
            stream.abort()
        else:
            stream.finish()
        return picture.as_png(bytes(data))

    async def _monitor(self, command: str) -> str:
        import libvirt_qemu

        human = libvirt_qemu.VIR_DOMAIN_QEMU_MONITOR_COMMAND_HMP
        return await self._do(
            f"pass {command.partition(' ')[0]} on",
            lambda domain: str(libvirt_qemu.qemuMonitorCommand(domain, command, human)),
        )

    async def _free_port(self) -> int:
        live = await self._live()
        count = xml.hotplug_ports(live)
        port = xml.free_port(live, count)
        if port is None:
            raise Conflict(f"all {count} hot-plug ports of the container's machine are taken")
        return port

    async def _attach(self, device: str) -> None:
        flags = binding().VIR_DOMAIN_AFFECT_LIVE
        await self._do("plug the NIC in", lambda domain: domain.attachDeviceFlags(device, flags))

    async def _live(self) -> str:
        return await self._do("describe the machine", lambda domain: str(domain.XMLDesc(0)))

    async def _do(self, what: str, function: Callable[[Any], T]) -> T:
        return await self._host.domain_call(self._uuid, what, function)

    async def _watch(self) -> MachineExit:
        """Wait for the domain's end, keeping its log within bounds, and then collect what it left."""
        trimming = asyncio.create_task(keep_bounded(self._console, self._name), name=f"log of {self._name}")
        stopped = asyncio.create_task(self._stopped.wait(), name=f"libvirt's word of {self._name}")
        ended = asyncio.create_task(self._process.wait(), name=f"process of {self._name}")
        try:
            await asyncio.wait([stopped, ended], return_when=asyncio.FIRST_COMPLETED)
            if await self._is_known() and not (await asyncio.wait([stopped], timeout=FORGET_SECONDS))[0]:
                _log.warning("%s has ended, and libvirt does not say so", self._name)
            return MachineExit(None, await self.console_tail())
        finally:
            for task in (trimming, stopped, ended):
                task.cancel()
            await asyncio.gather(trimming, stopped, ended, return_exceptions=True)
            self._hearing.close()
            self._process.close()

    async def _is_known(self) -> bool:
        """Whether libvirt is there and has the domain still."""
        try:
            return await self._do("look for the machine", lambda domain: bool(domain.isActive()))
        except LinwinError:
            return False

    def _note(self, event: Event) -> None:
        if isinstance(event, Restarted):
            self._restarts += 1
        if isinstance(event, Stopped):
            self._stopped.set()
