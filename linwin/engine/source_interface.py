"""What builds are made of as the engine sees it: part of :mod:`linwin.engine.interfaces`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

from linwin.model.build import Dockerfile, Fetched, Instruction, Packed, Selected


class Source(Protocol):
    """A build's context, and who reads it. Not for two tasks at once: it waits for the one before."""

    async def dockerfile(self, path: str) -> Dockerfile:
        """Read the Dockerfile at ``path`` in the context.

        Raises NotFound, and InvalidRequest that names line, column and word of what is wrong.
        """

    async def select(self, pattern: str) -> Sequence[Selected]:
        """What a source of COPY names, in the order of names: one thing, or all that a pattern matches.

        Raises InvalidRequest in docker's words for a path that leads out of the context,
        NotFound where nothing matches. What ``.dockerignore`` leaves out is not there.
        """

    async def pack(self, items: Sequence[Packed], output: Path) -> None:
        """Write a tar that :meth:`linwin.engine.interfaces.Files.write` unpacks at the root of C:."""


class Sources(Protocol):
    """Dockerfiles and contexts."""

    def open(self, context: Path) -> AbstractAsyncContextManager[Source]:
        """Use a context that is a tar, plain or compressed. Raises InvalidRequest for what is none."""

    def open_remote(self, address: str) -> AbstractAsyncContextManager[Source]:
        """Use a repository of git (``URL#REF:FOLDER``), or a tar or a Dockerfile behind http(s).

        Raises Unavailable for what cannot be reached, InvalidRequest for what is neither.
        """

    async def changes(self, lines: Sequence[str]) -> tuple[Instruction, ...]:
        """Read instructions one by one, as ``--change`` has them. Raises InvalidRequest."""

    async def triggers(self, lines: Sequence[str]) -> tuple[Instruction, ...]:
        """Read what an image has ONBUILD: any instruction that ONBUILD can hold. Raises InvalidRequest."""

    async def fetch(self, address: str, target: Path) -> Fetched:
        """Fetch a file for ADD, dated as its server says. Raises Unavailable, InvalidRequest."""
