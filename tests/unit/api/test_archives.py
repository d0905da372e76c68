"""Blocking work on files whose request may end at any time."""

from __future__ import annotations

import asyncio
import threading

import pytest

from linwin.api.archives import in_thread


async def test_a_cancelled_caller_waits_for_its_thread() -> None:
    begun, go_on, ended = asyncio.Event(), threading.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def work() -> None:
        loop.call_soon_threadsafe(begun.set)
        go_on.wait(10)
        ended.set()

    task = asyncio.create_task(in_thread(work))
    await begun.wait()
    task.cancel()
    for _ in range(5):
        await asyncio.sleep(0)
    assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


async def test_results_and_errors_come_back() -> None:
    assert await in_thread(int, "12", base=3) == 5
    with pytest.raises(ValueError, match="invalid literal"):
        await in_thread(int, "x")
