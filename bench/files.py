"""Small files written to a mount, beside a plain Samba, and what mounts and a network add to a start.

A Windows program writes them, a hundred to a folder, each opened, written and closed.
Ours is a container's bind mount. The peer is such a guest on a bridge made by hand, where
smbd listens with Samba's defaults, and nothing is between. Both folders are in memory.

The starts are the ``linwin run -d`` that a user types, until it returns.

    scripts/bench files [--runs 3] [--files 5000] [--starts 9]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import secrets
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from daemon import ROOT
from figures import Figure, in_turn
from hand_made import HOST, bridge, built_program, container, hand_made, line_of
from start import to_spawn

from linwin.guest.process import GuestProcess
from linwin.model.mount import GuestMount
from linwin.paths import Paths

MEMORY = "/dev/shm"
MOUNTED = "C:\\mounted"
SHARE, USER = "files", "root"
WRITE_TARGET = 1.5
START_TARGET = 300.0
MILLI = 1000
MOUNT_PHASE = re.compile(r" started in .*, mount (\d+)")

SMB_CONF = """\
[global]
    server min protocol = SMB3_11
    interfaces = {address}/24
    bind interfaces only = yes
    private dir = {folder}/private
    lock directory = {folder}/lock
    pid directory = {folder}/lock
    state directory = {folder}/state
    cache directory = {folder}/cache
    ncalrpc dir = {folder}/ncalrpc
    log file = {folder}/log
[{share}]
    path = {path}
    read only = no
"""


@contextmanager
def samba(namespace: str, path: Path) -> Iterator[GuestMount]:
    """A file server in a network namespace that shares this folder; how a guest mounts it."""
    with tempfile.TemporaryDirectory() as name:
        folder, password = Path(name), secrets.token_hex(16)
        for part in ("private", "lock", "state", "cache", "ncalrpc"):
            (folder / part).mkdir(mode=0o700)
        conf = folder / "smb.conf"
        conf.write_text(SMB_CONF.format(address=HOST, folder=folder, share=SHARE, path=path))
        adding = ["smbpasswd", "-c", str(conf), "-s", "-a", USER]
        subprocess.run(
            adding, input=f"{password}\n{password}\n", text=True, check=True, stdout=subprocess.DEVNULL
        )
        with listening(namespace, conf, folder):
            yield GuestMount(MOUNTED, server=HOST, share=SHARE, user=USER, password=password)


@contextmanager
def listening(namespace: str, conf: Path, folder: Path) -> Iterator[None]:
    """The server's processes, once they have said (sd_notify(3)) that they listen."""
    words = ["smbd", "--configfile", str(conf), "--foreground", "--no-process-group"]
    ended, held = os.pipe()
    with open(ended, "rb") as end, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
        ready.bind(str(folder / "ready"))
        ready.settimeout(30)
        server = subprocess.Popen(
            ["ip", "netns", "exec", namespace, *words],
            env={**os.environ, "NOTIFY_SOCKET": str(folder / "ready")},
            start_new_session=True,
            pass_fds=[held],
        )
        os.close(held)
        try:
            while b"READY=1" not in ready.recv(4096):
                pass
            yield
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait()
            end.read()  # to the end of its last process, which may still write to the folder


class Writing:
    """Each call writes so many files to a new folder, and takes the seconds; what came is looked at."""

    def __init__(self, folder: Path, files: int, write: Callable[[str], str]) -> None:
        self.folder = folder
        self.files = files
        self.write = write
        self.number = 0

    def __call__(self) -> float:
        self.number += 1
        name = f"run{self.number}"
        start = time.monotonic()
        said = self.write(f"{name} {self.files}")
        elapsed = time.monotonic() - start
        assert said == "done", said
        sizes = [path.stat().st_size for path in (self.folder / name).glob("*/*")]
        assert len(sizes) == self.files
        assert all(1 << 10 <= size <= 4 << 10 for size in sizes)
        shutil.rmtree(self.folder / name)
        return elapsed


def written(ours: Writing, peer: Writing, runs: int) -> Figure:
    mine, other = in_turn(runs, ours, peer)
    name = "small files written to a mount, beside plain Samba"
    note = f"median of {runs}, {ours.files} files; peer: such a guest and smbd on a bridge without rules"
    return Figure(name, round(mine, 2), round(other, 2), "s", {"max": WRITE_TARGET}, note)


async def write_both(ours: Path, theirs: Path, runs: int, files: int) -> Figure:
    words = ("write", MOUNTED)
    with (
        built_program() as program,
        container(program, "-v", f"{ours}:{MOUNTED}", words=words) as mine,
        bridge() as network,
        samba(network.name, theirs) as mount,
    ):
        async with hand_made(network, program) as other:
            await other.guest.mount([mount])
            process, loop = await other.spawn(*words), asyncio.get_running_loop()

            def ask(line: str) -> str:
                return asyncio.run_coroutine_threadsafe(told(process, line), loop).result()

            def ask_mine(line: str) -> str:
                mine.tell(line)
                return mine.line()

            sides = Writing(ours, files, ask_mine), Writing(theirs, files, ask)
            return await asyncio.to_thread(written, *sides, runs)


async def told(process: GuestProcess, line: str) -> str:
    await process.write(f"{line}\n".encode())
    return await line_of(process)


# What they cost a start.


def attaching(mounted: Sequence[Path], starts: int) -> Figure:
    """Of the difference, a start's phases in the daemon's log say what the guest takes to mount."""
    mounts = [word for path in mounted for word in ("-v", f"{path}:C:\\{path.name}")]
    log = Paths(ROOT, ROOT / "none.sock").daemon_log
    to_spawn(*mounts)
    before = log.stat().st_size
    mine, other = in_turn(starts, lambda: to_spawn(*mounts), lambda: to_spawn("--network", "none"))
    with log.open() as lines:
        lines.seek(before)
        mounting = [int(found[1]) for line in lines if (found := MOUNT_PHASE.search(line))]
    note = f"medians of {starts}: {mine:.3f} s and {other:.3f} s with neither; "
    note += f"of it {statistics.median(mounting):.0f} ms until the guest has mounted them"
    added = round((mine - other) * MILLI)
    name = "what a network and two mounts add to a start"
    return Figure(name, added, None, "ms", {"max": START_TARGET}, note)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--starts", type=int, default=9)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        folders = [Path(name) / part for part in ("one", "two")]
        for folder in folders:
            folder.mkdir()
        figures = [attaching(folders, options.starts)]
        print(figures[0].line(), flush=True)
        figures.append(asyncio.run(write_both(folders[0], folders[1], options.runs, options.files)))
        print(figures[1].line())
    sys.exit(not all(figure.met for figure in figures))


if __name__ == "__main__":
    main()
