"""What a guest writes to its console cannot fill the disk or drive a terminal."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from linwin.errors import Unavailable
from linwin.machine import console
from linwin.machine.console import ConsoleLog, Printer, last_lines, trim


def test_the_last_lines_without_the_blank_ones(tmp_path: Path) -> None:
    log = tmp_path / "console.log"
    log.write_bytes(b"one\r\n\r\ntwo\r\n   \r\nthree")
    assert last_lines(log, 2) == ("two", "three")
    assert last_lines(log, 9) == ("one", "two", "three")
    assert last_lines(log, 0) == ()
    assert last_lines(tmp_path / "none", 9) == ()


def test_a_terminal_is_not_driven(tmp_path: Path) -> None:
    log = tmp_path / "console.log"
    log.write_bytes(b"\x1bc\x1b[2J\x1b[1;31mred\x07\x9b\xff\ttab\x1b]0;title\x07\n")
    (line,) = last_lines(log, 5)
    assert line.isprintable()
    assert "\x1b" not in line
    assert "red" in line


def test_an_endless_line_is_cut(tmp_path: Path) -> None:
    log = tmp_path / "console.log"
    log.write_bytes(b"x" * 200_000)
    assert last_lines(log, 5) == ("x" * 500,)


def test_a_log_that_outgrew_its_limit_keeps_its_end(tmp_path: Path) -> None:
    log = tmp_path / "console.log"
    fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        os.write(fd, b"y" * console.LIMIT)
        trim(log)
        assert log.stat().st_size == console.LIMIT
        os.write(fd, b"the end\n")
        trim(log)
        os.write(fd, b"and more\n")
    finally:
        os.close(fd)
    assert log.stat().st_size == (64 << 10) + 9
    assert log.read_bytes().endswith(b"yythe end\nand more\n")
    trim(tmp_path / "none")


# Text that cannot drive a terminal

WRITTEN = (
    "\x1b[2J\x1b[01;01HBdsDxe: loading\r\r\n"  # as OVMF begins
    "\x1b(B\x1b7\x1b[1;31mna\u00efve\x1b[0m \u2713\tend\x07\r\n"
    "50%\r100%\r\n\x1b]0;title\x07prompt> "
)
SHOWN = "BdsDxe: loading\nna\u00efve \u2713\tend\n50%\n100%\n0;titleprompt> "


def test_what_is_shown_of_what_a_guest_writes() -> None:
    assert Printer().text(WRITTEN.encode()) == SHOWN
    assert Printer().text(b"\xff\xfe\xe2\x80\xae\xc2\x9b31m") == "\ufffd\ufffd31m", "no C1, no bidi"


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_it_is_the_same_however_it_comes(size: int) -> None:
    printer, data = Printer(), WRITTEN.encode()
    pieces = [printer.text(data[at : at + size]) for at in range(0, len(data), size)]
    assert "".join(pieces).replace("\n\n", "\n") == SHOWN  # of CR CR LF that is torn, both show


def test_nothing_is_held_back_without_end() -> None:
    printer = Printer()
    shown = "".join(printer.text(piece) for piece in (b"\x1b[", b"1;" * 500, b" " * 500, b"\x1b" * 500))
    assert "1;1;1;" in shown
    assert len(printer._held) < 50
    assert "\x1b" not in shown


# Following


class Guest:
    """Writes to a console's log as QEMU does."""

    def __init__(self, path: Path) -> None:
        self.log = ConsoleLog(path)
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def write(self, data: bytes) -> None:
        os.write(self._file, data)

    def close(self) -> None:
        os.close(self._file)

    def read(self, last: int | None = None, *, follow: bool = True) -> AsyncGenerator[str, None]:
        return self.log.read(last=last, follow=follow, over=self.over)


@pytest.fixture
async def guest(tmp_path: Path) -> AsyncIterator[Guest]:
    guest = Guest(tmp_path / "console.log")
    yield guest
    guest.close()


async def rest(text: AsyncGenerator[str, None]) -> str:
    async with asyncio.timeout(10), aclosing(text):
        return "".join([piece async for piece in text])


async def soon(text: AsyncGenerator[str, None]) -> str:
    return await asyncio.wait_for(anext(text), 10)


async def test_history_and_what_follows(guest: Guest) -> None:
    guest.write(b"one\r\ntwo\r\nthr")
    assert await rest(guest.read(follow=False)) == "one\ntwo\nthr"
    assert await rest(guest.read(2, follow=False)) == "two\nthr"
    assert await rest(guest.read(0, follow=False)) == ""
    following = guest.read(1)
    assert await soon(following) == "thr"
    waiting = asyncio.create_task(soon(following))
    await asyncio.sleep(0)
    guest.write(b"ee\r\n")
    assert await waiting == "ee\n"
    guest.write(b"the last words")
    guest.over.set_result(None)
    assert await rest(following) == "the last words"
    assert await rest(guest.read()) == "one\ntwo\nthree\nthe last words"


async def test_a_reader_is_not_lost_when_the_log_is_cut(guest: Guest, tmp_path: Path) -> None:
    line = b"0123456789abcde\n"
    following = guest.read()
    assert await soon(following) == ""
    guest.write(line * (console.LIMIT // len(line) + 1))
    read = ""
    while len(read) < console.LIMIT:
        read += await soon(following)
    guest.log.trim()
    assert (tmp_path / "console.log").stat().st_size == 64 << 10
    guest.write(b"on it goes\n")
    read += await soon(following)
    while not read.endswith("on it goes\n"):
        read += await soon(following)
    assert read == line.decode() * (console.LIMIT // len(line) + 1) + "on it goes\n"
    await following.aclose()


async def test_a_reader_that_is_too_slow_is_told_what_it_missed(guest: Guest) -> None:
    following = guest.read()
    assert await soon(following) == ""
    guest.write(b"x" * (console.LIMIT + 1))
    guest.log.trim()
    missed = console.LIMIT + 1 - (64 << 10)
    assert await soon(following) == f"\n[{missed} bytes were not read in time]\n"
    assert await soon(following) == "x" * (64 << 10)
    await following.aclose()


async def test_a_machine_that_moves_is_followed_on(guest: Guest, tmp_path: Path) -> None:
    following = guest.read()
    assert await soon(following) == ""
    (tmp_path / "elsewhere").mkdir()
    guest.log.path = (tmp_path / "console.log").rename(tmp_path / "elsewhere" / "console.log")
    guest.write(b"moved\n")
    assert await soon(following) == "moved\n"
    assert await rest(guest.read(follow=False)) == "moved\n"
    await following.aclose()


async def test_no_descriptor_is_left(guest: Guest) -> None:
    before = os.listdir("/proc/self/fd")
    following = guest.read()
    assert await soon(following) == ""
    assert len(os.listdir("/proc/self/fd")) > len(before)
    await following.aclose()
    assert os.listdir("/proc/self/fd") == before


async def test_a_log_that_is_gone(guest: Guest, tmp_path: Path) -> None:
    guest.log.path = tmp_path / "none"
    with pytest.raises(Unavailable) as caught:
        await rest(guest.read())
    assert str(caught.value) == f"the console cannot be read: No such file or directory: {tmp_path}/none"
