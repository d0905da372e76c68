"""What a worker brings along when it starts: there is one for each layer, and for each copy."""

from __future__ import annotations

import subprocess
import sys

import pytest

import linwin.disks


@pytest.mark.parametrize("worker", ["worker", "files_worker", "verify"])
def test_a_worker_starts_without_what_only_the_daemon_needs(worker: str) -> None:
    script = f"import sys, linwin.disks.{worker}; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    modules = set(done.stdout.split())
    assert f"linwin.disks.{worker}" in modules
    assert not modules & {"asyncio", "ssl", "linwin.disks.chains"}


def test_the_room_is_all_that_is_offered() -> None:
    assert linwin.disks.__all__ == ["ChainDisks"]
    assert linwin.disks.ChainDisks.__module__ == "linwin.disks.chains"
    with pytest.raises(AttributeError, match=r"module 'linwin\.disks' has no attribute 'Nothing'"):
        _ = linwin.disks.Nothing  # type: ignore[attr-defined]
