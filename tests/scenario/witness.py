"""Every answer of every daemon that a scenario test serves is compared with docker's description.

A witness sits in the application itself, so it sees what any client gets: bodies, streamed
lines, headers, and the heads of connections that are taken over.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import jsonschema
import pytest
from aiohttp import web

from linwin.api import hijack, server
from linwin.api.context import MAX_VERSION, VERSION, identity
from linwin.engine.engine import Engine
from tests.scenario.api_description import Description

VERSIONED = "/v{version}"
HEAD_ONLY = (101, 204, 304)


class Witness:
    """What it complains of is in ``complaints``, and what it has seen in ``seen``: method, path, status."""

    def __init__(self, description: Description) -> None:
        self._description = description
        self.complaints: list[str] = []
        self.seen: set[tuple[str, str, int]] = set()

    def watch(self, patch: pytest.MonkeyPatch) -> None:
        """See what is answered from now on, by applications that are made from now on."""
        make_app, write_head = server.make_app, hijack._head

        def watched(engine: Engine) -> web.Application:
            app = make_app(engine)
            app.on_response_prepare.append(self._prepared)
            return app

        def head(request: web.Request, headers: Mapping[str, str], content_type: str) -> bytes:
            written = write_head(request, headers, content_type)
            self._hijacked(request, written)
            return written

        patch.setattr(server, "make_app", watched)
        patch.setattr(hijack, "_head", head)

    async def _prepared(self, request: web.Request, response: web.StreamResponse) -> None:
        """aiohttp: the head of an answer is about to be sent, and with it a body that has a length."""
        self._check_head(request, response.status, response.headers)
        if isinstance(response, web.Response):
            self._check_body(request, response.status, response.content_type, bytes(response.body or b""))
        else:
            response.write = self._overheard(request, response)  # type: ignore[method-assign]

    def _overheard(
        self, request: web.Request, response: web.StreamResponse
    ) -> Callable[[bytes | bytearray | memoryview], Awaitable[None]]:
        write, rest = response.write, bytearray()

        async def overheard(data: bytes | bytearray | memoryview) -> None:
            if response.content_type == "application/json":
                rest.extend(data)
                while b"\n" in rest:
                    line, _, left = bytes(rest).partition(b"\n")
                    rest[:] = left
                    self._check_body(request, response.status, response.content_type, line)
            await write(data)

        return overheard

    def _hijacked(self, request: web.Request, written: bytes) -> None:
        status, *lines = written.decode("latin-1").strip().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        self._check_head(request, int(status.split()[1]), headers)

    def _check_head(self, request: web.Request, status: int, headers: Mapping[str, str]) -> None:
        path = described_path(request)
        if path == "/metrics":  # docker has them at an address of their own, and does not describe them
            return
        wanted = {name for name, value in identity().items() if headers.get(name) != value}
        wanted |= self._description.headers(request.method, path, status) - set(headers)
        if wanted:
            self._complain(request, status, f"headers are missing: {', '.join(sorted(wanted))}")
        if status < 400 and not self._description.knows(request.method, path, status):
            self._complain(request, status, "docker has no such answer")
        if status < 400 and status not in HEAD_ONLY and "Content-Type" in headers:
            kind, kinds = headers["Content-Type"], self._description.content_types(request.method, path)
            if kinds and kind.partition(";")[0] not in kinds:
                self._complain(request, status, f"{kind} is none of {', '.join(sorted(kinds))}")
        self.seen.add((request.method, path, status))

    def _check_body(self, request: web.Request, status: int, content_type: str, body: bytes) -> None:
        path = described_path(request)
        if not body or path.startswith("/linwin/"):
            return
        if status >= 400 and content_type != "application/json":
            self._complain(request, status, f"an error is {content_type}")
            return
        newest = request.get(VERSION, MAX_VERSION) == MAX_VERSION
        if content_type != "application/json" or not (newest or status >= 400):
            return
        try:
            value = json.loads(body)
            self._description.check(request.method, path, status, value)
        except (ValueError, jsonschema.ValidationError) as error:
            self._complain(request, status, f"{error}\n{body[:2000]!r}")

    def _complain(self, request: web.Request, status: int, why: str) -> None:
        if not described_path(request).startswith("/linwin/"):
            self.complaints.append(f"{request.method} {request.path_qs} → {status}: {why}")


def described_path(request: web.Request) -> str:
    """The route as docker's description spells it; empty for one that does not exist."""
    resource: Any = request.match_info.route.resource
    return resource.canonical.removeprefix(VERSIONED) if resource is not None else ""
