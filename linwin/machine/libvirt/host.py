"""The connection to libvirtd: the only place that meets ``libvirt`` and its errors.

libvirt's calls block, so each is made in a thread. Its events come in a thread of their own, which
libvirt's default event loop has for as long as the process lives, and are handed to asyncio there.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any, TypeVar
from uuid import UUID

from linwin.errors import LinwinError, NotFound, Unavailable

T = TypeVar("T")

MOST_CALLS = 16
"""Calls that wait for libvirt at once; further ones wait for these."""

_log = logging.getLogger(__name__)
_looping = threading.Lock()
_loop_thread: threading.Thread | None = None


@dataclass(frozen=True, slots=True)
class Stopped:
    """A domain has ended, and libvirt has forgotten it."""


@dataclass(frozen=True, slots=True)
class Removed:
    """A device is gone from a domain, or with ``kept`` its guest has refused to let go of it."""

    alias: str
    kept: bool = False


@dataclass(frozen=True, slots=True)
class Restarted:
    """A guest has restarted its domain."""


Event = Stopped | Removed | Restarted


class LibvirtHost:
    """A connection to one libvirtd, opened when it is first needed, and anew when it was lost."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._connection: Any = None
        self._followed: list[int] = []  # by numbers of libvirt's
        self._opening = threading.Lock()
        self._threads = ThreadPoolExecutor(MOST_CALLS, thread_name_prefix="libvirt")
        self._listeners: dict[str, list[Callable[[Event], None]]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    async def call(
        self, what: str, function: Callable[[Any], T], *, undo: Callable[[T], object] | None = None
    ) -> T:
        """What ``function`` makes of the connection; ``what`` says in an error what was to be done.

        Raises NotFound for a domain or device that is not there, Unavailable in libvirt's words. It
        cannot be cancelled: what was begun is awaited, so that its caller knows what there is to undo.
        ``undo`` gets what a caller that was cancelled cannot have.
        """
        self._loop = asyncio.get_running_loop()
        context = contextvars.copy_context()
        work = functools.partial(context.run, self._do, what, function)
        return await _to_its_end(self._loop.run_in_executor(self._threads, work), undo)

    async def domain_call(
        self,
        uuid: UUID,
        what: str,
        function: Callable[[Any], T],
        *,
        undo: Callable[[T], object] | None = None,
    ) -> T:
        """The same for a domain."""
        return await self.call(
            what, lambda connection: function(connection.lookupByUUIDString(str(uuid))), undo=undo
        )

    @contextmanager
    def events(self, uuid: UUID, listener: Callable[[Event], None]) -> Iterator[None]:
        """Tell ``listener`` what happens to a domain, as long as the context lasts."""
        listeners = self._listeners.setdefault(str(uuid), [])
        listeners.append(listener)
        try:
            yield
        finally:
            listeners.remove(listener)
            if not listeners and self._listeners.get(str(uuid)) is listeners:
                del self._listeners[str(uuid)]

    async def close(self) -> None:
        """Let go of the connection; domains run on. Idempotent."""
        await asyncio.to_thread(self._close)

    def _do(self, what: str, function: Callable[[Any], T]) -> T:
        libvirt = binding()
        try:
            return function(self._connected(libvirt))
        except libvirt.libvirtError as error:
            raise _translated(libvirt, error, what) from error

    def _connected(self, libvirt: ModuleType) -> Any:
        with self._opening:
            if self._connection is None or not self._connection.isAlive():
                self._connection = None
                _start_event_loop(libvirt)
                try:
                    connection = libvirt.open(self.uri)
                except libvirt.libvirtError as error:
                    raise Unavailable(
                        f"libvirt at {self.uri} does not answer: {error.get_error_message()}",
                        hint="Start it: systemctl start libvirtd; or leave [machine] out of linwin.toml, "
                        "and QEMU is driven without it.",
                    ) from error
                try:
                    self._follow(libvirt, connection)
                except BaseException:
                    self._let_go(libvirt, connection)
                    raise
                self._connection = connection
            return self._connection

    def _follow(self, libvirt: ModuleType, connection: Any) -> None:
        def lifecycle(_connection: Any, domain: Any, event: int, _detail: int, _opaque: None) -> None:
            if event == libvirt.VIR_DOMAIN_EVENT_STOPPED:
                self._tell(domain, Stopped())

        def removed(_connection: Any, domain: Any, alias: str, kept: bool) -> None:
            self._tell(domain, Removed(alias, kept))

        def rebooted(_connection: Any, domain: Any, _opaque: None) -> None:
            self._tell(domain, Restarted())

        register = connection.domainEventRegisterAny
        self._followed = []  # those of a connection that was lost went with it
        for number, listener, opaque in (
            (libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, lifecycle, None),
            (libvirt.VIR_DOMAIN_EVENT_ID_REBOOT, rebooted, None),
            (libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, removed, False),
            (libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_REMOVAL_FAILED, removed, True),
        ):
            self._followed.append(register(None, number, listener, opaque))
        try:
            connection.setKeepAlive(5, 5)  # a libvirtd that hangs is told from one that takes its time
        except libvirt.libvirtError as error:
            if error.get_error_code() != libvirt.VIR_ERR_NO_SUPPORT:  # by drivers within this process
                raise

    def _tell(self, domain: Any, event: Event) -> None:
        """Hand an event to asyncio's thread, unless the daemon is on its way out."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._dispatch, domain.UUIDString(), event)

    def _dispatch(self, uuid: str, event: Event) -> None:
        for listener in tuple(self._listeners.get(uuid, ())):
            listener(event)

    def _close(self) -> None:
        with self._opening:
            connection, self._connection = self._connection, None
        if connection is not None:
            self._let_go(binding(), connection)
        self._threads.shutdown(wait=False)

    def _let_go(self, libvirt: ModuleType, connection: Any) -> None:
        try:
            while self._followed:  # each holds the connection open
                connection.domainEventDeregisterAny(self._followed.pop())
            connection.close()
        except libvirt.libvirtError as error:
            _log.debug("the connection to libvirt was lost before it was closed: %s", error)


def binding() -> ModuleType:
    """libvirt's Python module. Raises Unavailable where it is not installed."""
    try:
        import libvirt  # an extra of linwin's, and slow to load
    except ImportError as error:
        raise Unavailable(
            "the libvirt driver needs libvirt's Python module, which is not installed",
            hint="Install it: pip install 'linwin[libvirt]' (it is built with libvirt-dev and pkg-config).",
        ) from error
    module: ModuleType = libvirt
    return module


def _start_event_loop(libvirt: ModuleType) -> None:
    """Once a process, and before the first connection is opened."""
    global _loop_thread
    with _looping:
        if _loop_thread is not None:
            return
        libvirt.registerErrorHandler(lambda _context, _error: None, None)  # it would print them
        libvirt.virEventRegisterDefaultImpl()
        _loop_thread = threading.Thread(
            target=_run_event_loop, args=(libvirt,), name="libvirt events", daemon=True
        )
        _loop_thread.start()


def _run_event_loop(libvirt: ModuleType) -> None:
    while True:
        try:
            libvirt.virEventRunDefaultImpl()
        except libvirt.libvirtError as error:
            _log.error("libvirt's events: %s", error)


def _translated(libvirt: ModuleType, error: Any, what: str) -> LinwinError:
    missing = (libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_DEVICE_MISSING)
    kind = NotFound if error.get_error_code() in missing else Unavailable
    return kind(f"libvirt did not {what}: {error.get_error_message()}")


async def _to_its_end(work: asyncio.Future[T], undo: Callable[[T], object] | None) -> T:
    """The result of work that cannot be interrupted; a cancellation takes effect after it."""
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait([work])
        # Nobody else will look at how it ended.
        if not work.cancelled() and work.exception() is None and undo is not None:
            undo(work.result())
        raise
