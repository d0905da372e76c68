"""Checks of files: copied in and out, mounted from the host, kept in volumes."""

from __future__ import annotations

import asyncio
import os
import time

from linwin.engine.verify.bench import Bench
from linwin.engine.verify.box import Box
from linwin.engine.verify.boxes import SHARED, SHARED_READ_ONLY, VOLUME
from linwin.engine.verify.check import Failed, Unchecked, expect

COPIED, SIZE, MODIFIED = "verify-copied.bin", 300_007, 1_577_934_245
"""A file's name, its bytes, and when it was changed, in seconds since 1970: 2 January 2020, 03:04:05 UTC."""
SECOND = 10**9


async def copies(bench: Bench, box: Box) -> str:
    content, path = os.urandom(SIZE), f"C:\\{COPIED}"
    await box.put("C:\\", COPIED, content, MODIFIED)
    seen = await box.cmd(f"for %f in ({path}) do @echo %~zf")
    expect(str(SIZE), seen.text, "the size of the file as the guest sees it")
    if await box.get(path) != content:
        raise Failed(f"the {SIZE} bytes that were copied in", "others")
    expect(MODIFIED, await box.modified(path) // SECOND, "when the file was changed, in seconds since 1970")
    return f"{SIZE} bytes there and back, with their time"


async def copies_of_the_guest(bench: Bench, box: Box) -> str:
    """What a program has just written, no byte of which need be on the disk yet."""
    await box.cmd("echo of the guest> C:\\verify-guest.txt")
    expect(b"of the guest\r\n", await box.get("C:\\verify-guest.txt"), "a file that a program wrote")
    return "a file that a program wrote was copied out"


async def from_the_host(bench: Bench) -> str:
    box = await _mounted(bench)
    await asyncio.to_thread((bench.place.shared / "host.txt").write_text, "of the host")
    ran = await box.cmd(f"type {SHARED}\\host.txt")
    expect("of the host", ran.text, "a file of the host in the guest")
    return f"read at {SHARED}"


async def to_the_host(bench: Bench) -> str:
    box, file = await _mounted(bench), bench.place.shared / "guest.txt"
    began = time.monotonic()
    ran = await box.cmd(f"echo of the guest> {SHARED}\\guest.txt")
    expect(0, ran.code, "the exit code of a program that writes a file")
    if not await asyncio.to_thread(file.exists):
        raise Failed("a file on the host that the guest wrote", "none")
    expect("of the guest", (await asyncio.to_thread(file.read_text)).strip(), "the file on the host")
    return f"on the host after {time.monotonic() - began:.1f} s"


async def read_only(bench: Bench) -> str:
    box, file = await _mounted(bench), bench.place.shared / "forbidden.txt"
    ran = await box.cmd(f"echo no> {SHARED_READ_ONLY}\\forbidden.txt")
    if await asyncio.to_thread(file.exists):
        raise Failed("a mount that cannot be written", f"one that was (exit code {ran.code})")
    return f"a program that wrote there ended with {ran.code}"


async def volume(bench: Bench) -> str:
    box = await _mounted(bench)
    ran = await box.cmd(f"echo in the volume> {VOLUME}\\kept.txt")
    expect(0, ran.code, "the exit code of a program that writes a file")
    await bench.discard("mounted")
    other = await _mounted(bench)
    ran = await other.cmd(f"type {VOLUME}\\kept.txt")
    expect("in the volume", ran.text, "what another container finds in the volume")
    return "another container found what the first had written"


async def _mounted(bench: Bench) -> Box:
    if why := await bench.engine.rooms.shares.unavailable():
        raise Unchecked(f"this host shares no files: {why}")
    return await bench.box("mounted")
