"""The checks of ``template verify`` that any agent can be asked, against the Windows build: docs/verify.md.

No Windows guest was at hand to make them in. Here their programs are Windows programs, started by the
agent that a Windows guest has; what is between an agent and its user is not here.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import subprocess
from types import SimpleNamespace
from typing import Any

import pytest

from linwin.engine.command import join
from linwin.engine.verify import programs, windows
from linwin.engine.verify.box import Ran
from linwin.engine.verify.check import Check
from linwin.engine.verify.table import CHECKS
from linwin.guest import AgentGuest
from linwin.model.guest import ProcessSpec

from .streams import collect
from .targets import Target
from .wine import wine_loader

BENCH: Any = SimpleNamespace(is_wine=False, template=SimpleNamespace(kind="windows"))
OF_A_GUEST = {"processes"}
"""What a container is asked for, and not its agent alone."""
ASKED = [
    check
    for check in CHECKS
    if (check.group == "programs" and check.name not in OF_A_GUEST and check.run is not programs.user)
]


READS = {"end-of-input", "megabyte"}
"""Checks whose program is findstr, which was a stub in Wine until 8.18."""


def has_findstr(target: Target) -> bool:
    """Whether the target's findstr finds anything; that of this host's Wine may be too old."""
    loader = wine_loader()
    if target.name != "windows" or loader is None:
        return True
    version = subprocess.run([loader, "--version"], capture_output=True, text=True, check=True).stdout
    numbers = re.findall(r"\d+", version)
    return (int(numbers[0]), int(numbers[1])) >= (8, 18)


class AgentBox:
    """What checks need of :class:`linwin.engine.verify.box.Box`, with nothing but an agent."""

    def __init__(self, guest: AgentGuest) -> None:
        self._guest = guest
        self._numbers = itertools.count()

    async def cmd(self, script: str) -> Ran:
        return await self.run("cmd", "/c", script)

    async def run(
        self, *argv: str, stdin: bytes | None = None, env: tuple[str, ...] = (), cwd: str = "", user: str = ""
    ) -> Ran:
        variables = dict(pair.split("=", 1) for pair in env)
        spec = ProcessSpec(argv, join(argv), variables, cwd or "C:\\", user, stdin=stdin is not None)
        process = await self._guest.spawn(f"verify-{next(self._numbers)}", spec)

        async def feed() -> None:
            await process.write(stdin or b"")
            await process.close_stdin()

        feeding = asyncio.create_task(feed())
        out, err = await collect(process)
        await feeding
        return Ran(await process.wait(), out, err)


@pytest.mark.parametrize("check", ASKED, ids=lambda check: check.name)
async def test_a_check_of_programs_passes(target: Target, guest: AgentGuest, check: Check) -> None:
    if not target.windows:
        pytest.skip("a Linux guest's programs are no Windows programs")
    if check.name in READS and not has_findstr(target):
        pytest.skip("findstr of Wine before 8.18 is a stub")
    assert await check.run(BENCH, AgentBox(guest))


async def test_services_are_controlled(
    target: Target, guest: AgentGuest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not target.windows:
        pytest.skip("a Linux guest's programs are no Windows programs")
    monkeypatch.setitem(windows.SERVICE, "windows", windows.SERVICE["wine"])
    assert await windows.service_control(BENCH, AgentBox(guest)) == "PlugPlay was started and stopped"  # type: ignore[arg-type]
