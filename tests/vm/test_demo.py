"""The README's first command, in a root of its own."""

from __future__ import annotations

import re
import subprocess

from tests.vm.conftest import GUEST_TIMEOUT, REPOSITORY, Linwin, root_folder


def test_the_demo_ends_with_the_guests_own_ver() -> None:
    with root_folder() as root:
        linwin = Linwin(root)
        environment = {**linwin.environment, "XDG_STATE_HOME": str(root / "state-home")}
        try:
            done = subprocess.run(
                [REPOSITORY / "scripts/demo"],
                env=environment, capture_output=True, text=True, timeout=GUEST_TIMEOUT + 1800,
            )  # fmt: skip
        finally:
            linwin("daemon", "stop", "--purge-network")
        assert done.returncode == 0, done.stderr
        assert re.fullmatch(r"Microsoft Windows 10\.0\.\d+", done.stdout.strip().splitlines()[-1])
        assert 'microsoft/nanoserver runs on the template "wine" (Wine, not Windows)' in done.stderr
