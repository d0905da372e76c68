"""Between a hijacked connection and an attachment: bytes both ways, and how either side ends it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager

from linwin.api import mux
from linwin.api.hijack import Connection
from linwin.engine.streams import Attachment
from linwin.errors import InvalidRequest, LinwinError
from linwin.model.detach import SPELLING, DetachScanner, parse_keys

logger = logging.getLogger(__name__)

DELIVERY = 5.0
"""Seconds in which a container must take the input of a client that has hung up."""


def detach_keys(text: str) -> bytes:
    """The keys that a client named, docker's where it named none. Raises InvalidRequest."""
    try:
        return parse_keys(text)
    except ValueError as error:
        raise InvalidRequest(f"invalid detach keys ({text}): {error}", hint=SPELLING) from error


@contextmanager
def cutting_off(abort: Callable[[], None], whose: str) -> Iterator[None]:
    """Around streams that have begun: a defect ends them, since its answer would land in their middle."""
    try:
        yield
    except ConnectionError:
        raise
    except Exception:
        logger.exception("the streams of %s were cut off", whose)
        abort()


async def exchange(
    attachment: Attachment,
    connection: Connection,
    feeding: Coroutine[None, None, None] | None,
    *,
    framed: bool,
) -> None:
    """Copy both ways until the output ends or the client hangs up; then what it had sent is delivered."""
    feeder = asyncio.create_task(feeding) if feeding is not None else None
    if feeder is None:
        connection.discard_input()
    try:
        async for stream, data in attachment:
            await connection.send(mux.frame(stream, data) if framed else data)
        await connection.finish()
    except (asyncio.CancelledError, ConnectionError):
        await attachment.detach()
        if feeder is not None:
            await asyncio.wait([feeder], timeout=DELIVERY)
        raise
    finally:
        if feeder is not None:
            feeder.cancel()
            await asyncio.wait([feeder])


async def feed(connection: Connection, attachment: Attachment, *, once: bool, keys: bytes | None) -> None:
    """Pass input on. Its end closes a stdin that was opened for one client, and else detaches this one.

    So do the detach keys, which a terminal's input is searched for and which are not passed on.
    """
    scanner = DetachScanner(keys) if keys else None
    try:
        while data := await connection.receive():
            data, detached = scanner.scan(data) if scanner else (data, False)
            if data:
                await attachment.write(data)
            if detached:
                await attachment.detach()
                return
        await (attachment.close_stdin() if once else attachment.detach())
    except LinwinError as error:  # the guest is lost, which ends the output too
        logger.info("input ended: %s", error)
