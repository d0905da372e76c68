"""What surrounds every request: its errors' answers, and that they are counted."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from aiohttp.test_utils import TestClient, TestServer

from linwin.api.server import make_app
from linwin.engine.engine import Engine
from linwin.engine.metrics import Metrics
from linwin.paths import Paths


async def test_a_defect_in_naming_the_container_is_answered_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def inspect(reference: str) -> None:
        raise RuntimeError("broken")

    metrics = Metrics()
    engine = SimpleNamespace(metrics=metrics, paths=Paths(tmp_path, tmp_path / "socket"), inspect=inspect)
    async with TestClient(TestServer(make_app(cast("Engine", engine)))) as client:
        answer = await client.get("/containers/pet/json")
        assert answer.status == 500
        assert (await answer.json())["message"].startswith("internal error")
    route = "/containers/{id}/json"
    assert metrics.requests.labels("GET", route, "500")._value.get() == 1
    assert metrics.errors.labels(f"GET {route}", "Internal")._value.get() == 1
    assert caplog.messages == ["GET /containers/pet/json failed"]
