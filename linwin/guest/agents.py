"""Finds the agent in a booted machine and says hello: the room's door."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol, TypeVar

from linwin.errors import Unavailable, Unsupported
from linwin.guest import frames
from linwin.guest.files import AgentFiles
from linwin.guest.frames import Frame, FrameDecoder, FrameType, Torn
from linwin.guest.messages import REBUILD, VERSION, WINDOWS, Failure, Hello, Malformed, parse_hello
from linwin.guest.observations import parse_processes, parse_usage
from linwin.guest.process import GuestProcess
from linwin.guest.session import READ_SIZE, Session
from linwin.host import sockets
from linwin.model.guest import Agent, Preparation, ProcessSpec
from linwin.model.machine import MachineExit
from linwin.model.mount import GuestMount
from linwin.model.network import Interface
from linwin.model.usage import ProcessInfo, Usage

T = TypeVar("T")

PREPARE_TIMEOUT = 300.0
"""Seconds: Wine's own start takes 25 under software emulation on an idle host, and more on a busy one."""
OBSERVE_TIMEOUT = 15.0
"""Seconds for a look at a guest's processes, which takes milliseconds where nothing is wrong."""
CLOCK_TIMEOUT = 30.0
NETWORK_TIMEOUT = 60.0
"""Seconds until a NIC is found, configured and has its link: under one, in an emulated guest."""
MOUNT_TIMEOUT = 120.0
"""Seconds for all mounts: a tenth of one each, and more where the file server is being started again."""
FLUSH_TIMEOUT = 300.0
"""Seconds: some for the registry under software emulation, and for what waits in memory a slow disk's."""
NO_MOUNTS = "Windows guests mount no files of the host yet"
REOPENED = 3
"""How often a session is opened anew that its agent ended before it answered anything."""


class Machine(Protocol):
    """What this room needs of :class:`linwin.engine.interfaces.Machine`."""

    @property
    def agent_socket(self) -> Path: ...
    @property
    def exited(self) -> asyncio.Future[MachineExit]: ...
    async def console_tail(self, lines: int = 20) -> tuple[str, ...]: ...


