"""Changes that take turns and are finished."""

from __future__ import annotations

import asyncio

import pytest

from linwin.host.turns import Turns


async def test_changes_take_turns_and_answer() -> None:
    turns, seen = Turns(), list[str]()

    async def change(name: str) -> str:
        seen.append(f"{name} begins")
        await asyncio.sleep(0)
        seen.append(f"{name} ends")
        return name

    assert await asyncio.gather(turns.take(change("a")), turns.take(change("b"))) == ["a", "b"]
    assert seen == ["a begins", "a ends", "b begins", "b ends"]


async def test_a_cancelled_caller_leaves_no_half_of_a_change() -> None:
    turns, begun, goes_on, done = Turns(), asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def change() -> None:
        begun.set()
        await goes_on.wait()
        done.set()

    caller = asyncio.create_task(turns.take(change()))
    await begun.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert turns.lock.locked()
    goes_on.set()
    await asyncio.wait_for(done.wait(), 5)


async def test_what_a_change_raises_is_its_caller_s_and_the_next_goes_on() -> None:
    turns = Turns()

    async def fails() -> None:
        raise OSError("no room")

    async def works() -> int:
        return 1

    with pytest.raises(OSError, match="no room"):
        await turns.take(fails())
    assert await turns.take(works()) == 1
