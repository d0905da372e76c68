"""The client's HTTP against scripted answers, the malformed ones included."""

from __future__ import annotations

import io
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from linwin.client import Client, Unreachable, default_host, http, quote
from linwin.client.http import Response, connect, encode_query, exchange
from linwin.errors import (
    Conflict,
    Forbidden,
    Internal,
    InvalidRequest,
    LinwinError,
    Unauthorized,
    Unavailable,
    Unsupported,
)
from linwin.paths import DEFAULT_SOCKET


@contextmanager
def answered(
    answer: bytes, method: str = "GET", body: Any = None
) -> Iterator[tuple[Response, socket.socket]]:
    """The response that a server's ``answer`` makes, and the server's end."""
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.sendall(answer)
        theirs.shutdown(socket.SHUT_WR)
        with exchange(ours, method, "/x", body=body) as response:
            yield response, theirs


def body_of(answer: bytes) -> bytes:
    with answered(answer) as (response, _):
        return response.read()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello and more",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nA: z\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nhello",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.0 200 OK\nContent-Length:5\n\nhello",
    ],
)
def test_bodies(answer: bytes) -> None:
    assert body_of(answer) == b"hello"


@pytest.mark.parametrize("status", [204, 304])
def test_answers_without_a_body(status: int) -> None:
    assert body_of(f"HTTP/1.1 {status} X\r\n\r\n".encode()) == b""


@pytest.mark.parametrize(
    ("answer", "kind", "message"),
    [
        (b"", Unavailable, "the daemon closed the connection"),
        (b"HTTP/1.1 200 OK\r\nContent-", Unavailable, "the daemon closed the connection"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", Unavailable, "the daemon closed the connection"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
            Unavailable,
            "the daemon closed the connection",
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
            Unavailable,
            "the daemon closed the connection",
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nlots\r\n",
            Internal,
            "the daemon sent a malformed chunk",
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nhello",
            Internal,
            "the daemon sent a malformed chunk",
        ),
        (b"SSH-2.0-OpenSSH_9.2\r\n", Internal, "the daemon did not answer in HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 1000, Internal, "the daemon sent too many headers"),
        (b"x" * 100_000, Internal, "the daemon sent a line that is too long"),
    ],
)
def test_malformed_answers(answer: bytes, kind: type[LinwinError], message: str) -> None:
    with pytest.raises(kind) as caught:
        body_of(answer)
    assert caught.value.message == message


def error_answer(status: int, body: bytes) -> bytes:
    return f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


@pytest.mark.parametrize(
    ("status", "body", "kind", "message", "hint"),
    [
        (409, b'{"message":"taken\\nuse another"}', Conflict, "taken", "use another"),
        (403, b'{"message":"no"}', Forbidden, "no", None),
        (501, b'{"message":"no"}', Unsupported, "no", None),
        (401, b'{"message":"unauthorized: no"}', Unauthorized, "unauthorized: no", None),
        (503, b'{"message":"later"}', Unavailable, "later", None),
        (500, b'{"message":"oh"}', Internal, "oh", None),
        (413, b'{"message":"much"}', InvalidRequest, "much", None),
        (502, b"<html>bad gateway</html>", Internal, "<html>bad gateway</html>", None),
        (500, b"", Internal, "the daemon answered with status 500", None),
        (500, b"[1]", Internal, "[1]", None),
    ],
)
def test_errors(status: int, body: bytes, kind: type[LinwinError], message: str, hint: str | None) -> None:
    with pytest.raises(LinwinError) as caught:
        body_of(error_answer(status, body))
    assert type(caught.value) is kind
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_progress_lines_come_whole() -> None:
    answer = b'HTTP/1.1 200 OK\r\n\r\n{"status":"a"}\r\n\r\n{"status":"b"}\n{"status":"c"}'
    with answered(answer) as (response, _):
        assert list(response.lines()) == [{"status": "a"}, {"status": "b"}, {"status": "c"}]


def test_progress_lines_carry_errors() -> None:
    line = b'{"errorDetail":{"code":409,"message":"taken\\nuse another"},"error":"taken"}\n'
    with answered(b'HTTP/1.1 200 OK\r\n\r\n{"status":"a"}\n' + line) as (response, _):
        lines = response.lines()
        assert next(lines) == {"status": "a"}
        with pytest.raises(Conflict) as caught:
            next(lines)
    assert (caught.value.message, caught.value.hint) == ("taken", "use another")


def test_objects_of_a_stream_are_as_they_came() -> None:
    error = {"errorDetail": {"code": 3, "message": "no"}, "error": "no"}
    body = b'{"stream":"a"}\n{"errorDetail":{"code":3,"message":"no"},"error":"no"}\n'
    with answered(b"HTTP/1.1 200 OK\r\n\r\n" + body) as (response, _):
        assert list(response.objects()) == [{"stream": "a"}, error]


def test_progress_that_is_no_json() -> None:
    with (
        answered(b"HTTP/1.1 200 OK\r\n\r\nsome text\n") as (response, _),
        pytest.raises(Internal, match="the daemon sent malformed JSON"),
    ):
        list(response.lines())


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        (None, b"Content-Length: 0\r\n\r\n"),
        ({"a": 1}, b'Content-Type: application/json\r\nContent-Length: 8\r\n\r\n{"a": 1}'),
        (
            io.BytesIO(b"hello"),
            b"Content-Type: application/x-tar\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        ),
    ],
)
def test_requests(body: Any, sent: bytes) -> None:
    first = b"POST /x HTTP/1.1\r\nHost: linwin\r\nUser-Agent: linwin\r\nConnection: close\r\n"
    with answered(b"HTTP/1.1 204 No Content\r\n\r\n", "POST", body) as (_, theirs):
        assert theirs.recv(65536) == first + sent


