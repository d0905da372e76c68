"""The daemon as a process: is one running, start it, stop it. No polling, no guessed waits."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from linwin.client import Client, Unreachable, default_host
from linwin.errors import Forbidden, InvalidRequest, LinwinError, Unavailable
from linwin.paths import Paths

ENTRY_POINT = (sys.executable, "-P", "-m", "linwin.daemon")
"""``-P``: modules come from where linwin is installed, and not from whatever folder its user is in."""
PURGE = "--purge-network"
LOG_LINES = 10
_LOG_BYTES = 16 * 1024


def running_pid(paths: Paths) -> int | None:
    """The daemon of this root, or None.

    The pid file alone proves nothing (it outlives a crash, and pids come
    again): the process it names must hold the daemon's lock. /proc/locks says
    so without taking the lock, which could make a starting daemon fail.
    """
    try:
        pid = int(paths.daemon_pid.read_text())
        inode = paths.daemon_lock.stat().st_ino
        locks = Path("/proc/locks").read_text()
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    except PermissionError as error:
        raise _unusable(paths, error) from error
    return pid if any(_is_lock(line.split(), pid, inode) for line in locks.splitlines()) else None


def _is_lock(words: list[str], pid: int, inode: int) -> bool:
    """``1: FLOCK ADVISORY WRITE 4711 fe:00:2311046 0 EOF``: proc(5), /proc/locks. A waiter's has ``->``."""
    return words[1:2] == ["FLOCK"] and words[4] == str(pid) and words[5].rpartition(":")[2] == str(inode)


def start_daemon() -> None:
    """Start the daemon of this root unless one answers, and return when it answers.

    Safe to call from several processes at once: one starts it, the others wait.
    Raises Unavailable with the daemon's own words and the end of its log.
    """
    if not (host := default_host()).startswith("unix://"):
        raise InvalidRequest(f"no daemon can be started at {host}", hint="set LINWIN_HOST to unix:///PATH")
    paths = Paths.from_environment()
    with _start_lock(paths):
        if not _answers(paths):
            if (pid := running_pid(paths)) is not None:
                raise Unavailable(
                    f"the daemon of {paths.root} (pid {pid}) does not answer at unix://{paths.socket}",
                    hint="it may be starting, stopping, or listening elsewhere: see LINWIN_HOST and "
                    f"{paths.daemon_log}",
                )
            _launch(paths)


@contextmanager
def _start_lock(paths: Paths) -> Iterator[None]:
    """Hold the right to start a daemon of this root: a lock on the root folder itself."""
    try:
        if not paths.root.exists():
            paths.root.mkdir(parents=True, exist_ok=True)
            # Whatever our umask: machines run as users of their own, pass through it, and list nothing.
            paths.root.chmod(0o711)
        descriptor = os.open(paths.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _unusable(paths, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _unusable(paths: Paths, error: OSError) -> LinwinError:
    kind = Forbidden if isinstance(error, PermissionError) else Unavailable
    return kind(
        f"cannot use {paths.root}: {error.strerror}",
        hint="run as root, or set LINWIN_ROOT and LINWIN_HOST to places of your own",
    )


def _answers(paths: Paths) -> bool:
    try:
        Client(f"unix://{paths.socket}").ping()
    except Unreachable:
        return False
    return True


def _launch(paths: Paths) -> None:
    """Spawn the daemon in a session of its own and wait for the line that it writes when it is ready."""
    import subprocess

    try:
        log = os.open(paths.daemon_log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
    except OSError as error:
        raise _unusable(paths, error) from error
    before = os.fstat(log).st_size
    reader, writer = os.pipe()
    environment = {
        **os.environ,
        "LINWIN_ROOT": str(paths.root),
        "LINWIN_HOST": f"unix://{paths.socket}",
        "LINWIN_READY_FD": str(writer),
    }
    with open(reader, encoding="utf-8", errors="replace") as ready:
        try:
            subprocess.Popen(
                [*_reaper(), *ENTRY_POINT],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                pass_fds=(writer,),
                start_new_session=True,
                cwd="/",
                umask=0o022,
            ).returncode = 0  # it is meant to outlive us: no warning that nobody waited for it
        except OSError as error:
            raise Unavailable(f"cannot start the daemon: {error}") from error
        finally:
            os.close(writer)
            os.close(log)
        line = ready.readline()
        # What is not ready is about to end: the pipe's end says that its log is complete.
        problem = "" if line == "ready\n" else (line + ready.read()).strip() or "it ended before it was ready"
    if problem:
        message, _, hint = problem.removeprefix("error: ").partition("\n")
        tail = _log_tail(paths.daemon_log, before)
        raise Unavailable(f"the daemon did not start: {message}", hint="\n".join(filter(None, [hint, tail])))


def _reaper() -> list[str]:
    """tini, where there is one: what the daemon leaves behind is reaped even where process 1 does not."""
    import shutil

    return [tini, "-s", "--"] if (tini := shutil.which("tini")) else []


def _log_tail(log: Path, start: int) -> str:
    """The last lines that this start wrote."""
    with open(log, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(start, size - _LOG_BYTES))
        lines = file.read(_LOG_BYTES).decode("utf-8", "replace").splitlines()[-LOG_LINES:]
    return "\n".join([f"its log, {log}, ends:" if lines else f"its log, {log}, is empty", *lines])


def purge_network(paths: Paths) -> None:
    """Have the daemon's own program remove what the networks of a root have left on the host.

    Raises Unavailable in that program's words, as while a daemon runs.
    """
    import subprocess

    environment = {**os.environ, "LINWIN_ROOT": str(paths.root), "LINWIN_HOST": f"unix://{paths.socket}"}
    done = subprocess.run([*ENTRY_POINT, PURGE], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        told = done.stderr.rpartition("\nlinwin: " if "\nlinwin: " in done.stderr else "linwin: ")[2]
        message, _, hint = told.strip().partition("\n")
        raise Unavailable(f"the networks were not removed: {message}", hint=hint or None)


def stop_daemon(paths: Paths) -> int | None:
    """Ask the daemon to stop, wait until it has ended; returns its pid, or None when none ran."""
    pid = running_pid(paths)
    if pid is None:
        return None
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    try:
        # Asked again with the pidfd at hand: now the pid cannot come to mean another process.
        if running_pid(paths) != pid:
            return None
        signal.pidfd_send_signal(descriptor, signal.SIGTERM)
        select.select([descriptor], [], [])
    except ProcessLookupError:
        return pid
    except PermissionError as error:
        raise Forbidden(
            f"this user may not stop the daemon (pid {pid})", hint="run as the user who started it"
        ) from error
    finally:
        os.close(descriptor)
    return pid
