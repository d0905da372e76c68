"""Work whose client goes away."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Iterable
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request

from linwin.api import progress
from linwin.errors import NotFound
from linwin.model.build import BuildOutput
from linwin.model.progress import Progress, Report


@pytest.mark.parametrize(
    ("error", "logged"), [(NotFound("no such thing"), []), (KeyError("x"), ["long work failed"])]
)
async def test_a_failure_that_nobody_waits_for_is_no_lost_exception(
    error: Exception, logged: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    lost: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: lost.append(context))
    failed = asyncio.Event()

    async def work(report: Report) -> Iterable[progress.Line]:
        failed.set()
        raise error

    async def serve_a_client_that_goes_away() -> None:
        request = make_mocked_request("POST", "/images/create")
        serving = asyncio.ensure_future(progress.stream(request, work))
        await failed.wait()
        serving.cancel()  # as aiohttp does then
        await asyncio.wait([serving])
        assert serving.cancelled()

    with caplog.at_level(logging.ERROR):
        await serve_a_client_that_goes_away()
        gc.collect()
    assert lost == []
    assert [record.message for record in caplog.records] == logged


async def test_a_defect_before_the_first_line_is_left_to_who_answers_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def work(report: Report) -> Iterable[progress.Line]:
        raise KeyError("x")

    with pytest.raises(KeyError):
        await progress.stream(make_mocked_request("POST", "/images/create"), work)
    assert caplog.messages == []


async def test_a_defect_after_the_first_line_is_logged_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    counted: list[BaseException] = []
    monkeypatch.setattr(progress, "failed", lambda _, error: counted.append(error))
    defect = KeyError("x")

    async def work(report: Report) -> Iterable[progress.Line]:
        report(Progress("begun"))
        await asyncio.sleep(0.01)
        raise defect

    await progress.stream(make_mocked_request("POST", "/images/create"), work)
    assert caplog.messages == ["long work failed"]
    assert counted == [defect]


async def test_programs_wait_for_a_slow_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LIMIT", 10)
    pending = progress.Pending()
    pending(BuildOutput("one\n", "0", 1, 2))
    await pending.room()
    pending(BuildOutput("two and more\n"))
    waiting = asyncio.create_task(pending.room())
    pending(Progress("Downloading", "abc", 1, 2))
    pending(Progress("Downloading", "abc", 2, 2))
    await asyncio.sleep(0)
    assert not waiting.done()
    assert pending.take() == [
        {"stream": "one\n", "linwin": {"stage": "0", "step": 1, "steps": 2}},
        {"stream": "two and more\n"},
        {"status": "Downloading", "id": "abc", "progressDetail": {"current": 2, "total": 2}},
    ]
    await waiting
    assert pending.take() == []
