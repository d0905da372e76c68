"""HTTP/1.1 over one socket, one request a connection.

``http.client`` is not used because importing it (and the e-mail package behind
it) costs more time than everything else ``linwin ps`` does.
"""

from __future__ import annotations

import json
import os
import socket

from linwin.client.failures import Unreachable, failure
from linwin.errors import Internal, InvalidRequest, LinwinError, Unavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any, BinaryIO

API_VERSION = "1.50"
DEFAULT_HOST = "unix:///run/linwin/linwin.sock"
PIECE = 256 * 1024  # bytes read or sent at once
MAX_HEAD_LINES = 200
MAX_LINE = 64 * 1024
MAX_JSON_LINE = 16 * 1024 * 1024
MAX_SOCKET_PATH = 107  # sun_path holds 108 bytes with its terminating zero (unix(7))

_HEXADECIMAL = b"0123456789abcdefABCDEF"
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/")


def default_host() -> str:
    """``LINWIN_HOST``, or the default daemon's socket."""
    return os.environ.get("LINWIN_HOST") or DEFAULT_HOST


def quote(text: str) -> str:
    """Percent-encode ``text`` for use in a path or a query; slashes stay (RFC 3986, 2.1)."""
    return "".join(chr(byte) if byte in _UNRESERVED else f"%{byte:02X}" for byte in os.fsencode(text))


def encode_query(query: Mapping[str, Any]) -> str:
    """``a=1&b=x``: None is left out, booleans are 1 and 0, a tuple repeats its key.

    Mappings and lists, docker's filters, are JSON.
    """
    return "&".join(
        f"{quote(key)}={quote(_query_value(value))}"
        for key, values in query.items()
        for value in (values if isinstance(values, tuple) else (values,))
        if value is not None
    )


def _query_value(value: Any) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    return json.dumps(value) if isinstance(value, (dict, list)) else str(value)


def connect(host: str, timeout: float | None = None) -> socket.socket:
    """Open a connection to ``unix:///path``, ``tcp://host:port`` or ``ssh://user@host``.

    TCP carries TLS when ``LINWIN_TLS_VERIFY`` is set. Raises Unreachable when nobody
    listens, Unavailable when we may not connect.
    """
    scheme, _, address = host.partition("://")
    if not address or scheme not in ("unix", "tcp", "ssh"):
        raise InvalidRequest(
            f"invalid host {host!r}",
            hint="Use unix:///path/to/linwin.sock, tcp://host:port or ssh://user@host.",
        )
    if scheme == "ssh":
        from linwin.client.tunnel import through_ssh

        return through_ssh(host)
    try:
        return _connect_unix(address, timeout) if scheme == "unix" else _connect_tcp(address, timeout)
    except PermissionError as error:
        raise Unavailable(
            f"permission denied while trying to connect to the linwin daemon at {host}",
            hint="Run as root, or join the group linwin and log in again.",
        ) from error
    except OSError as error:
        raise Unreachable(
            f"Cannot connect to the linwin daemon at {host}. Is the linwin daemon running?",
            hint=f"{error.strerror or error}; start it with: linwin daemon start",
        ) from error


def _connect_unix(path: str, timeout: float | None) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(timeout)
    try:
        if len(os.fsencode(path)) <= MAX_SOCKET_PATH:
            sock.connect(path)
        else:  # reach a path that does not fit into an address through its folder
            folder, name = os.path.split(path)
            descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                sock.connect(f"/proc/self/fd/{descriptor}/{name}")
            finally:
                os.close(descriptor)
    except BaseException:
        sock.close()
        raise
    return sock


def _connect_tcp(address: str, timeout: float | None) -> socket.socket:
    name, _, port = address.rstrip("/").rpartition(":")
    if not name or not port.isdecimal():
        raise InvalidRequest(f"invalid host tcp://{address}", hint="Use tcp://host:port.")
    sock = socket.create_connection((name.strip("[]"), int(port)), timeout)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if not os.environ.get("LINWIN_TLS_VERIFY"):
        return sock
    from linwin.client.tunnel import over_tls

    try:
        return over_tls(sock, name.strip("[]"))
    except BaseException:
        sock.close()
        raise


def exchange(
    sock: socket.socket, method: str, path: str, *, body: Any = None, headers: Mapping[str, str] | None = None
) -> Response:
    """Send one request and read the response's head. ``sock`` belongs to the response afterwards.

    ``body`` is None, bytes, a binary file (sent chunked), or anything else as
    JSON. Raises the daemon's error for a status of 400 and above.
    """
    try:
        fields = {"Host": "linwin", "User-Agent": "linwin", "Connection": "close", **(headers or {})}
        source = None
        payload = b""
        if hasattr(body, "read"):
            source = body
            fields |= {"Content-Type": "application/x-tar", "Transfer-Encoding": "chunked"}
        elif body is not None:
            payload = body if isinstance(body, bytes) else json.dumps(body).encode()
            fields |= {"Content-Type": "application/json", "Content-Length": str(len(payload))}
        elif method in ("POST", "PUT"):
            fields["Content-Length"] = "0"
        head = f"{method} {path} HTTP/1.1\r\n" + "".join(
            f"{name}: {value}\r\n" for name, value in fields.items()
        )
        _send(sock, head.encode("latin-1") + b"\r\n" + payload, source)
        response = Response(sock, bodiless=method == "HEAD")
    except BaseException:
        sock.close()
        raise
    if response.status >= 400:
        raise response.error()
    return response


