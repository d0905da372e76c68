"""Open taps that another program is to have, and processes found by their words."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from linwin.host.pidfd import find_with_words
from linwin.host.taps import let_go, name_of
from linwin.network import taps


@pytest.mark.root
def test_a_tap_that_is_let_go_is_opened_by_another() -> None:
    name = f"lwx{os.getpid() % 100000}"
    taps.create(name, 0)
    try:
        first = taps.open_tap(name)
        assert name_of(first) == name
        with pytest.raises(OSError, match="busy"):
            taps.open_tap(name)
        let_go(first)
        os.close(taps.open_tap(name))
        assert os.path.realpath(f"/proc/self/fd/{first}") == os.devnull
        os.close(first)
    finally:
        subprocess.run(["ip", "link", "delete", name], check=True)


def test_a_process_is_found_by_words_that_follow_each_other() -> None:
    sleeping = [sys.executable, "-c", "input()", "-uuid", f"of {os.getpid()}"]
    with subprocess.Popen(sleeping, stdin=subprocess.PIPE) as process:
        while not Path(f"/proc/{process.pid}/cmdline").read_bytes().startswith(sys.executable.encode()):
            pass
        assert find_with_words("-uuid", f"of {os.getpid()}") == [process.pid]
        assert find_with_words("-uuid", f"of {os.getpid()}0") == []
        process.terminate()
    assert find_with_words("-uuid", f"of {os.getpid()}") == []
