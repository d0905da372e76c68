"""Streams are whole, apart, and hold each other up in nothing."""

from __future__ import annotations

import asyncio
import hashlib
import os

import pytest

from linwin.guest import AgentGuest

from .streams import collect, until
from .targets import Target

MEGABYTE = 1 << 20
PERIOD = bytes(range(251))


async def test_streams_arrive_apart(target: Target, guest: AgentGuest) -> None:
    assert await collect(await guest.spawn("p", target.spec("print", "out"))) == (b"out\n", b"")
    assert await collect(await guest.spawn("q", target.spec("complain", "err"))) == (b"", b"err\n")


async def test_stdin_and_its_end(target: Target, guest: AgentGuest) -> None:
    process = await guest.spawn("p", target.spec("cat", stdin=True))
    await process.write(b"b\x00\r\n")
    output = process.output()
    assert await until(output, b"\r\n") == b"b\x00\r\n"  # while stdin is open
    await process.write(b"\x1aa")
    await process.close_stdin()
    assert await until(output, b"a") == b"\x1aa"
    assert await process.wait() == 0


async def test_without_stdin_a_program_reads_an_end(target: Target, guest: AgentGuest) -> None:
    process = await guest.spawn("p", target.spec("cat"))
    await process.write(b"to nobody")
    assert await collect(process) == (b"", b"")
    assert await process.wait() == 0


async def test_twenty_megabytes_are_byte_exact(target: Target, guest: AgentGuest) -> None:
    size = 20 * MEGABYTE + 7
    stdout, stderr = await collect(await guest.spawn("p", target.spec("bytes", str(size))))
    assert hashlib.sha256(stdout).digest() == hashlib.sha256((PERIOD * (size // 251 + 1))[:size]).digest()
    assert stderr == b""


async def test_a_large_stdin_is_byte_exact(target: Target, guest: AgentGuest) -> None:
    data = os.urandom(5_000_003)
    process = await guest.spawn("p", target.spec("hash", stdin=True))
    await process.write(data)
    await process.close_stdin()
    stdout, _ = await collect(process)
    assert stdout.decode().strip() == hashlib.sha256(data).hexdigest()


async def test_a_flood_does_not_hold_up_requests(target: Target, guest: AgentGuest) -> None:
    flood = await guest.spawn("flood", target.spec("flood"))
    await anext(flood.output())  # and acknowledge nothing: its window closes
    assert await collect(await guest.spawn("p", target.spec("print", "quick"))) == (b"quick\n", b"")
    await flood.signal("KILL")
    assert await flood.wait() == 137


async def test_output_waits_for_its_acknowledgement(target: Target, guest: AgentGuest) -> None:
    size = 3 * MEGABYTE
    process = await guest.spawn("p", target.spec("bytes", str(size)))
    output = process.output()
    seen, held = 0, []
    while seen < MEGABYTE:  # the window; more comes only for acknowledgements
        held.append(await anext(output))
        seen += len(held[-1].data)
    assert seen == MEGABYTE
    waiting = asyncio.ensure_future(anext(output))
    assert (await asyncio.wait({waiting}, timeout=0.3))[0] == set()
    await process.acknowledge(held[-1])
    chunk = await waiting
    while chunk.end < size:
        await process.acknowledge(chunk)
        chunk = await anext(output)
    assert await process.wait() == 0


async def test_stdin_of_a_program_that_does_not_read_waits(target: Target, guest: AgentGuest) -> None:
    process = await guest.spawn("p", target.spec("sleep", stdin=True))
    writing = asyncio.create_task(process.write(bytes(10_000_000)))
    done, _ = await asyncio.wait({writing}, timeout=0.3)
    assert not done
    await process.signal("KILL")
    await writing  # no-op after the process has ended
    await process.write(b"more")
    await process.close_stdin()
    assert await process.wait() == 137


async def test_stdin_that_a_program_left_unread_is_dropped(target: Target, guest: AgentGuest) -> None:
    process = await guest.spawn("p", target.spec("exit", "3", stdin=True))
    await process.write(bytes(1_000_000))
    await process.close_stdin()
    assert await process.wait() == 3


@pytest.mark.parametrize("rounds", [3])
async def test_the_last_words_of_a_program_are_not_lost(
    target: Target, guest: AgentGuest, rounds: int
) -> None:
    for number in range(rounds):
        size = 200_000 + number  # more than a pipe holds, and no whole number of reads
        process = await guest.spawn(f"p{number}", target.spec("bytes", str(size)))
        assert await process.wait() == 0
        stdout, _ = await collect(process)
        assert len(stdout) == size