def _send(sock: socket.socket, first: bytes, source: BinaryIO | None) -> None:
    """Send; a daemon that hangs up early has said why, so a broken pipe is left to the reader."""
    try:
        sock.sendall(first)
        if source is None:
            return
        while piece := source.read(PIECE):
            sock.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
        sock.sendall(b"0\r\n\r\n")
    except (BrokenPipeError, ConnectionResetError):
        return


class Response:
    """A response whose head was read and whose body is read on demand.

    ``headers`` have lower-case names. Close it, or use it as a context manager.
    One that answers HEAD is ``bodiless``, whatever length its head tells.
    """

    def __init__(self, sock: socket.socket, *, bodiless: bool = False) -> None:
        self.socket = sock
        self._file = sock.makefile("rb")
        try:
            self.status, self.headers = self._read_head()
            while 100 <= self.status < 200 and self.status != 101:
                self.status, self.headers = self._read_head()
        except BaseException:
            self.close()
            raise
        self._chunked = self.headers.get("transfer-encoding", "").lower() == "chunked" and not bodiless
        self._left = 0 if bodiless else self._body_length()

    def _body_length(self) -> int | None:
        """Bytes of the body, or of the chunk at hand; None where the connection's end ends it."""
        if self._chunked or self.status in (204, 304):
            return 0
        length = self.headers.get("content-length")
        return int(length) if length is not None and length.isdecimal() else None

    def _line(self) -> bytes:
        try:
            line = self._file.readline(MAX_LINE)
        except OSError as error:
            raise _broken(error) from error
        if not line.endswith(b"\n"):
            raise (
                _broken(None) if len(line) < MAX_LINE else Internal("the daemon sent a line that is too long")
            )
        return line.rstrip(b"\r\n")

    def _read_head(self) -> tuple[int, dict[str, str]]:
        words = self._line().split(None, 2)
        if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit():
            raise Internal(
                "the daemon did not answer in HTTP", hint="Is LINWIN_HOST the address of a linwin daemon?"
            )
        headers: dict[str, str] = {}
        for _ in range(MAX_HEAD_LINES):
            line = self._line()
            if not line:
                return int(words[1]), headers
            name, _separator, value = line.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
        raise Internal("the daemon sent too many headers")

    def read1(self, limit: int = PIECE) -> bytes:
        """Body bytes as they come, at most ``limit``; empty at the end."""
        if self._chunked and self._left == 0:
            self._next_chunk()
        if self._left == 0:
            return b""
        wanted = limit if self._left is None else min(limit, self._left)
        try:
            data = self._file.read1(wanted)
        except OSError as error:
            raise _broken(error) from error
        if self._left is not None:
            if not data:
                raise _broken(None)
            self._left -= len(data)
            if self._chunked and self._left == 0:
                self._line()
        return data

    def _next_chunk(self) -> None:
        size = self._line().partition(b";")[0].strip()
        if not size or size.strip(_HEXADECIMAL):
            raise Internal("the daemon sent a malformed chunk")
        self._left = int(size, 16)
        if self._left == 0:
            self._chunked = False
            while self._line():
                pass

    def read(self) -> bytes:
        """The rest of the body."""
        return b"".join(iter(self.read1, b""))

    def json(self) -> Any:
        """The body as JSON; None when it is empty."""
        return _parse(body) if (body := self.read()) else None

    def lines(self) -> Iterator[Any]:
        """The JSON objects of a progress stream as they come. Raises the error that a line carries."""
        return map(_told, self.objects())

    def objects(self) -> Iterator[Any]:
        """The same, with an error that a line carries as any other object."""
        pending = b""
        while data := self.read1():
            *complete, pending = (pending + data).split(b"\n")
            if len(pending) > MAX_JSON_LINE:
                raise Internal("the daemon sent a line that is too long")
            yield from (_parse(line) for line in complete if line.strip())
        if pending.strip():
            yield _parse(pending)

    def error(self) -> LinwinError:
        """The error that the body describes; closes the response."""
        with self:
            body = self.read()
        try:
            message = json.loads(body)["message"]
        except (ValueError, KeyError, TypeError):
            message = body[:1000].decode("utf-8", "replace").strip()
        return failure(self.status, str(message))

    def close(self) -> None:
        """End the exchange; the daemon sees that its client is gone."""
        self._file.close()
        self.socket.close()

    def __enter__(self) -> Response:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _parse(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError as error:
        raise Internal("the daemon sent malformed JSON") from error


def _told(value: Any) -> Any:
    detail = value.get("errorDetail") if isinstance(value, dict) else None
    if isinstance(detail, dict):
        code = detail.get("code")
        raise failure(code if isinstance(code, int) and code >= 400 else 500, str(detail.get("message", "")))
    return value


def _broken(error: OSError | None) -> Unavailable:
    if isinstance(error, TimeoutError):
        return Unavailable("the daemon did not answer in time", hint="See its log: linwin daemon status")
    because = f" ({error.strerror or error})" if error else ""
    return Unavailable(f"the daemon closed the connection{because}", hint="See its log: linwin daemon status")
