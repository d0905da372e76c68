"""Checks of how containers end, and of what they are afterwards."""

from __future__ import annotations

import math
import time

from linwin.engine.exec import TAKEN_ALONG as KILLED
from linwin.engine.verify.bench import Bench
from linwin.engine.verify.box import Box
from linwin.engine.verify.check import Failed, expect

GRACE = 10.0
"""Seconds, with KVM, in which a program ends that was asked to."""
KEPT_FILE, KEPT = "C:\\verify-kept.txt", "kept"


async def stops(bench: Bench, box: Box) -> str:
    """cmd hears no event of its console, which ends it; one that had to be killed says so in its code."""
    written = await box.cmd(f"echo {KEPT}> {KEPT_FILE}")
    expect(0, written.code, "the exit code of a program that writes a file")
    began = time.monotonic()
    await bench.engine.stop(box.id, timeout=math.ceil(GRACE * bench.patience))
    took = time.monotonic() - began
    container = await box.container()
    expect("exited", container.status, "the state of the container")
    expect("", container.error, "what is wrong with its end")
    if container.exit_code == KILLED:
        raise Failed(
            f"a program that ends within {GRACE * bench.patience:.0f} s", "one that had to be killed"
        )
    return f"after {took:.1f} s, exit code {container.exit_code}"


async def keeps_files(bench: Bench) -> str:
    """Read from the disk, by the host."""
    box = bench.made("mortal")
    expect("exited", (await box.container()).status, "the state of the container")
    expect(KEPT, (await box.get(KEPT_FILE)).decode(errors="replace").strip(), f"what is in {KEPT_FILE}")
    return "a file of the guest's was read from its disk at rest"


async def starts_again(bench: Bench) -> str:
    box = bench.made("mortal")
    await bench.up(box)
    expect(KEPT, (await box.cmd(f"type {KEPT_FILE}")).text, f"what is in {KEPT_FILE}")
    return f"the guest came up {(await box.container()).boot}, with its files"


async def is_killed(bench: Bench, box: Box) -> str:
    began = time.monotonic()
    await bench.engine.kill(box.id, "KILL")
    container = await box.container()
    expect("exited", container.status, "the state of the container")
    expect(KILLED, container.exit_code, "the exit code of what was killed")
    return f"after {time.monotonic() - began:.1f} s"


async def heals(bench: Bench, box: Box) -> str:
    """The machine is ended under the guest, as a crash would; the container is to be always restarted."""
    events = bench.engine.events.follow(since=None, until=None)
    try:
        await box.running().machine.quit()
        async for event in events:
            if event.id == box.id and event.action == "start":
                break
    finally:
        events.close()
    expect(0, (await box.cmd("exit 0")).code, "the exit code of a program")
    await bench.engine.stop(box.id, timeout=0)
    return f"restarted {(await box.container()).restart_count} time"


async def pauses(bench: Bench, box: Box) -> str:
    """What is asked of a halted guest is refused, and nothing is asked of it here: docker's rule."""
    await bench.engine.pause(box.id)
    expect("paused", (await box.container()).status, "the state of the container")
    await bench.engine.unpause(box.id)
    expect(0, (await box.cmd("exit 0")).code, "the exit code of a program afterwards")
    return "programs run afterwards"