class AgentGuest:
    """Implements :class:`linwin.engine.interfaces.Guest`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def hello(self) -> Hello:
        """What the agent said of itself."""
        return self._session.hello

    @property
    def agent(self) -> Agent:
        hello = self.hello
        return Agent(hello.kind, hello.agent, hello.version, hello.capabilities)

    @property
    def runs_on_c(self) -> bool:
        return self.hello.kind == WINDOWS

    @property
    def lost(self) -> Unavailable | None:
        return self._session.failure

    async def warm(self) -> None:
        if "warm" not in self.hello.capabilities:
            raise Unavailable("the guest's agent is too old to be frozen", hint=REBUILD)
        answer = await self._session.request("warm", timeout=PREPARE_TIMEOUT)
        if isinstance(answer, Failure):
            raise answer.error()

    async def rehearse(self, c_serial: str) -> None:
        if "rehearse" not in self.hello.capabilities:
            return  # it will only start its first program more slowly
        answer = await self._session.request("rehearse", timeout=PREPARE_TIMEOUT, c_serial=c_serial)
        if isinstance(answer, Failure):
            raise answer.error()

    async def prepare(self, preparation: Preparation) -> None:
        if preparation.interfaces:
            self._check_network()
        if preparation.hosts and self.hello.kind == WINDOWS:
            raise Unsupported("this guest knows no extra hosts", hint="Leave out --add-host.")
        answer = await self._session.request(
            "prepare",
            timeout=PREPARE_TIMEOUT,
            hostname=preparation.hostname,
            c_serial=preparation.c_serial,
            time_ns=preparation.time_ns,
            entropy=base64.b64encode(preparation.entropy).decode(),
            interfaces=[asdict(interface) for interface in preparation.interfaces],
            hosts=[asdict(host) for host in preparation.hosts],
        )
        if isinstance(answer, Failure):
            raise answer.error()

    async def mount(self, mounts: Sequence[GuestMount]) -> None:
        if self.hello.kind == WINDOWS:
            raise Unsupported(
                NO_MOUNTS, hint="Leave out -v and --mount; linwin cp copies files of a stopped container."
            )
        if "mount" not in self.hello.capabilities:
            raise Unavailable("the guest's agent is too old for mounts", hint=REBUILD)
        fields = [asdict(mount) for mount in mounts]
        answer = await self._session.request("mount", timeout=MOUNT_TIMEOUT, mounts=fields)
        if isinstance(answer, Failure):
            raise answer.error()

    async def unmount(self, *, timeout: float) -> None:
        answer = await self._session.request("unmount", timeout=timeout)
        if isinstance(answer, Failure):
            raise answer.error()

    async def connect_interface(self, interface: Interface) -> None:
        await self._change_network("net", interface=asdict(interface))

    async def forget_interface(self, mac: str) -> None:
        await self._change_network("forget", mac=mac)

    async def _change_network(self, op: str, **fields: object) -> None:
        self._check_network()
        if self.hello.kind == WINDOWS:
            return
        answer = await self._session.request(op, timeout=NETWORK_TIMEOUT, **fields)
        if isinstance(answer, Failure):
            raise answer.error()

    def _check_network(self) -> None:
        """Raises Unavailable for an agent that configures no NICs, where nobody else does."""
        if self.hello.kind != WINDOWS and "net" not in self.hello.capabilities:
            raise Unavailable("the guest's agent is too old for networks", hint=REBUILD)

    async def set_clock(self, time_ns: int) -> None:
        if "clock" not in self.hello.capabilities:
            return  # an agent from before; the next build of the template brings a newer one
        answer = await self._session.request("clock", timeout=CLOCK_TIMEOUT, time_ns=time_ns)
        if isinstance(answer, Failure):
            raise answer.error()

    async def spawn(self, process_id: str, spec: ProcessSpec) -> GuestProcess:
        process = GuestProcess(self._session, process_id, stdin=spec.stdin)
        await process.exec(spec)
        return process

    async def adopt(self, process_id: str, *, stdout: int, stderr: int) -> GuestProcess | None:
        process = GuestProcess(self._session, process_id, stdin=True, stdout=stdout, stderr=stderr)
        return process if await process.adopt(stdout=stdout, stderr=stderr) else None

    @property
    def files(self) -> AgentFiles:
        return AgentFiles(self._session)

    async def flush(self) -> None:
        if "flush" not in self.hello.capabilities:
            raise Unavailable(
                "the guest's agent is too old to write its disk out while programs run",
                hint=f"stop the container first, or {REBUILD}",
            )
        answer = await self._session.request("flush", timeout=FLUSH_TIMEOUT)
        if isinstance(answer, Failure):
            raise answer.error()

    async def processes(self) -> list[ProcessInfo]:
        return await self._observe("processes", parse_processes)

    async def stats(self) -> Usage:
        return await self._observe("stats", parse_usage)

    async def _observe(self, op: str, parse: Callable[[Mapping[str, Any]], T]) -> T:
        """Ask what the guest's programs do; an answer that is none costs this request only."""
        if op not in self.hello.capabilities:
            raise Unavailable(f"the guest's agent is too old to tell its {op}", hint=REBUILD)
        answer = await self._session.request(op, timeout=OBSERVE_TIMEOUT)
        if isinstance(answer, Failure):
            raise answer.error()
        try:
            return parse(answer)
        except Malformed as error:
            raise Unavailable(
                f"the guest's agent told nonsense of its {op}: {error}", hint="Start the container again."
            ) from error

    async def shutdown(self, *, timeout: float) -> None:
        answer = await self._session.request("shutdown", timeout=timeout)
        if isinstance(answer, Failure):
            raise answer.error()

    def rest(self, value: bool) -> None:
        self._session.resting = value

    async def close(self) -> None:
        await self._session.close()