def test_queries() -> None:
    assert encode_query({"all": True, "size": False, "t": 3, "no": None, "f": {"a": ["b"]}, "s": "é &"}) == (
        "all=1&size=0&t=3&f=%7B%22a%22%3A%20%5B%22b%22%5D%7D&s=%C3%A9%20%26"
    )
    assert encode_query({"names": ("a", "b:1", "a"), "none": ()}) == "names=a&names=b%3A1&names=a"


def test_quoting() -> None:
    assert quote("a/b:1 ?#%ü") == "a/b%3A1%20%3F%23%25%C3%BC"


@pytest.mark.parametrize("host", ["", "unix://", "/run/x.sock", "http://x", "tcp://x", "tcp://x:http"])
def test_malformed_hosts(host: str) -> None:
    with pytest.raises(InvalidRequest):
        connect(host)


def test_tcp() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def serve() -> None:
            peer, _ = server.accept()
            with peer:
                peer.recv(65536)
                peer.sendall(b'HTTP/1.1 200 OK\r\n\r\n{"a": 1}')

        thread = threading.Thread(target=serve)
        thread.start()
        assert Client(f"tcp://127.0.0.1:{port}").get("/x") == {"a": 1}
        thread.join()


def test_a_timeout_is_unavailable(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        server.listen()
        with pytest.raises(Unavailable, match="the daemon did not answer in time"):
            Client(f"unix://{tmp_path}/s", timeout=0.01).get("/x")


def test_a_socket_nobody_listens_on_is_unreachable(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
    with pytest.raises(Unreachable) as caught:
        Client(f"unix://{tmp_path}/s").ping()
    assert caught.value.hint == "Connection refused; start it with: linwin daemon start"


def test_a_socket_we_may_not_use_is_not_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(http, "_connect_unix", refuse)
    with pytest.raises(Unavailable) as caught:
        connect("unix:///run/linwin.sock")
    assert type(caught.value) is Unavailable
    assert str(caught.value) == (
        "permission denied while trying to connect to the linwin daemon at unix:///run/linwin.sock\n"
        "Run as root, or join the group linwin and log in again."
    )


def test_the_default_host_is_the_daemons(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LINWIN_HOST", raising=False)
    assert default_host() == f"unix://{DEFAULT_SOCKET}"
    monkeypatch.setenv("LINWIN_HOST", "tcp://x:1")
    assert Client().host == "tcp://x:1"


def test_importing_stays_cheap() -> None:
    """Each of these costs more than the client itself; see the budget in ``bench/cli.py``."""
    expensive = "asyncio dataclasses email http.client inspect pathlib ssl typing urllib.request"
    code = f"import sys, linwin.client; print(*[n for n in '{expensive}'.split() if n in sys.modules])"
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"
