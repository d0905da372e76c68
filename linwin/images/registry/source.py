"""Where one pull gets its documents and blobs from: a repository, through skopeo."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypeVar

from linwin.errors import InvalidRequest, Unavailable
from linwin.images.compression import Reader
from linwin.images.contents import sha256
from linwin.images.documents import MAXIMUM_BYTES
from linwin.images.references import Reference
from linwin.images.registry.failures import Absent, Cut
from linwin.images.registry.limits import Limits
from linwin.images.registry.manifests import Descriptor
from linwin.images.registry.proxy import BlobProxy
from linwin.images.registry.skopeo import Session, Subject, location, run_in, skopeo_session
from linwin.images.registry.streams import PipeReader, WholeReader, read_all
from linwin.model.registry import Credentials
from linwin.paths import Paths

_Result = TypeVar("_Result")


class Source:
    """One repository, for the length of one pull; a context that ends whatever it started.

    Every blob in flight has a proxy of its own: one that stalls or breaks takes
    no other with it. Threads are its own too, for a stalled registry must not
    hold those that the rest of the daemon uses.
    """

    def __init__(
        self,
        paths: Paths,
        subject: Subject,
        home: Reference,
        credentials: Credentials | None,
        limits: Limits,
    ) -> None:
        self.subject = subject
        self.home = home
        self.limits = limits
        self._paths = paths
        self._credentials = credentials
        self._resting: list[BlobProxy] = []
        self._slots = asyncio.Semaphore(limits.layers_at_once)

    async def __aenter__(self) -> Source:
        self._stack = AsyncExitStack()
        self._session: Session = self._stack.enter_context(
            skopeo_session(self._paths, self.home.domain, self._credentials)
        )
        self._threads = self._stack.enter_context(
            ThreadPoolExecutor(self.limits.layers_at_once, thread_name_prefix="pull")
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            for proxy in self._resting:
                await proxy.stop()
        finally:
            await self._stack.aclose()

    async def manifest(self, digest: str | None = None) -> bytes:
        """The bytes of the manifest that the reference names, or of the one with ``digest``.

        Raises NotFound, InvalidRequest for bytes of another digest, Unavailable.
        """
        data = await run_in(
            self._session,
            self.subject,
            "inspect",
            "--raw",
            location(self.home, digest),
            timeout=self.limits.idle,
        )
        expected = digest or self.home.digest
        name = self.subject.name
        if len(data) > MAXIMUM_BYTES:
            raise InvalidRequest(f"the manifest of image {name} is larger than {MAXIMUM_BYTES} bytes")
        if expected is not None and sha256(data) != expected:
            raise InvalidRequest(
                f"the manifest of image {name} is corrupt: its digest is {sha256(data)}, not {expected}"
            )
        return data

    async def document(self, manifest: str, descriptor: Descriptor, what: str) -> bytes:
        """The bytes of a small blob of the image with this ``manifest``, such as its config."""
        if descriptor.size > MAXIMUM_BYTES:
            raise InvalidRequest(f"{what} is larger than {MAXIMUM_BYTES} bytes")
        for attempt in range(1, self.limits.attempts + 1):
            try:
                data = await self.receive(manifest, descriptor, what, read_all)
            except Cut as cut:
                if attempt == self.limits.attempts:
                    raise self.broke_off(what, cut) from cut
            except Absent as absent:
                raise self.lacks(what) from absent
            else:
                break
        if sha256(data) != descriptor.digest:
            raise InvalidRequest(f"{what} is corrupt: its digest is {sha256(data)}, not {descriptor.digest}")
        return data

    async def receive(
        self,
        manifest: str,
        descriptor: Descriptor,
        what: str,
        work: Callable[[Reader], _Result],
        interrupt: Callable[[], object] = lambda: None,
    ) -> _Result:
        """Let ``work`` read a blob, in a thread; returns what it returns.

        Raises Cut for a transfer that may be tried again, Absent, and what
        ``work`` raises. When the caller is cancelled the blob ends at once, and
        ``interrupt`` tells ``work``, which may be busy with what it has read.
        """
        async with self._proxy() as proxy:
            fd = await proxy.blob(location(self.home, manifest), descriptor.digest, descriptor.size)
            reader = PipeReader(fd, self.subject.registry, self.limits.idle)

            def consume() -> _Result:
                with reader:
                    return work(WholeReader(reader, descriptor.size, what))

            def stop() -> None:
                interrupt()
                proxy.kill()

            try:
                result = await self.in_thread(consume, stop)
            except Cut as cut:
                reason = await proxy.finish()
                raise Cut(f"{cut}: {reason}" if reason else str(cut)) from cut
            await proxy.finish()  # whatever it says: as many bytes as promised have come
            return result

    async def in_thread(self, work: Callable[[], _Result], interrupt: Callable[[], object]) -> _Result:
        """Run ``work`` in one of this pull's threads, and never leave it behind.

        ``interrupt`` makes it end soon when the caller is cancelled.
        """
        running = asyncio.get_running_loop().run_in_executor(self._threads, work)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            interrupt()
            await asyncio.wait({running})
            running.exception()  # which nobody asks for any more
            raise

    def broke_off(self, what: str, cut: Cut) -> Unavailable:
        return Unavailable(
            f"registry {self.subject.registry} broke off {what} {self.limits.attempts} times: {cut}",
            hint="Try again: what arrived whole is kept.",
        )

    def lacks(self, what: str) -> Unavailable:
        return Unavailable(f"registry {self.subject.registry} lacks {what}")

    @asynccontextmanager
    async def _proxy(self) -> AsyncIterator[BlobProxy]:
        """A proxy for one blob; it is used again only when all went well."""
        async with self._slots:
            if self._resting:
                proxy = self._resting.pop()
            else:
                proxy = await BlobProxy.start(self._session, self.subject, self.limits.idle)
            try:
                yield proxy
            except BaseException:
                await proxy.stop()
                raise
            self._resting.append(proxy)
