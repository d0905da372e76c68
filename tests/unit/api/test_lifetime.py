from __future__ import annotations

import asyncio
import logging

import pytest

from linwin.api.lifetime import Lifetime
from linwin.errors import Conflict


async def test_a_change_outlives_its_client() -> None:
    lifetime, go, done = Lifetime(), asyncio.Event(), []

    async def change() -> None:
        await go.wait()
        done.append(True)

    client = asyncio.create_task(lifetime.complete(change()))
    await asyncio.sleep(0)
    client.cancel()
    with pytest.raises(asyncio.CancelledError):
        await client
    go.set()
    await lifetime.drain(10)
    assert done


async def test_results_and_errors_reach_the_client() -> None:
    async def change(error: bool) -> int:
        if error:
            raise Conflict("taken")
        return 7

    lifetime = Lifetime()
    assert await lifetime.complete(change(False)) == 7
    with pytest.raises(Conflict):
        await lifetime.complete(change(True))


async def test_failures_without_a_client_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    lifetime, go = Lifetime(), asyncio.Event()

    async def change(error: Exception) -> None:
        await go.wait()
        raise error

    clients = [
        asyncio.create_task(lifetime.complete(change(e))) for e in (Conflict("taken"), ValueError("bug"))
    ]
    await asyncio.sleep(0)
    for client in clients:
        client.cancel()
    await asyncio.wait(clients)
    go.set()
    with caplog.at_level(logging.WARNING):
        await lifetime.drain(10)
        await asyncio.sleep(0)
    assert caplog.messages == ["after the client hung up: taken", "after the client hung up"]


async def test_changes_that_take_too_long_are_cancelled() -> None:
    lifetime = Lifetime()
    client = asyncio.create_task(lifetime.complete(asyncio.Event().wait()))
    await asyncio.sleep(0)
    await lifetime.drain(0.01)
    with pytest.raises(asyncio.CancelledError):
        await client
