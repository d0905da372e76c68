"""What verifications meet in tests: computers for fake guests, and what they tell and leave."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from linwin.engine.verify.boxes import LABEL
from tests.scenario.docker_py import off_loop
from tests.scenario.fakes.computer import FakeComputer
from tests.scenario.fakes.guest import AGENT
from tests.scenario.harness import Daemon

NOT_OF_WINDOWS = {"adopt", "clock", "forget", "get", "mount", "net", "put", "stat", "unmount", "warm"}
"""What the agent of the fakes can and that of Windows cannot: docs/windows-agent.md."""
Lines = list[dict[str, Any]]


def wine_computer(daemon: Daemon, folder: Path) -> FakeComputer:
    """What the guests of the template wine are, from their boot on; none of them has a checkpoint yet."""
    fakes = daemon.fakes
    computer = fakes.guests.computer = FakeComputer(fakes)
    fakes.machines.warm = False
    fakes.templates.program = folder / "agent"
    fakes.templates.program.write_text(f"a program that says {AGENT.version}")
    return computer


def windows_computer(daemon: Daemon, folder: Path) -> FakeComputer:
    """The same for a template of Windows, which is called wine all the same."""
    wine_computer(daemon, folder)
    fakes = daemon.fakes
    (wine,) = fakes.templates.installed.values()
    base = dataclasses.replace(wine.provides[0], os_version="10.0.14393.2363")
    template = dataclasses.replace(wine, kind="windows", serves_any_build=False, provides=(base,))
    fakes.templates.installed = {"wine": template}
    computer = fakes.guests.computer = FakeComputer(fakes, kind="windows")
    abilities = AGENT.capabilities - NOT_OF_WINDOWS
    fakes.guests.agent = dataclasses.replace(AGENT, kind="windows", capabilities=abilities)
    return computer


async def verified(daemon: Daemon, *only: str) -> tuple[Lines, dict[str, Any]]:
    """The results of a verification, and what surrounds them."""
    lines = await off_loop(
        lambda: list(daemon.client.lines("POST", "/linwin/templates/wine/verify", only=only))
    )
    checks = [line["check"] for line in lines if line.get("check", {}).get("Outcome")]
    return checks, lines[-1]["aux"]


def titles(checks: Lines, outcome: str) -> set[str]:
    return {f"{check['Group']}.{check['Name']}" for check in checks if check["Outcome"] == outcome}


async def left(daemon: Daemon) -> list[object]:
    """All that a verification might have left."""
    engine = daemon.engine
    return [
        *await engine.list(),
        *daemon.paths.containers.iterdir(),
        *daemon.paths.scratch.iterdir(),
        *daemon.fakes.networks.applied.attachments,
        *daemon.fakes.machines.running.values(),
        *daemon.fakes.machines.kept,
        *[one.name for one in await engine.networks.list() if one.labels],
        *await engine.volumes.list(),
        *[image for image in await engine.images() if LABEL in image.config.labels],
    ]
