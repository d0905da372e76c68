"""RUNs at once on a host that has no room for all of their guests."""

from __future__ import annotations

import asyncio

import pytest

from linwin.engine.build.run import RunTurns
from linwin.errors import OutOfMemory

FULL = OutOfMemory("no room for one more guest")


async def test_one_alone_has_nobody_to_wait_for() -> None:
    turns = RunTurns()
    async with turns.one():
        with pytest.raises(OutOfMemory):
            await turns.room(FULL)


async def test_one_waits_for_another_to_end() -> None:
    turns, done = RunTurns(), asyncio.Event()

    async def other() -> None:
        async with turns.one():
            await done.wait()

    async with turns.one():
        working = asyncio.create_task(other())
        await asyncio.sleep(0)
        waiting = asyncio.create_task(turns.room(FULL))
        await asyncio.sleep(0)
        assert not waiting.done()
        done.set()
        await asyncio.wait_for(waiting, 1)
        await working


async def test_two_that_find_no_room_do_not_wait_for_each_other() -> None:
    turns = RunTurns()

    async def run() -> str:
        async with turns.one():
            await asyncio.sleep(0)  # both have begun
            try:
                await turns.room(FULL)
            except OutOfMemory:
                return "gave up"
            return "tries again"

    assert sorted(await asyncio.wait_for(asyncio.gather(run(), run()), 1)) == ["gave up", "tries again"]
