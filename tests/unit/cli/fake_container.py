"""One scripted container of a :class:`fake_daemon.FakeDaemon`: attach, wait, start, kill."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.unit.cli.fake_daemon import FakeDaemon, Reply, Request

HIJACKED = (
    b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
    b"Content-Type: application/vnd.docker.multiplexed-stream\r\n\r\n"
)
TIMEOUT = 30


@dataclass
class FakeContainer:
    """``program`` runs on the attached connection once the container was started; its end is the exit."""

    daemon: FakeDaemon
    program: Callable[[FakeContainer, socket.socket], None] = lambda container, connection: None
    id: str = "a1" * 32
    exit_code: int = 0
    template: str = "wine"
    start_reply: Reply = field(default_factory=lambda: Reply(204))
    warnings: list[str] = field(default_factory=list)
    started: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    attached: threading.Event = field(default_factory=threading.Event)
    killed: threading.Event = field(default_factory=threading.Event)
    signals: list[str] = field(default_factory=list)
    stdin: bytes = b""

    def __post_init__(self) -> None:
        path = f"/containers/{self.id}"
        self.daemon.on("POST /containers/create", Reply(201, {"Id": self.id, "Warnings": self.warnings}))
        self.daemon.on(f"POST {path}/attach", self._attach)
        self.daemon.on(f"POST {path}/wait", self._wait)
        self.daemon.on(f"POST {path}/start", self._start)
        self.daemon.on(f"POST {path}/kill", self._kill)
        self.daemon.on(f"GET {path}/json", self.description())
        self.daemon.on(
            f"GET /linwin/templates/{self.template}", {"Name": self.template, "Kind": self.template}
        )

    def description(self, *, running: bool = False, stdin: bool = True) -> dict[str, Any]:
        return {
            "Id": self.id,
            "Config": {"Image": "microsoft/nanoserver", "OpenStdin": stdin, "Tty": False},
            "HostConfig": {"AutoRemove": False},
            "State": {"Running": running},
            "Linwin": {"Template": self.template},
        }

    def read_stdin(self, connection: socket.socket) -> None:
        """Read the client's side of the hijacked connection to its half-close."""
        while data := connection.recv(65536):
            self.stdin += data

    def _attach(self, request: Request, connection: socket.socket) -> None:
        connection.sendall(HIJACKED)
        self.attached.set()
        if self.started.wait(TIMEOUT) and self.start_reply.status < 400:
            self.program(self, connection)
        self.ended.set()

    def _wait(self, request: Request, connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
        assert self.ended.wait(TIMEOUT)
        connection.sendall(json.dumps({"StatusCode": self.exit_code}).encode())

    def _start(self, request: Request, connection: socket.socket) -> Reply:
        self.started.set()
        return self.start_reply

    def _kill(self, request: Request, connection: socket.socket) -> Reply:
        self.signals.append(request.query["signal"])
        self.killed.set()
        return Reply(204)
