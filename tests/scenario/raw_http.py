"""A client that shows a test every byte of the exchange."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.scenario.harness import IMAGE, Daemon


@dataclass
class Answer:
    """A response's head, and its body where it has a length."""

    status: int
    headers: dict[str, str]
    body: bytes = b""

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class RawConnection:
    """One connection; ``reader`` and ``writer`` are for what follows a hijack."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, path: Path) -> RawConnection:
        return cls(*await asyncio.open_unix_connection(str(path)))

    async def request(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Send a request and read the answer, its body too unless the connection was hijacked."""
        self.send(method, path, body, **headers)
        answer = await self.head()
        if method != "HEAD" and answer.status not in (101, 204, 304):
            answer.body = await self._body(answer.headers)
        return answer

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> None:
        payload = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        fields = {"Host": "test", "Content-Length": str(len(payload)), **given}
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
        self.writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + payload)

    async def head(self) -> Answer:
        status_line, *lines = (
            (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").strip().split("\r\n")
        )
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        return Answer(int(status_line.split()[1]), headers)

    async def _body(self, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding") == "chunked":
            body = b""
            while chunk := await self.chunk():
                body += chunk
            return body
        return await self.reader.readexactly(int(headers.get("content-length", 0)))

    async def chunk(self) -> bytes:
        """The next chunk of a chunked body; empty at its end."""
        size = int(await self.reader.readuntil(b"\r\n"), 16)
        data = await self.reader.readexactly(size)
        await self.reader.readexactly(2)
        return data

    async def frame(self) -> tuple[int, bytes]:
        """The next stdio frame of a hijacked connection."""
        header = await self.reader.readexactly(8)
        return header[0], await self.reader.readexactly(int.from_bytes(header[4:], "big"))

    async def close(self) -> None:
        self.writer.close()
        await self.writer.wait_closed()


async def create(daemon: Daemon, *command: str, **config: object) -> str:
    """A container's id."""
    body = {"Image": IMAGE, "Cmd": list(command), "AttachStdout": True, **config}
    connection = await RawConnection.open(daemon.paths.socket)
    answer = await connection.request("POST", "/containers/create", body)
    await connection.close()
    assert answer.status == 201, answer.body
    return str(answer.json["Id"])


async def start(daemon: Daemon, container: str) -> None:
    connection = await RawConnection.open(daemon.paths.socket)
    assert (await connection.request("POST", f"/containers/{container}/start")).status == 204
    await connection.close()
