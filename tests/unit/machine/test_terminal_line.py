"""A console behind a pseudo-terminal, and a picture that is not packed yet."""

from __future__ import annotations

import asyncio
import os
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

from linwin.errors import Unavailable
from linwin.machine.line import FileLine
from linwin.machine.picture import as_png
from tests.unit.machine.sitting import read_png


@pytest.fixture
def terminal() -> Iterator[tuple[int, Path]]:
    """The machine's end of a terminal, and the name of the other."""
    ours, theirs = os.openpty()
    tty.setraw(ours)
    path = Path(os.ttyname(theirs))
    os.close(theirs)
    yield ours, path
    os.close(ours)


async def test_bytes_pass_as_they_are(terminal: tuple[int, Path]) -> None:
    machine, path = terminal
    line = FileLine.of_terminal(path)
    receiving = asyncio.create_task(line.receive())
    await asyncio.sleep(0)
    os.write(machine, b"\x03\r\n\x04")
    async with asyncio.timeout(10):
        assert await receiving == b"\x03\r\n\x04"
        await line.send(b"ls\r\x03")
    assert os.read(machine, 100) == b"ls\r\x03"
    line.close()
    line.close()
    assert line.closed


async def test_a_slow_machine_is_waited_for(terminal: tuple[int, Path]) -> None:
    machine, path = terminal
    line = FileLine.of_terminal(path)
    sending = asyncio.create_task(line.send(bytes(100_000)))
    left = 100_000
    async with asyncio.timeout(10):
        while left:
            left -= len(await asyncio.to_thread(os.read, machine, 4096))
        await sending
    line.close()


async def test_the_end_of_the_machine_is_the_end_of_the_line() -> None:
    ours, theirs = os.openpty()
    line = FileLine.of_terminal(Path(os.ttyname(theirs)))
    os.close(theirs)
    os.close(ours)
    assert await line.receive() == b""
    with pytest.raises(Unavailable, match="the machine ended before it took all"):
        await line.send(b"x")
    line.close()


def test_a_pixmap_becomes_a_png() -> None:
    picture = read_png(as_png(b"P6\n3 2\n255\n" + b"\0\0\0\1\2\3\1\2\3" * 2))
    assert (picture.width, picture.height) == (3, 2)
    assert picture.colours == {b"\0\0\0", b"\1\2\3"}
    assert as_png(as_png(b"P6 1 1 255 abc")).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "data",
    [b"", b"P6 2 2 255 abc", b"P6 0 0 255 ", b"P6 1 1 65535 abcdef", b"P5 1 1 255 a", b"\x89PNG\r\n\x1a\n"],
)
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    with pytest.raises(Unavailable):
        as_png(data)
