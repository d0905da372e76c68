"""What a start takes, cold and restored, beside a bare script that does the same to the same QEMU.

Ours is the ``linwin run`` that a user types, from the start of the command. The
peer is the command line of the QEMU that linwin started, started again by the
script in bare.py, which says to the guest just what must be said. Both guests do
the same work.

    scripts/bench start [--runs 3]
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bare import BareGuest
from figures import Figure, in_turn

from linwin.machine import checkpoints
from linwin.machine.frozen import Frozen

IMAGE = "microsoft/nanoserver"
PRINT = ("cmd", "/c", "echo", "first")
LEAVE = ("cmd", "/c", "exit")
STAY = ("cmd", "/c", "ping -n 100000 127.0.0.1 >nul")
ROOT = Path(os.environ.get("LINWIN_ROOT", "/var/lib/linwin"))
AT_ONCE = 10


@dataclass(frozen=True)
class Learnt:
    """A QEMU's command line, and the disk behind its C:."""

    argv: list[str]
    backing: str


def linwin(*words: str) -> str:
    return subprocess.run(["linwin", *words], check=True, stdout=subprocess.PIPE, text=True).stdout


def learn(*options: str) -> Learnt:
    """From a container that runs."""
    identity = linwin("run", "-d", *options, IMAGE, *STAY).strip()
    try:
        shown = json.loads(linwin("inspect", identity))[0]
        assert shown["Linwin"]["Boot"] == ("cold" if options else "restored"), shown["Linwin"]
        argv = Path(f"/proc/{shown['State']['Pid']}/cmdline").read_text().split("\0")[:-1]
        overlay = ROOT / "containers" / identity / "c.qcow2"
        info = json.loads(subprocess.check_output(["qemu-img", "info", "-U", "--output=json", str(overlay)]))
        return Learnt(argv, str(Path(info["full-backing-filename"]).resolve()))
    finally:
        linwin("rm", "-f", identity)


def timed(work: Callable[[], object]) -> float:
    start = time.monotonic()
    work()
    return time.monotonic() - start


@contextmanager
def overlay(backing: str) -> Iterator[tuple[Path, Path]]:
    """A folder, and in it a disk of its own."""
    with tempfile.TemporaryDirectory() as name:
        disk = Path(name) / "c.qcow2"
        create = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", backing, "-F", "qcow2", str(disk)]
        subprocess.run(create, check=True)
        yield Path(name), disk


# Ours.


def first_byte() -> float:
    start = time.monotonic()
    with subprocess.Popen(["linwin", "run", "--rm", "--cold", IMAGE, *PRINT], stdout=subprocess.PIPE) as run:
        assert run.stdout is not None
        assert run.stdout.read(1) == b"f"
        elapsed = time.monotonic() - start
        run.stdout.read()
    assert run.returncode == 0
    return elapsed


def whole(*options: str) -> float:
    """A program that only exits, from the start of the command to its end."""
    return timed(lambda: linwin("run", "--rm", *options, IMAGE, *LEAVE))


def to_spawn(*options: str) -> float:
    """From the start of the command to the moment at which the entrypoint has been spawned."""
    start = time.monotonic()
    identity = linwin("run", "-d", *options, IMAGE, *STAY).strip()
    elapsed = time.monotonic() - start
    linwin("rm", "-f", identity)
    return elapsed


def at_once() -> float:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return timed(lambda: list(pool.map(lambda _: whole(), range(AT_ONCE))))


def in_sequence() -> float:
    return timed(lambda: [whole() for _ in range(AT_ONCE)])


# The peer.


def bare_first_byte(cold: Learnt) -> float:
    start = time.monotonic()
    with overlay(cold.backing) as (folder, disk):
        guest = BareGuest(cold.argv, disk, folder)
        guest.start(PRINT)
        assert guest.first_byte() == b"f"
        elapsed = time.monotonic() - start
        guest.end()
    return elapsed


def bare_restored(warm: Learnt, frozen: Frozen) -> float:
    """The overlay, QEMU, the restore, one exec, and the end of QEMU."""
    start = time.monotonic()
    state = frozen.open_state()
    argv = [re.sub(r"/proc/self/fd/\d+", f"/proc/self/fd/{frozen.ram}", word) for word in warm.argv]
    with overlay(warm.backing) as (folder, disk):
        guest = BareGuest(argv, disk, folder, files=(frozen.ram, state))
        guest.restore(state)
        guest.start(LEAVE)
        assert guest.wait() == 0
        guest.end()
    os.close(state)
    return time.monotonic() - start


def thawed() -> Frozen:
    """The checkpoint that was used last, in memory."""
    (newest, *_) = checkpoints.CheckpointStore(ROOT / "checkpoints", 0).kept()
    return checkpoints.load(ROOT / "checkpoints" / newest.key)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    runs = parser.parse_args().runs
    whole()  # the daemon runs, and its checkpoint is in memory
    cold, warm = learn("--cold"), learn()
    frozen = thawed()
    measured: list[tuple[str, float, Callable[[], float], Callable[[], float]]] = [
        ("cold start to first byte", 1.15, first_byte, lambda: bare_first_byte(cold)),
        ("restored run --rm, against bare QMP", 1.3, whole, lambda: bare_restored(warm, frozen)),
        ("restored run --rm, against cold", 1 / 5, whole, lambda: whole("--cold")),
        ("restored start to spawn, against cold", 1 / 20, to_spawn, lambda: to_spawn("--cold")),
        (f"{AT_ONCE} restored at once, against in sequence", 0.9, at_once, in_sequence),
    ]
    met = True
    for name, target, ours, peer in measured:
        mine, other = in_turn(runs, ours, peer)
        figure = Figure(name, round(mine, 3), round(other, 3), "s", {"max": target}, f"median of {runs}")
        print(figure.line(), flush=True)
        met = met and figure.met
    frozen.close()
    sys.exit(not met)


if __name__ == "__main__":
    main()
