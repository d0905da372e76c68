from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from linwin.api.outbox import LIMIT, send_all
from linwin.errors import Unavailable


class Client:
    """Takes what is written, when it may."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.may_take = asyncio.Event()
        self.may_take.set()
        self.wrote = asyncio.Event()

    async def write(self, data: bytes) -> None:
        await self.may_take.wait()
        self.writes.append(data)
        self.wrote.set()


async def test_what_is_there_at_once_is_written_at_once() -> None:
    more = asyncio.Event()

    async def pieces() -> AsyncGenerator[bytes, None]:
        for number in range(1000):
            yield b"%d\n" % number
        await more.wait()
        yield b"late\n"

    client = Client()
    sending = asyncio.create_task(send_all(pieces(), client.write))
    await client.wrote.wait()
    assert client.writes == [b"".join(b"%d\n" % number for number in range(1000))]
    more.set()
    await sending
    assert client.writes[1:] == [b"late\n"]


async def test_a_slow_client_holds_the_source() -> None:
    produced = 0

    async def pieces() -> AsyncGenerator[bytes, None]:
        nonlocal produced
        for _ in range(100):
            produced += LIMIT // 4
            yield b"x" * (LIMIT // 4)

    client = Client()
    client.may_take.clear()
    sending = asyncio.create_task(send_all(pieces(), client.write))
    for _ in range(50):
        await asyncio.sleep(0)
    assert produced <= 3 * LIMIT
    client.may_take.set()
    await sending
    assert sum(map(len, client.writes)) == 25 * LIMIT


async def test_errors_come_after_what_came_before_them() -> None:
    async def pieces() -> AsyncGenerator[bytes, None]:
        yield b"before"
        raise Unavailable("gone")

    client = Client()
    with pytest.raises(Unavailable):
        await send_all(pieces(), client.write)
    assert client.writes == [b"before"]


async def test_a_client_that_leaves_closes_the_source() -> None:
    closed = []

    async def pieces() -> AsyncGenerator[bytes, None]:
        try:
            yield b"first"
            await asyncio.Event().wait()
        finally:
            closed.append(True)

    client = Client()
    sending = asyncio.create_task(send_all(pieces(), client.write))
    await client.wrote.wait()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert closed == [True]


async def test_nothing_is_written_for_nothing() -> None:
    async def pieces() -> AsyncGenerator[bytes, None]:
        for _ in ():
            yield b""

    client = Client()
    await send_all(pieces(), client.write)
    assert client.writes == []
