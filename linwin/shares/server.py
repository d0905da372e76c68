"""The process of the file server: smbd in a mount namespace of its own.

What is shared is bind-mounted there and nowhere else. So the host sees no mounts of ours, and
all of them go with the server, however it ends. One of them goes when the folder or file that it
is on is removed, on the host.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from linwin.errors import Unavailable
from linwin.host.files import tail, write_atomically
from linwin.host.pidfd import ProcessIdentity, WatchedProcess, command_line, find_working_in, spawn
from linwin.host.process import run
from linwin.host.programs import find_program, last_words
from linwin.shares.configuration import CONFIGURATION, GROUP, LOG, PASSWD, READ_ONLY, READ_WRITE

_START_TIMEOUT = 30.0
_END_TIMEOUT = 10.0
_PROGRAM_TIMEOUT = 30.0
_LONGEST_SOCKET = "lock/msg.sock/4194304"
_SOCKET_BYTES = 107
_PID = "pid"
_OUTPUT = "output"
_READY = b"READY=1"

_WRAPPER = "libnss_wrapper.so"
_LIBRARIES = ("/usr/lib", "/usr/lib64", "/usr/local/lib")

# A user who is root writes beside what is shared no more than any other. What is shared already is
# there before the first guest that comes back: it would be shown an empty folder for good.
_SERVE = """
for at in "$1" "$2"; do mount --bind --options ro -- "$at" "$at" || exit; done
shift 2
while [ "$1" != -- ]; do mount --rbind -- "$1" "$2"; shift 2; done
shift
exec "$@"
"""
_BIND = 'while [ $# -gt 0 ]; do mount --rbind -- "$1" "$2" || exit; shift 2; done'


def wrapper() -> Path:
    """The library by which the server knows its users from files of ours. Raises Unavailable."""
    for folder in _LIBRARIES:
        for found in (Path(folder) / _WRAPPER, *sorted(Path(folder).glob(f"*/{_WRAPPER}"))):
            if found.exists():
                return found
    raise Unavailable(
        f"the library {_WRAPPER} is not installed", hint="install it with: apt-get install libnss-wrapper"
    )


def has_room(folder: Path) -> bool:
    """Whether the names of its sockets in ``folder`` are short enough (unix(7))."""
    return len(os.fsencode(folder / _LONGEST_SOCKET)) <= _SOCKET_BYTES


class FileServer:
    """The smbd whose files are in ``folder``, at an ``address`` and port of this host."""

    def __init__(self, folder: Path, address: tuple[str, int]) -> None:
        self._folder = folder
        self._address = address
        self._configuration = folder / CONFIGURATION
        self._process: WatchedProcess | None = None

    @property
    def environment(self) -> dict[str, str]:
        """What Samba's programs need to know our users by. Raises Unavailable."""
        return {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "LC_ALL": "C.UTF-8",
            "LD_PRELOAD": str(wrapper()),
            "NSS_WRAPPER_PASSWD": str(self._folder / PASSWD),
            "NSS_WRAPPER_GROUP": str(self._folder / GROUP),
        }

    def find(self) -> bool:
        """Whether it runs, an earlier daemon's being taken over."""
        if self._process is not None and self._process.has_ended():
            self._forget()
        if self._process is None:
            self._process = self._left()
        return self._process is not None

    def _left(self) -> WatchedProcess | None:
        """What an earlier daemon left running, which may have died before it wrote that down."""
        identity = ProcessIdentity.parse(tail(self._folder / _PID, 200).decode(errors="replace"))
        if identity is not None and (process := WatchedProcess.open(identity)):
            return process
        for pid in find_working_in(self._folder):
            identity = ProcessIdentity.of(pid)
            if identity is not None and str(self._configuration) in command_line(pid) and _leads(pid):
                return WatchedProcess.open(identity)
        return None

    async def ended(self) -> None:
        """Wait for the end of one that runs, and forget it."""
        if (process := self._process) is None:
            return
        await process.wait()
        if self._process is process:
            self._forget()

    async def start(self, pairs: Sequence[tuple[Path, Path]]) -> None:
        """Start it, seeing each first path at the second one; it answers when this returns.

        What cannot be mounted is left out. Raises Unavailable, OSError.
        """
        _check_free(self._address)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as ready:
            ready.bind("")  # a name that nobody else has (unix(7), autobind)
            process = await asyncio.to_thread(self._spawn, "@" + ready.getsockname()[1:].decode(), pairs)
            self._process = process
            answers = await _says_ready(ready, process) and await self._answers(process)
        if not answers:
            await self.stop()
            output, log = (tail(self._folder / name, 4096) for name in (_OUTPUT, LOG))
            said = last_words(output) or last_words(log)
            raise Unavailable(
                f"the file server did not start{': ' + said if said else ''}",
                hint=f"Read {self._folder / LOG}.",
            )
        if identity := ProcessIdentity.of(process.pid):
            write_atomically(self._folder / _PID, f"{identity}\n".encode(), durable=False)

    async def _answers(self, process: WatchedProcess) -> bool:
        """Wait until it has come to answer messages, which it does once it listens."""
        argv = ["smbcontrol", "--configfile", str(self._configuration)]
        argv += ["--timeout", f"{_PROGRAM_TIMEOUT:.0f}", str(process.pid), "ping"]
        done = await run(argv, env=self.environment, timeout=2 * _PROGRAM_TIMEOUT)
        return done.returncode == 0 and not process.has_ended()

    def _spawn(self, notify: str, pairs: Sequence[tuple[Path, Path]]) -> WatchedProcess:
        """Start the process, which says at the socket ``notify`` when it is ready."""
        configured = ("--configfile", str(self._configuration))
        places = (str(self._folder / READ_WRITE), str(self._folder / READ_ONLY))
        argv = [
            *(find_program("unshare"), "--mount", "--propagation", "slave", "--"),
            *("sh", "-c", _SERVE, "sh", *places, *(str(path) for pair in pairs for path in pair), "--"),
            *(find_program("smbd"), *configured, "--foreground", "--no-process-group"),
        ]
        environment = {**self.environment, "NOTIFY_SOCKET": notify}
        with open(self._folder / _OUTPUT, "wb") as output:
            return spawn(argv, output=output, cwd=self._folder, env=environment)

    async def stop(self) -> None:
        """End it and all that it serves. Idempotent."""
        if not self.find() or (process := self._process) is None:
            return
        processes = [process, *_others(process.pid)]
        try:
            for one in processes:
                one.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(_END_TIMEOUT):
                    await _all_ended(processes)
            except TimeoutError:
                for one in processes:
                    one.send_signal(signal.SIGKILL)
                await _all_ended(processes)
        finally:
            for one in processes[1:]:
                one.close()
        self._forget()

    def leave(self) -> None:
        """Let go of it; it goes on."""
        if self._process is not None:
            self._process.close()
            self._process = None

    async def mount(self, pairs: Sequence[tuple[Path, Path]]) -> None:
        """Have it see each first path at the second one. Raises Unavailable."""
        namespace = self._namespace()
        try:
            argv = ["nsenter", f"--mount=/proc/self/fd/{namespace}", "--", "sh", "-c", _BIND, "sh"]
            paths = [path for pair in pairs for path in pair]
            await run([*argv, *paths], pass_fds=[namespace], timeout=_PROGRAM_TIMEOUT, check=True)
        finally:
            os.close(namespace)

    def _namespace(self) -> int:
        """A descriptor of its own namespace, for certain not the host's. Raises Unavailable."""
        if self.find() and (process := self._process) is not None:
            with suppress(FileNotFoundError, ProcessLookupError, PermissionError):
                found = os.open(f"/proc/{process.pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
                host = os.stat("/proc/self/ns/mnt")
                # Asked last: as long as it has not ended, its pid is no other's.
                if not os.path.samestat(os.fstat(found), host) and not process.has_ended():
                    return found
                os.close(found)
        raise Unavailable("the file server does not run")

    async def add_user(self, name: str, password: str) -> None:
        """Let a user of the server's passwd log in. Raises Unavailable."""
        argv = ["smbpasswd", "-c", str(self._configuration), "-s", "-a", name]
        typed = f"{password}\n{password}\n".encode()
        await run(argv, input=typed, env=self.environment, timeout=_PROGRAM_TIMEOUT, check=True)

    def _forget(self) -> None:
        self.leave()
        (self._folder / _PID).unlink(missing_ok=True)


def _leads(pid: int) -> bool:
    """Whether a process is the one that was started, and none of those that it started itself."""
    with suppress(ProcessLookupError):
        return os.getsid(pid) == pid
    return False


def _others(leader: int) -> list[WatchedProcess]:
    """The processes of a session besides its leader: one for each guest, and some for itself."""
    found = []
    for pid in (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()):
        with suppress(ProcessLookupError):
            if pid != leader and os.getsid(pid) == leader:
                found.append(WatchedProcess(pid))
    return found


async def _all_ended(processes: Sequence[WatchedProcess]) -> None:
    for one in processes:
        await one.wait()


def _check_free(address: tuple[str, int]) -> None:
    """Raise Unavailable where somebody else listens, whom guests would be led to."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            raise Unavailable(
                f"the file server did not start: {address[0]}:{address[1]}: {error.strerror}",
                hint="Another program holds its address: ss -ltnp tells which.",
            ) from error


async def _says_ready(ready: socket.socket, process: WatchedProcess) -> bool:
    """Wait for the server's word (sd_notify(3)), which comes just before it listens.

    False where it ends or says none.
    """
    loop = asyncio.get_running_loop()

    async def heard() -> None:
        while _READY not in await loop.sock_recv(ready, 4096):
            pass

    tasks = [asyncio.create_task(heard()), asyncio.create_task(process.wait())]
    try:
        done, _ = await asyncio.wait(tasks, timeout=_START_TIMEOUT, return_when=asyncio.FIRST_COMPLETED)
        return tasks[0] in done and tasks[1] not in done
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
