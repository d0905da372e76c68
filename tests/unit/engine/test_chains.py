"""Pruning and the use of chains keep out of each other's way."""

from __future__ import annotations

import asyncio

from linwin.engine.chains import ChainUse


async def test_pruning_waits_for_users_and_keeps_new_ones_out() -> None:
    chains, events = ChainUse(), list[str]()
    first_done, prune_done = asyncio.Event(), asyncio.Event()

    async def use(name: str, until: asyncio.Event | None) -> None:
        async with chains.using():
            events.append(f"{name} uses")
            if until is not None:
                await until.wait()
        events.append(f"{name} done")

    async def prune() -> None:
        async with chains.pruning():
            events.append("prunes")
            await prune_done.wait()
            events.append("pruned")

    first = asyncio.create_task(use("first", first_done))
    await asyncio.sleep(0)
    pruner = asyncio.create_task(prune())
    await asyncio.sleep(0)
    assert events == ["first uses"]
    first_done.set()
    await first
    await asyncio.sleep(0)
    late = asyncio.create_task(use("late", None))
    prune_done.set()
    await asyncio.gather(pruner, late)
    assert events == ["first uses", "first done", "prunes", "pruned", "late uses", "late done"]


async def test_users_do_not_wait_for_each_other() -> None:
    chains = ChainUse()
    async with chains.using(), chains.using():
        pass
    async with chains.pruning():
        pass


async def test_a_cancelled_user_does_not_keep_pruning_out() -> None:
    chains = ChainUse()

    async def use() -> None:
        async with chains.using():
            await asyncio.get_running_loop().create_future()

    user = asyncio.create_task(use())
    await asyncio.sleep(0)
    user.cancel()
    await asyncio.gather(user, return_exceptions=True)
    async with asyncio.timeout(1), chains.pruning():
        pass
