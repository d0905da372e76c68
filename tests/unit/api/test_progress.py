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
from linwin.model.progress import Report


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
