"""The daemon, a network's dnsmasq and the file server, killed in any order under containers that go on."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from pathlib import Path

from tests.vm.conftest import NANOSERVER, Linwin, kill, until

STAY = ("cmd", "/c", "ping -n 100000 127.0.0.1 >nul")


def dnsmasq(linwin: Linwin) -> int:
    (file,) = (linwin.root / "networks").glob("*/pid")
    return int(file.read_text())


def smbd(linwin: Linwin) -> int:
    return int((linwin.root / "shares/pid").read_text().split()[0])


def serves(find: Callable[[Linwin], int], linwin: Linwin, dead: int) -> bool:
    try:
        return find(linwin) != dead and os.path.exists(f"/proc/{find(linwin)}")
    except (FileNotFoundError, ValueError, IndexError):
        return False  # it is being started


def test_all_heals_whatever_is_killed_in_any_order(own_daemon: Linwin, tmp_path: Path) -> None:
    linwin = own_daemon
    tmp_path.joinpath("a.txt").write_text("there\n")
    mounted = ("-v", f"{tmp_path}:C:\\src")
    linwin("run", "-d", "--name", "web", NANOSERVER, *STAY)
    linwin("run", "-d", "--name", "asks", *mounted, NANOSERVER, *STAY)

    def looks() -> None:
        """A new look-up, and a new file each way."""
        asked = linwin.text("exec", "asks", "cmd", "/c", "type C:\\src\\a.txt & ping -n 1 web")
        assert asked.startswith("there\n")
        assert "Received = 1" in asked

    def restarted(find: Callable[[Linwin], int]) -> None:
        dead = find(linwin)
        kill(dead)
        if not daemon_lives:
            return
        until(lambda: serves(find, linwin, dead), f"{find.__name__} is not started again")

    looks()
    for order in itertools.permutations(("daemon", "dnsmasq", "smbd")):
        daemon_lives = True
        for victim in order:
            if victim == "daemon":
                linwin.kill_daemon()
                daemon_lives = False
            else:
                restarted({"dnsmasq": dnsmasq, "smbd": smbd}[victim])
        linwin("daemon", "start")
        looks()
    linwin("rm", "-f", "web", "asks")
