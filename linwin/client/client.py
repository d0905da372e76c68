"""The client: requests in, parsed answers out."""

from __future__ import annotations

from linwin.client.http import API_VERSION, Response, connect, default_host, encode_query, exchange, quote
from linwin.client.streams import Attachment, output
from linwin.errors import Internal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any, BinaryIO


class Client:
    """The API of the daemon at ``host`` (``unix:///path`` or ``tcp://host:port``).

    Every call opens a connection of its own, so one client may be used by
    several threads. ``timeout`` in seconds bounds each wait for the daemon;
    None waits as long as it takes, which long-running calls need.
    """

    def __init__(self, host: str | None = None, *, timeout: float | None = None) -> None:
        self.host = host or default_host()
        self._timeout = timeout

    def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Send a request; the caller closes the response. Raises the daemon's error.

        ``path`` is without the version prefix. See :func:`linwin.client.http.exchange` for ``body``.
        """
        target = f"/v{API_VERSION}{path}"
        if encoded := encode_query(query or {}):
            target += f"?{encoded}"
        return exchange(connect(self.host, self._timeout), method, target, body=body, headers=headers)

    def get(self, path: str, **query: Any) -> Any:
        """GET; returns the parsed JSON."""
        with self.request("GET", path, query) as response:
            return response.json()

    def post(self, path: str, *, body: Any = None, **query: Any) -> Any:
        """POST ``body`` as JSON; returns the parsed JSON, None for an empty answer (204, 304)."""
        with self.request("POST", path, query, body) as response:
            return response.json()

    def delete(self, path: str, **query: Any) -> Any:
        """DELETE; returns the parsed JSON, None for an empty answer."""
        with self.request("DELETE", path, query) as response:
            return response.json()

    def ping(self) -> None:
        """Return when the daemon answers. Raises Unreachable when none listens."""
        self.request("GET", "/_ping").close()

    def lines(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        **query: Any,
    ) -> Iterator[Any]:
        """The objects of a progress stream as they come. Raises the error that the stream carries."""
        with self.request(method, path, query, body, headers) as response:
            yield from response.lines()

    def load(self, archive: BinaryIO) -> Iterator[Any]:
        """Upload an image archive (a file, or stdin's buffer); yields progress."""
        return self.lines("POST", "/images/load", body=archive)

    def logs(self, container: str, **query: Any) -> Iterator[tuple[str, bytes]]:
        """Logged output as (``stdout`` or ``stderr``, bytes); both unless ``stdout``/``stderr`` choose.

        Takes docker's query: ``follow``, ``tail``, ``since``, ``until``, ``timestamps``.
        """
        query = {"stdout": True, "stderr": True, **query}
        with self.request("GET", f"/containers/{quote(container)}/logs", query) as response:
            yield from output(response)

    def attach(
        self,
        container: str,
        *,
        stdin: bool = False,
        stdout: bool = True,
        stderr: bool = True,
        logs: bool = False,
        stream: bool = True,
        detach_keys: str | None = None,
    ) -> Attachment:
        """Attach to a container, which may be created but not yet started."""
        query: dict[str, Any] = {"stdin": stdin, "stdout": stdout, "stderr": stderr}
        query |= {"logs": logs, "stream": stream, "detachKeys": detach_keys}
        return self._hijack(f"/containers/{quote(container)}/attach", query=query)

    def start_exec(self, exec_id: str, *, console_size: tuple[int, int] = (0, 0)) -> Attachment:
        """Start an exec that was created, and attach to it. ``console_size`` is (rows, columns)."""
        body = {"Detach": False, **({"ConsoleSize": list(console_size)} if any(console_size) else {})}
        return self._hijack(f"/exec/{quote(exec_id)}/start", body=body)

    def console(self, container: str, *, detach_keys: str | None = None) -> Attachment:
        """A machine's serial console as a terminal has it, for one client at a time."""
        return self._hijack(f"/linwin/containers/{quote(container)}/console", {"detachKeys": detach_keys})

    def screen(self, container: str) -> Attachment:
        """A connection with the VNC server of a machine's screen, which asks for no password."""
        return self._hijack(f"/linwin/containers/{quote(container)}/screen")

    def _hijack(self, path: str, query: Mapping[str, Any] | None = None, body: Any = None) -> Attachment:
        upgrade = {"Connection": "Upgrade", "Upgrade": "tcp"}
        response = self.request("POST", path, query, body, headers=upgrade)
        if response.status != 101:
            response.close()
            raise Internal(f"the daemon answered an attach with status {response.status}")
        return Attachment(response)

    def wait(self, container: str, condition: str = "not-running") -> Waiting:
        """Begin to wait for ``not-running``, ``next-exit`` or ``removed``.

        Returns once the daemon has registered the wait, so an exit after that is not missed.
        """
        return Waiting(self.request("POST", f"/containers/{quote(container)}/wait", {"condition": condition}))


class Waiting:
    """A wait that the daemon has registered. A context manager."""

    def __init__(self, response: Response) -> None:
        self._response = response

    def result(self) -> tuple[int, str]:
        """Block until the condition is true; returns the exit code and, when it never ran, why."""
        answer = self._response.json()
        if not isinstance(answer, dict) or not isinstance(answer.get("StatusCode"), int):
            raise Internal("the daemon closed the connection before the container ended")
        error = answer.get("Error") or {}
        return answer["StatusCode"], str(error.get("Message", ""))

    def close(self) -> None:
        """Stop waiting."""
        self._response.close()

    def __enter__(self) -> Waiting:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
