"""Checks of how guests come up: booted, frozen, restored; and of the agent in them."""

from __future__ import annotations

import asyncio
import time
from typing import Literal

from linwin.engine.verify.bench import Bench
from linwin.engine.verify.box import Box
from linwin.engine.verify.check import Failed, Unchecked, expect
from linwin.model.machine import Checkpoint

RIGHT_CLOCK = 2.0
"""Seconds that a guest's clock may be off."""
CLOCK_FILE, WRITTEN = "C:\\verify-clock.txt", "clock-written"
LOOKS = 10
"""How often a guest may write the file, until it does so fast enough."""
SECOND = 10**9
NEEDED = frozenset({"exec", "prepare", "processes", "signal", "stats", "flush", "shutdown"})
"""What the agent of any guest is asked for; see protocol/README.md."""
NEEDED_OF_WINE = frozenset({"clock", "forget", "get", "mount", "net", "put", "stat", "warm"})
SYSTEMS: dict[str, Literal["linux", "windows"]] = {"wine": "linux", "windows": "windows"}
"""What the agent is built for in the guests of a kind."""


async def boots(bench: Bench) -> str:
    box = await bench.box("cold")
    expect("cold", (await box.container()).boot, "the way its guest came up")
    return f"a program ran after {bench.boots[bench.called('cold')]:.1f} s"


async def agent(bench: Bench, box: Box) -> str:
    said = box.running().guest.agent
    expect(bench.template.kind, said.kind, "the kind of guest that the agent is in")
    needed = NEEDED | NEEDED_OF_WINE if bench.is_wine else NEEDED
    if missing := sorted(needed - said.capabilities):
        raise Failed(f"an agent that can {', '.join(sorted(needed))}", f"one that lacks {', '.join(missing)}")
    program = await bench.engine.rooms.templates.agent(SYSTEMS[bench.template.kind])
    ours = await asyncio.to_thread(program.read_bytes)
    if not said.version or said.version.encode() not in ours:
        raise Failed(
            "the agent that this linwin comes with",
            f"another one, {said.version or 'of no version'}: build the template anew",
        )
    return f"version {said.version}, protocol {said.protocol}"


async def makes_checkpoint(bench: Bench) -> str:
    _check_wanted(bench)
    for old in await bench.own_checkpoints():
        await bench.engine.checkpoints.remove(old.key)
    checkpoints, size = bench.engine.checkpoints, bench.place.memory
    made = await checkpoints.make(bench.template, bench.engine.unreported, memory=size)
    kept = [checkpoint.key for checkpoint in await bench.own_checkpoints()]
    if made is None or made.key not in kept:
        raise Failed("a checkpoint among those that are kept", "none")
    return _described(made)


def _check_wanted(bench: Bench) -> None:
    """Raise Unchecked where no guest comes from a checkpoint."""
    if not bench.template.boots_before_c:
        raise Unchecked(f"guests of the kind {bench.template.kind} boot from C:, and have no checkpoint")
    if not bench.engine.checkpoints.wanted(bench.template):
        raise Unchecked("this daemon is told to make no checkpoints")


def _described(checkpoint: Checkpoint) -> str:
    return f"{checkpoint.memory} MiB of memory, {checkpoint.size / (1 << 20):.0f} MiB on disk"


async def restores(bench: Bench) -> str:
    _check_wanted(bench)
    box = await bench.box("box")
    expect("restored", (await box.container()).boot, "the way its guest came up")
    return f"a program ran after {bench.boots['box']:.1f} s"


async def restored_clock(bench: Bench) -> str:
    _check_wanted(bench)
    return await clock(bench, await bench.box("box"))


async def clock(bench: Bench, box: Box) -> str:
    """A file's time of change is the guest's clock in UTC, whatever its time zone and its language.

    A program that runs already writes it, since to start one takes an emulated guest seconds.
    """
    async with box.dialogue("cmd", "/q") as cmd:
        for _ in range(LOOKS):
            before = time.time_ns()
            await cmd.type(f"echo now> {CLOCK_FILE}& echo {WRITTEN}\r\n".encode())
            await cmd.until(WRITTEN.encode())
            after, told = time.time_ns(), await box.modified(CLOCK_FILE)
            off = max(before - told, told - after, 0) / SECOND
            if off > RIGHT_CLOCK:
                raise Failed(
                    f"a clock that is right within {RIGHT_CLOCK:g} s", f"one that is off by {off:.1f} s"
                )
            most = max(after - told, told - before) / SECOND
            if most <= RIGHT_CLOCK:
                await cmd.type(b"exit\r\n")
                return f"off by at most {most:.2f} s"
    raise Unchecked(
        f"the guest writes a file in {(after - before) / SECOND:.0f} s, which is too slow to tell"
    )
