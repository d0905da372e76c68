"""A stand-in for the engine, and the API over it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from aiohttp.test_utils import TestClient, TestServer

from linwin.api.server import make_app
from linwin.engine.engine import Engine
from linwin.engine.metrics import Metrics
from linwin.model.image import Image, Platform, RunConfig
from linwin.paths import Paths

ID = "sha256:" + "ab" * 32


@asynccontextmanager
async def serving(folder: Path, **verbs: Any) -> AsyncIterator[TestClient[Any, Any]]:
    """The API of an engine that has these verbs alone; nothing may be left of an upload."""
    paths = Paths(folder, folder / "socket")
    paths.scratch.mkdir(parents=True, exist_ok=True)
    engine = SimpleNamespace(metrics=Metrics(), paths=paths, **verbs)
    server = TestServer(make_app(cast("Engine", engine)), handler_cancellation=True)
    async with TestClient(server) as client:
        yield client
    assert list(paths.scratch.iterdir()) == []


def image(identity: str = ID, **more: Any) -> Image:
    """An image without layers."""
    return Image(identity, Platform(), RunConfig(), (), 0, (), **more)
