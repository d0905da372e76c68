"""A real guest that waits, taken by a container, and left behind by a killed daemon."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.vm.conftest import NANOSERVER, Linwin, daemon

PATIENCE = 120


@pytest.fixture
def pooled(shared_daemon: Linwin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Linwin]:
    """A daemon that keeps one guest ready."""
    settings = tmp_path / "linwin.toml"
    settings.write_text("[pool]\nsize = 1\n")
    monkeypatch.setenv("LINWIN_CONFIG", str(settings))
    with daemon(like=shared_daemon) as linwin:
        yield linwin


def waiting(linwin: Linwin) -> int:
    """The pid of the guest that waits, once there is one; only ``info`` tells when."""
    end = time.monotonic() + PATIENCE
    while "  Pool: 1 of 1 guests ready\n" not in linwin.text("info"):
        assert time.monotonic() < end
    (folder,) = (linwin.root / "pool").iterdir()
    return int((folder / "pid").read_text().split()[0])


def test_a_container_takes_the_guest_that_waits(pooled: Linwin) -> None:
    pid = waiting(pooled)
    pooled("run", "-d", "--name", "pet", NANOSERVER, "cmd", "/c", "echo up & ping -n 100000 127.0.0.1 >nul")
    shown = pooled.inspect("pet")
    assert (shown["State"]["Pid"], shown["Linwin"]["Boot"]) == (pid, "restored")
    folder = pooled.root / "containers" / shown["Id"]
    assert (folder / "c.qcow2").stat().st_uid == Path(f"/proc/{pid}").stat().st_uid
    assert "wine is up since before the guest was frozen" in (folder / "machine/console.log").read_text()
    assert pooled.text("exec", "pet", "cmd", "/c", "echo %COMPUTERNAME%").strip() == shown["Id"][:12].upper()

    # A container that came from the pool outlives its daemon; what still waits does not.
    left = waiting(pooled)
    pooled.kill_daemon()
    assert pooled.text("exec", "pet", "cmd", "/c", "echo alive").strip() == "alive"
    assert pid in pooled.guests()
    assert waiting(pooled) != left
    assert left not in pooled.guests()
    pooled("stop", "-t", "0", "pet")
    pooled("start", "pet")
    assert pooled.inspect("pet")["State"]["Pid"] != pid
    pooled("rm", "-f", "pet")
