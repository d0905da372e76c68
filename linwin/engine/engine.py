"""The engine: docker's verbs over the rooms. The API calls nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from linwin.model.container import Container, ContainerSpec, LogQuery, LogRecord, WaitCondition
from linwin.model.guest import StreamName
from linwin.model.image import Image, Removed
from linwin.model.progress import Report
from linwin.model.template import Template


@dataclass(frozen=True, slots=True)
class Created:
    """Answer to create."""

    id: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Exit:
    """How a container ended: docker's exit code and, when it never ran, why."""

    code: int
    error: str = ""


class Attachment:
    """A client's end of a container's streams."""

    def __aiter__(self) -> AsyncIterator[tuple[StreamName, bytes]]:
        """Output from now on (or from the log's start, where asked), until the container's output ends."""
        raise NotImplementedError

    async def write(self, data: bytes) -> None: ...
    async def close_stdin(self) -> None: ...
    async def detach(self) -> None:
        """Stop receiving. Idempotent; the container runs on."""


@dataclass(frozen=True, slots=True)
class HostInfo:
    """What ``info`` and ``version`` tell about this host."""

    accelerator: str
    qemu_version: str
    templates: tuple[Template, ...]
    containers_running: int
    containers_stopped: int
    images: int


class Engine:
    async def create(self, spec: ContainerSpec, name: str | None) -> Created: ...
    async def start(self, reference: str) -> bool:
        """False when it was running already (docker's 304)."""

    async def attach(
        self, reference: str, *, stdin: bool, stdout: bool, stderr: bool, logs: bool, stream: bool
    ) -> Attachment: ...
    async def wait(self, reference: str, condition: WaitCondition) -> asyncio.Future[Exit]:
        """Registers at once; the future resolves when the condition comes true."""

    async def stop(self, reference: str, *, timeout: int | None, signal: str = "") -> bool:
        """False when it was not running (docker's 304). ``timeout`` in seconds, -1 forever, None the container's own."""

    async def kill(self, reference: str, signal: str) -> None: ...
    async def remove(self, reference: str, *, force: bool = False, volumes: bool = False) -> None: ...
    async def logs(self, reference: str, query: LogQuery) -> AsyncIterator[LogRecord]: ...
    async def inspect(self, reference: str) -> Container: ...
    async def list(self) -> list[Container]:
        """All, newest first. Filters are the API's business (:mod:`linwin.api.filters`)."""

    async def load(self, archive: Path, report: Report) -> list[Image]: ...
    async def images(self) -> list[Image]: ...
    async def image(self, reference: str) -> Image: ...
    async def tag(self, source: str, target: str) -> None: ...
    async def remove_image(self, reference: str, *, force: bool) -> list[Removed]: ...
    async def templates(self) -> list[Template]: ...
    async def template(self, name: str) -> Template: ...
    async def build_template(self, name: str, report: Report) -> Template: ...
    async def remove_template(self, name: str) -> None:
        """Conflict while a container uses it."""

    async def info(self) -> HostInfo: ...
