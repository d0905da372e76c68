"""Processes that are held by a pidfd: awaited and signalled without meeting a reused pid.

A pid alone says little: it may have been given to another process since it was
written down. A process is therefore known by its :class:`ProcessIdentity`, and
once opened it is only ever touched through its pidfd, which stays its own.
Children and strangers are awaited alike, so a machine that an earlier daemon
started is watched as one of our own is.
"""

from __future__ import annotations

import asyncio
import os
import select
import signal
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """Which process a pid meant when it was written down.

    ``start_time`` is in clock ticks since the boot called ``boot_id`` (proc(5),
    field 22 of ``/proc/PID/stat``).
    """

    pid: int
    start_time: int
    boot_id: str

    @classmethod
    def of(cls, pid: int) -> ProcessIdentity | None:
        """Identify a process that runs now; None when there is none or it is a zombie."""
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            return None
        # The second field is the program's name in parentheses and may contain anything.
        fields = stat.rpartition(")")[2].split()
        state, start_time = fields[0], int(fields[19])
        return None if state in "ZX" else cls(pid, start_time, _BOOT_ID.read_text().strip())

    def __str__(self) -> str:
        return f"{self.pid} {self.start_time} {self.boot_id}"

    @classmethod
    def parse(cls, text: str) -> ProcessIdentity | None:
        """Read back what ``str()`` wrote; None for anything else."""
        match text.split():
            case [pid, start_time, boot_id] if pid.isdecimal() and start_time.isdecimal():
                return cls(int(pid), int(start_time), boot_id)
        return None


class WatchedProcess:
    """A process held by its pidfd, ours or not."""

    def __init__(self, pid: int) -> None:
        """Hold the process that has this pid now; raises ProcessLookupError when there is none."""
        self.pid = pid
        self._fd = os.pidfd_open(pid)

    @classmethod
    def open(cls, identity: ProcessIdentity) -> Self | None:
        """Hold exactly the identified process; None when it has ended."""
        try:
            process = cls(identity.pid)
        except ProcessLookupError:
            return None
        # Only now that the pid cannot be reused behind our back does looking at it prove anything.
        if ProcessIdentity.of(identity.pid) == identity:
            return process
        process.close()
        return None

    async def wait(self) -> int | None:
        """Wait for the process to end, and reap it when it is our child.

        Returns the exit code, negative for a signal, or None for another's
        child. Where several wait, one of them gets the code and the others None.
        """
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        fd = os.dup(self._fd)  # the loop has one reader for each, and ours may be closed meanwhile
        loop.add_reader(fd, ended.set)
        try:
            await ended.wait()
            return self._reap(fd)
        finally:
            loop.remove_reader(fd)
            os.close(fd)

    def has_ended(self) -> bool:
        """Whether the process has ended; it is reaped when it is our child."""
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        ended = bool(poll.poll(0))
        if ended:
            self._reap(self._fd)
        return ended

    def _reap(self, fd: int) -> int | None:
        try:
            result = os.waitid(os.P_PIDFD, fd, os.WEXITED | os.WNOHANG)
        except ChildProcessError:
            return None
        if result is None:
            return None
        return result.si_status if result.si_code == os.CLD_EXITED else -result.si_status

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens when the process has ended."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._fd, number)

    def close(self) -> None:
        """Let go of the process, which goes on. Idempotent."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def spawn(
    argv: Sequence[str],
    *,
    output: IO[bytes],
    cwd: Path,
    pass_fds: Iterable[int] = (),
    uid: int = 0,
    groups: Sequence[int] = (),
    env: Mapping[str, str] | None = None,
) -> WatchedProcess:
    """Start a program that outlives us: in a session of its own, reading nothing.

    Both its outputs go to ``output``. With a ``uid`` other than 0 it runs as
    that user and the group of the same number, with the supplementary
    ``groups`` and no others. ``env`` replaces the environment. Raises OSError when it cannot be started.
    """
    process = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        cwd=cwd,
        pass_fds=tuple(pass_fds),
        start_new_session=True,
        user=uid or None,
        group=uid or None,
        extra_groups=list(groups) if uid else None,
        env=env,
        umask=0o077,
    )
    # From here on the pidfd waits for it and reaps it. A Popen that believed it
    # still had a child would warn about it and wait for it when collected.
    process.returncode = 0
    return WatchedProcess(process.pid)


def find_working_in(folder: Path) -> list[int]:
    """The pids of all processes whose current folder is ``folder``."""
    wanted = os.path.realpath(folder)
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        # Kernel threads, zombies and processes that end while we look have none to read.
        with suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            if os.readlink(entry / "cwd") == wanted:
                found.append(int(entry.name))
    return found


def find_with_words(*words: str, uid: int) -> list[int]:
    """The pids of a user's processes whose command line holds ``words``, one after the other.

    Of one user's only: anybody may start a program with any words.
    """
    wanted = b"\0" + b"".join(os.fsencode(word) + b"\0" for word in words)
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        with suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            if wanted in (entry / "cmdline").read_bytes() and _effective_user(entry) == uid:
                found.append(int(entry.name))
    return found


def _effective_user(process: Path) -> int:
    """By its status: the owner of its folder is root where the kernel lets nobody look into it."""
    lines = (process / "status").read_text(errors="replace").splitlines()
    return next(int(line.split()[2]) for line in lines if line.startswith("Uid:"))


def command_line(pid: int) -> list[str]:
    """The arguments of a process, its program first; empty when it has ended."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [os.fsdecode(word) for word in words.split(b"\0")[:-1]]