class AgentGuests:
    """Implements :class:`linwin.engine.interfaces.Guests`."""

    def opening(self, session: str) -> bytes:
        return _opening(session)

    async def connect(self, machine: Machine, *, timeout: float) -> AgentGuest:
        hello = asyncio.create_task(_open_for_good(machine.agent_socket), name="agent hello")
        race: set[asyncio.Future[Any]] = {hello, machine.exited}
        try:
            await asyncio.wait(race, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            if hello.done():
                return AgentGuest(hello.result())
        finally:
            hello.cancel()
            await asyncio.gather(hello, return_exceptions=True)
        if machine.exited.done():
            sentence = "the machine ended before its agent said hello"
        else:
            sentence = f"agent did not say hello within {timeout:g} s"
        tail = await machine.console_tail()
        raise Unavailable(f"{sentence}; last console lines: {' | '.join(tail) or '(none)'}")


async def _open_for_good(path: Path) -> Session:
    """A session that the agent has answered a request in.

    An agent may notice late that the host before hung up, and end the session
    that was opened since. It says so, and the session is opened once more.
    """
    for _ in range(REOPENED):
        session = await open_session(path)
        try:
            await session.request("ping", timeout=None)
            return session
        except Unavailable:
            await session.close()
        except BaseException:
            await session.close()
            raise
    return await open_session(path)


async def open_session(path: Path) -> Session:
    """Connect to the agent's socket and exchange hellos, however long it takes.

    Raises Unavailable when nobody listens, or the agent speaks another version.
    """
    try:
        connection = sockets.connect(path)
    except OSError as error:
        raise Unavailable(f"cannot connect to the guest's agent: {error.strerror}") from error
    reader, writer = await asyncio.open_unix_connection(sock=connection)
    try:
        return await _say_hello(reader, writer)
    except BaseException as error:
        writer.transport.abort()
        if isinstance(error, Malformed):
            raise Unavailable(f"the guest's agent broke the protocol: {error}", hint=REBUILD) from error
        if isinstance(error, OSError):
            raise Unavailable(f"the connection to the guest broke: {error.strerror}") from error
        raise


async def _say_hello(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Session:
    """Send a hello and drop everything until it comes back."""
    session = secrets.token_hex(16)
    opening = _opening(session)
    writer.write(opening)
    decoder = FrameDecoder()
    while data := await _read(reader):
        found = decoder.feed(data)
        for index, frame in enumerate(found):
            answer = _hello(frame)
            if answer is None:
                continue
            if answer.session == session:
                _check(answer)
                return Session(reader, writer, decoder, answer, found[index + 1 :])
            if not answer.session:
                await writer.drain()
                writer.write(opening)  # the agent has just started and may have missed the first
    # A closed connection: the machine is ending, and its own end says more than this could.
    never: asyncio.Future[Session] = asyncio.get_running_loop().create_future()
    return await never


def _opening(session: str) -> bytes:
    """What a host says first."""
    hello = json.dumps({"session": session, "version": VERSION}).encode()
    return frames.RESYNC + frames.encode(FrameType.HELLO, 0, hello)


async def _read(reader: asyncio.StreamReader) -> bytes:
    """The next bytes; none when the connection ended, in order or by a QEMU that died."""
    try:
        return await reader.read(READ_SIZE)
    except ConnectionError:
        return b""


def _hello(found: Frame | Torn) -> Hello | None:
    if isinstance(found, Frame) and found.type is FrameType.HELLO:
        return parse_hello(found.payload)
    return None


def _check(hello: Hello) -> None:
    if hello.version != VERSION:
        raise Unavailable(
            f"the guest's agent speaks protocol version {hello.version}, linwin speaks {VERSION}",
            hint=REBUILD,
        )
