"""skopeo's image proxy: single blobs of an image, handed over as pipes.

``skopeo experimental-image-proxy`` speaks JSON over a ``SOCK_SEQPACKET``
socket, one message a packet; the answer to ``GetBlob`` carries the read end of
a pipe. The pipe is closed only in answer to ``FinishPipe``, which is therefore
sent as soon as the pipe is here and answered when all has been read, or when
the registry gave up in between. Source: skopeo's ``cmd/skopeo/proxy.go``,
protocol 0.2.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import tempfile
from contextlib import suppress
from typing import IO, Any

from linwin.errors import Internal, LinwinError, Unavailable
from linwin.host.programs import find_program
from linwin.images.registry.failures import Absent, Cut
from linwin.images.registry.skopeo import Session, Subject, complaint, denial, one_line, silent, translate

_PROTOCOL = "0.2."
_LARGEST_REPLY = 1 << 20
_ABSENT = ("status code from registry 404", "blob unknown")
_VERDICTS = ("corrupted blob", "expected ")
_PREFIX = "Error fetching blob: "
_DENIED = ("status code from registry 401", "status code from registry 403", "unauthorized", "denied")


class BlobProxy:
    """One proxy process. It serves one request at a time; ask several for several blobs at once."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        connection: socket.socket,
        complaints: IO[bytes],
        subject: Subject,
        idle: float,
    ) -> None:
        self._process = process
        self._connection = connection
        self._complaints = complaints
        self._subject = subject
        self._idle = idle
        self._images: dict[str, int] = {}

    @classmethod
    async def start(cls, session: Session, subject: Subject, idle: float) -> BlobProxy:
        """Start a proxy; ``idle`` is how many seconds it may stay silent.

        Raises Unavailable when skopeo is missing or speaks another protocol.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        complaints = tempfile.TemporaryFile(dir=session.folder)  # noqa: SIM115 - closed by stop()
        with theirs:
            ours.setblocking(False)
            # However the daemon ends, no download outlives it.
            find_program("skopeo")  # of which setpriv would say less well that it is missing
            argv = [find_program("setpriv"), "--pdeathsig", "KILL", "--"]
            argv += session.command("experimental-image-proxy", "--sockfd", str(theirs.fileno()))
            try:
                process = await asyncio.create_subprocess_exec(
                    *argv,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.DEVNULL,
                    stderr=complaints,
                    env=session.environment,
                    cwd=session.folder,
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,
                )
            except BaseException:
                ours.close()
                complaints.close()
                raise
        proxy = cls(process, ours, complaints, subject, idle)
        try:
            await proxy._initialize()
        except BaseException:
            await proxy.stop()
            raise
        return proxy

    async def blob(self, location: str, digest: str, size: int) -> int:
        """Begin to fetch a blob of the image at ``location``; return the read end of its pipe.

        Read the pipe to its end, then call :meth:`finish`. Raises Absent for a
        blob that the registry lacks, Cut for a failure that may pass, and what
        :func:`~linwin.images.registry.skopeo.translate` says otherwise.
        """
        image = self._images.get(location)
        if image is None:
            image = self._images[location] = await self._open(location)
        reply, fds = await self._call("GetBlob", image, digest, size)
        if reply["error"]:
            raise self._blob_failure(reply["error"])
        if len(fds) != 1:
            _close(fds)
            raise Internal(f"skopeo's image proxy gave {len(fds)} pipes for blob {digest}")
        try:
            self._send("FinishPipe", reply["pipeid"])
        except BaseException:
            _close(fds)
            raise
        return fds[0]

    async def finish(self) -> str:
        """Hear how the last blob ended: what broke its transfer, or nothing.

        Whether the bytes were right is for the reader to find out.
        """
        reply, fds = await self._reply()
        _close(fds)
        said = one_line(reply["error"])
        return "" if said.startswith(_VERDICTS) else said

    def kill(self) -> None:
        """End the process, whatever it is doing; its pipe ends with it. Idempotent."""
        if self._process.returncode is None:
            # Not Process.kill(), which may reap the process under asyncio's watcher.
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def stop(self) -> None:
        """The same, and wait until nothing is left of it. Idempotent."""
        self.kill()
        self._connection.close()
        await asyncio.shield(self._process.wait())
        self._complaints.close()

    async def _initialize(self) -> None:
        reply, _ = await self._call("Initialize")
        version = str(reply["value"])
        if reply["error"] or not version.startswith(_PROTOCOL):
            raise Unavailable(
                f"skopeo's image proxy cannot be used: {one_line(reply['error']) or 'protocol ' + version}",
                hint="linwin is made for skopeo 1.9.3, Debian 12's, and newer ones of its protocol.",
            )

    async def _open(self, location: str) -> int:
        reply, _ = await self._call("OpenImage", location)
        if not reply["error"]:
            return int(reply["value"])
        error = translate(one_line(reply["error"]), self._subject)
        if isinstance(error, Unavailable):
            raise Cut(error.message) from error
        raise error

    async def _call(self, method: str, *arguments: object) -> tuple[dict[str, Any], list[int]]:
        self._send(method, *arguments)
        return await self._reply()

    def _send(self, method: str, *arguments: object) -> None:
        try:
            self._connection.send(json.dumps({"method": method, "args": arguments}).encode())
        except OSError as error:
            raise self._died() from error

    async def _reply(self) -> tuple[dict[str, Any], list[int]]:
        """The next packet, with defaults for what it leaves out, and the pipes it carries."""
        try:
            async with asyncio.timeout(self._idle):
                await _readable(self._connection)
        except TimeoutError as error:
            raise silent(self._subject.registry, self._idle) from error
        try:
            data, fds, _, _ = socket.recv_fds(
                self._connection, _LARGEST_REPLY, 4, socket.MSG_CMSG_CLOEXEC | socket.MSG_DONTWAIT
            )
        except OSError as error:
            raise self._died() from error
        if not data:
            raise self._died()
        try:
            reply = json.loads(data)
            return {"value": None, "pipeid": 0, "error": "", **reply}, list(fds)
        except (ValueError, TypeError) as error:
            _close(fds)
            raise Internal("skopeo's image proxy does not answer in JSON") from error

    def _blob_failure(self, said: str) -> LinwinError | Absent | Cut:
        lowered = said.lower()
        if any(sign in lowered for sign in _ABSENT):
            return Absent(one_line(said))
        if any(sign in lowered for sign in _DENIED):
            return denial(self._subject)
        return Cut(one_line(said).removeprefix(_PREFIX))

    def _died(self) -> Cut:
        self._complaints.seek(0)
        said = complaint(self._complaints.read(_LARGEST_REPLY))
        return Cut(f"skopeo ended early{': ' + said if said else ''}")


async def _readable(connection: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_reader(connection, wake)
    try:
        await ready
    finally:
        loop.remove_reader(connection)


def _close(fds: list[int]) -> None:
    for fd in fds:
        os.close(fd)
