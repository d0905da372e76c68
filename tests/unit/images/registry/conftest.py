"""Fixtures of the registry tests: real registries, bad ones, and what a pull told."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from linwin.images import ImageStore
from linwin.images.registry.limits import Limits
from linwin.model.progress import Progress
from linwin.paths import Paths
from tests.registry_server import allow_plain_http, registry
from tests.unit.images.registry.bad_registry import BadRegistry, bad_registry

__all__ = ["registry"]


def skopeos() -> list[int]:
    """The skopeo processes that run as our children, orphans of others included."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended as we look
            name, _, rest = (folder / "stat").read_text().rpartition(")")
            state, parent, *_ = rest.split()
            if name.endswith("(skopeo") and int(parent) == os.getpid() and state != "Z":
                found.append(int(folder.name))
    return found


@pytest.fixture
async def bad(paths: Paths) -> AsyncIterator[BadRegistry]:
    """A registry that misbehaves as told, reached by plain http."""
    async with bad_registry() as server:
        allow_plain_http(paths, server.host)
        yield server


@pytest.fixture
def impatient(paths: Paths) -> ImageStore:
    """A store that waits no longer than a second for a registry."""
    return ImageStore(paths, limits=Limits(idle=1))


@pytest.fixture(autouse=True)
def no_transfer_left(paths: Paths) -> Iterator[None]:
    """Whatever happened, no skopeo runs afterwards and nothing unfinished lies about."""
    yield
    assert skopeos() == []
    assert not paths.scratch.exists() or list(paths.scratch.iterdir()) == []


class Told:
    """Receives progress, and keeps it."""

    def __init__(self) -> None:
        self.progress: list[Progress] = []
        self.on: dict[str, Callable[[], object]] = {}

    def __call__(self, progress: Progress) -> None:
        self.progress.append(progress)
        if progress.status in self.on:
            self.on[progress.status]()

    def of(self, digest: str) -> list[str]:
        """What was said of one layer, repetitions left out."""
        said = [item.status for item in self.progress if item.id == digest[7:19]]
        return [status for number, status in enumerate(said) if number == 0 or said[number - 1] != status]


@pytest.fixture
def told() -> Told:
    return Told()
