"""What became of a guest that broke off: its machine's end says more than the broken connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from linwin.engine.interfaces import Guest, Machine
from linwin.errors import LinwinError, Unavailable

MACHINE_END_TIMEOUT = 2.0
"""Seconds between a guest's silence and its machine's end for the one to explain the other."""


class RestoredGuestLost(Unavailable):
    """The guest is lost, and had been restored: another may be booted in its place."""


@asynccontextmanager
async def explained(machine: Machine, guest: Guest, *, restored: bool = False) -> AsyncIterator[None]:
    """Have what fails since the guest is lost say what became of it; what fails otherwise says so itself.

    ``restored`` has it raised as RestoredGuestLost.
    """
    try:
        yield
    except Unavailable as error:
        if guest.lost is None and await _end(machine) is None:
            raise
        kind = RestoredGuestLost if restored else Unavailable
        raise kind(await sentence(machine, error), hint="Start the container again.") from error


async def sentence(machine: Machine, error: LinwinError) -> str:
    """How the machine ended, or ``error`` where it runs on, and the last lines of its console."""
    said = await _end(machine) or error.message
    return f"{said}; last console lines: {' | '.join(await machine.console_tail()) or '(none)'}"


async def _end(machine: Machine) -> str | None:
    """How it ended, if it does so in time."""
    try:
        async with asyncio.timeout(MACHINE_END_TIMEOUT):
            how = (await asyncio.shield(machine.exited)).how
    except TimeoutError:
        return None
    return f"the container's machine ended {how}".rstrip()
