"""A daemon in one file: scripted answers on a real unix socket, for tests of the client's side."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

STDOUT, STDERR = 1, 2


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    """``body`` that is not bytes is sent as JSON; ``lines`` are sent chunked, a JSON object a chunk."""

    status: int = 200
    body: Any = b""
    content_type: str = "application/json"
    lines: list[Any] | None = None


Handler = Callable[[Request, socket.socket], Reply | None]
"""Answers by value, or on the socket itself and returns None."""


def frame(stream: int, data: bytes) -> bytes:
    """One frame of the stdio multiplex: Docker Engine API, "Attach to a container", stream format."""
    return struct.pack(">BxxxI", stream, len(data)) + data


def error(status: int, message: str) -> Reply:
    return Reply(status, {"message": message})


@dataclass
class FakeDaemon:
    """Answers requests by ``METHOD /path`` (without the version prefix) and remembers them."""

    socket_path: Path
    answers: dict[str, Handler | Reply] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)

    def __enter__(self) -> FakeDaemon:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.socket_path))
        self._listener.listen(16)
        self._threads = [threading.Thread(target=self._accept)]
        self._open: list[socket.socket] = []
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._threads[0].join(10)
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads[1:]:
            thread.join(10)
            assert not thread.is_alive()

    def on(self, route: str, answer: Handler | Reply | Any) -> None:
        """Answer ``route`` by a handler, a Reply, or 200 with anything else as JSON."""
        self.answers[route] = answer if callable(answer) or isinstance(answer, Reply) else Reply(body=answer)

    def asked(self, route: str) -> Request:
        """The one request that ``route`` got."""
        (request,) = [r for r in self.requests if f"{r.method} {r.path}" == route]
        return request

    @property
    def routes(self) -> list[str]:
        return [f"{r.method} {r.path}" for r in self.requests]

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as reader, contextlib.suppress(ConnectionError):
            while (request := read_request(reader)) is not None:
                self.requests.append(request)
                answer = self.answers.get(f"{request.method} {request.path}", error(404, "page not found"))
                reply = answer(request, connection) if callable(answer) else answer
                if reply is None:
                    return
                connection.sendall(encode(reply))


def read_request(reader: Any) -> Request | None:
    line = reader.readline()
    if not line:
        return None
    method, target, _ = line.decode().split()
    headers = {}
    while (line := reader.readline().strip()) != b"":
        name, _, value = line.decode().partition(":")
        headers[name.lower()] = value.strip()
    if headers.get("transfer-encoding") == "chunked":
        body = read_chunks(reader)
    else:
        body = reader.read(int(headers.get("content-length", "0")))
    url = urlsplit(target)
    query = {name: values[-1] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
    path = re.sub(r"^/v1\.\d+(?=/)", "", unquote(url.path))
    return Request(method, path, query, headers, body)


def read_chunks(reader: Any) -> bytes:
    body = b""
    while size := int(reader.readline(), 16):
        body += reader.read(size)
        reader.readline()
    reader.readline()
    return body


def encode(reply: Reply) -> bytes:
    head = f"HTTP/1.1 {reply.status} Scripted\r\nServer: Docker/28.2.2 (windows)\r\n"
    head += "Api-Version: 1.50\r\nOstype: windows\r\n"
    if reply.lines is not None:
        pieces = [json.dumps(line).encode() + b"\r\n" for line in reply.lines]
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
        head += f"Content-Type: {reply.content_type}\r\nTransfer-Encoding: chunked\r\n\r\n"
        return head.encode() + chunks + b"0\r\n\r\n"
    body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
    if reply.status in (204, 304):
        return (head + "\r\n").encode()
    return (
        head + f"Content-Type: {reply.content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body
