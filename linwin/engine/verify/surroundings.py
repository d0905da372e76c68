"""What a reader of the results needs beside them: this host, the template, its guests' last words."""

from __future__ import annotations

import asyncio
import os
import platform
import time
from pathlib import Path
from typing import TYPE_CHECKING

from linwin import __version__
from linwin.engine.verify.bench import Bench
from linwin.engine.verify.check import Failed, Unchecked
from linwin.errors import LinwinError
from linwin.model.template import Template

if TYPE_CHECKING:
    from linwin.engine.engine import Engine

OS_RELEASE, CPUINFO = Path("/etc/os-release"), Path("/proc/cpuinfo")
AGENT_LOG = "C:\\ProgramData\\linwin\\agent.log"
"""Of a Windows guest: docs/windows-agent.md. In a wine guest the agent writes to the console."""
MOST_LOG = 16 << 10
ASKING_LIMIT = 120.0
"""Seconds with KVM in which a Windows guest answers all of it."""
MIB = 1 << 20
WINDOWS_COMMANDS = (("Drivers", ("driverquery",)), ("Driver packages", ("pnputil", "-e")))
"""What else a Windows guest is asked, for its answer alone."""


async def of_the_host(engine: Engine, template: Template) -> tuple[tuple[str, str], ...]:
    """What runs what, with no name of anybody's."""
    host = await engine.info()
    pages = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    provides = ", ".join(f"{base.references[0]} ({base.os_version})" for base in template.provides)
    return (
        ("Time", time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())),
        ("linwin", f"{__version__}, Python {platform.python_version()}"),
        ("Host", f"{await asyncio.to_thread(_distribution)}, Linux {platform.release()}"),
        ("CPU", f"{os.cpu_count()} of {await asyncio.to_thread(_cpu)}"),
        ("Memory", f"{pages // MIB} MiB"),
        ("Hypervisor", f"{host.hypervisor}, {host.accelerator}"),
        ("Networks", await engine.rooms.network.unavailable() or "yes"),
        ("Files of the host", await engine.rooms.shares.unavailable() or "yes"),
        ("Template", f"{template.name}, of the kind {template.kind}: {template.summary}"),
        ("Template's digest", template.digest),
        ("Template's size", f"{template.size // MIB} MiB, made {template.created}"),
        ("Template provides", provides or "nothing"),
        (
            "Other templates",
            ", ".join(one.name for one in host.templates if one.name != template.name) or "none",
        ),
    )


def _distribution() -> str:
    return _value(OS_RELEASE, "PRETTY_NAME=").strip('"') or "an unknown distribution"


def _cpu() -> str:
    return _value(CPUINFO, "model name").lstrip("\t: ") or platform.machine()


def _value(file: Path, name: str) -> str:
    """What stands behind a name in a file of the host's; empty where there is none."""
    try:
        lines = file.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.removeprefix(name) for line in lines if line.startswith(name)), "")


async def of_the_guest(bench: Bench) -> list[tuple[str, str]]:
    """What a guest that runs says of itself; of one that does not, nothing."""
    texts = []
    try:
        box = bench.made("box")
        said = box.running().guest.agent
        capabilities = ", ".join(sorted(said.capabilities))
        texts.append(
            ("Agent", f"{said.kind}, version {said.version}, protocol {said.protocol}: {capabilities}")
        )
        if not bench.is_wine:
            async with asyncio.timeout(ASKING_LIMIT * bench.patience):
                for heading, words in WINDOWS_COMMANDS:
                    texts.append((heading, (await box.run(*words)).text))
                log = (await box.cmd(f"type {AGENT_LOG}")).text
                texts.append(("Agent's log", log[-MOST_LOG:]))
    except (LinwinError, Unchecked, Failed, TimeoutError) as error:
        texts.append(("What else was to be asked of a guest", str(error) or "it did not answer in time"))
    return texts


def of_what_was_lost(bench: Bench) -> list[tuple[str, str]]:
    """The last console of a guest that was lost or did not come up."""
    if not bench.why_lost:
        return []
    return [
        ("Guests that were lost", "\n".join(bench.why_lost)),
        ("Console of the last of them", bench.last_sight.console),
    ]
