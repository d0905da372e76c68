"""Terminals: a pty of Linux, a pseudo-console of Windows."""

from __future__ import annotations

import re

import pytest

from linwin.errors import InvalidRequest
from linwin.guest import AgentGuest

from .streams import until
from .targets import Target

SIZE = (24, 80)


def plain(drawn: bytes) -> bytes:
    """What a terminal shows, without the sequences that say where and how."""
    return re.sub(rb"\x1b\[[?\d;]*[A-Za-z]|\x1b\][^\x07]*\x07", b"", drawn)


async def test_a_terminal_reads_a_line_and_shows_it(target: Target, guest: AgentGuest) -> None:
    process = await guest.spawn("p", target.spec("line", "6", stdin=True, terminal=SIZE))
    output = process.output()
    assert plain(await until(output, b"ready")).startswith(b"ready")
    await process.write(b"word\r")
    seen = b""
    async for chunk in output:
        assert chunk.stream == "stdout"
        seen += chunk.data
    assert b"word\r\ngot word\r\n" in plain(seen)
    assert await process.wait() == 6


async def test_stderr_is_the_same_terminal(target: Target, guest: AgentGuest) -> None:
    process = await guest.spawn("p", target.spec("complain", "err", terminal=SIZE))
    chunks = [chunk async for chunk in process.output()]
    assert {chunk.stream for chunk in chunks} == {"stdout"}
    assert plain(b"".join(chunk.data for chunk in chunks)).startswith(b"err\r\n")


async def test_standard_handles_are_the_terminal(target: Target, guest: AgentGuest) -> None:
    target.needs("console handles")
    if target.windows:
        spec = target.line((), "cmd /d /c echo shown", terminal=SIZE)
    else:
        spec = target.line(("sh", "-c", "tty <&2 >/dev/null && echo shown"), "", terminal=SIZE)
    assert b"shown" in plain(await until((await guest.spawn("p", spec)).output(), b"shown"))


async def test_an_end_of_stdin_is_no_end_of_a_terminal(target: Target, guest: AgentGuest) -> None:
    process = await guest.spawn("p", target.spec("line", "5", stdin=True, terminal=SIZE))
    output = process.output()
    await until(output, b"ready")
    await process.write(b"last\r")
    await process.close_stdin()
    await until(output, b"got last")
    assert await process.wait() == 5


async def test_a_terminal_has_its_first_size(target: Target, guest: AgentGuest) -> None:
    process = await guest.spawn("p", target.spec("size", stdin=True, terminal=(31, 97)))
    await until(process.output(), b"size 31 97")
    await process.signal("KILL")
    assert await process.wait() == 137
    await process.resize(25, 80)  # no-op after the end


async def test_a_terminal_follows_its_size(target: Target, guest: AgentGuest) -> None:
    target.needs("resize")
    process = await guest.spawn("p", target.spec("size", stdin=True, terminal=SIZE))
    output = process.output()
    await until(output, b"size 24 80")
    await process.resize(50, 132)
    await process.write(b" ")  # Wine tells of the change before it is one: a key has the program look
    await until(output, b"size 50 132")
    await process.signal("KILL")


async def test_a_size_without_room_is_refused(target: Target, guest: AgentGuest) -> None:
    process = await guest.spawn("p", target.spec("size", stdin=True, terminal=SIZE))
    with pytest.raises(InvalidRequest, match=r"^a terminal of 0 rows and 80 columns$"):
        await process.resize(0, 80)
    await process.signal("KILL")
    with pytest.raises(InvalidRequest, match=r"^a terminal of 24 rows and 0 columns$"):
        await guest.spawn("q", target.spec("size", terminal=(24, 0)))


async def test_only_a_terminal_is_resized(target: Target, guest: AgentGuest) -> None:
    process = await guest.spawn("p", target.spec("sleep"))
    with pytest.raises(InvalidRequest, match=rf"^process {target.prefix}p has no terminal$"):
        await process.resize(24, 80)
    await process.signal("KILL")


async def test_a_key_interrupts(target: Target, guest: AgentGuest) -> None:
    target.needs("interrupt key")
    process = await guest.spawn("p", target.spec("trap", "4", stdin=True, terminal=SIZE))
    output = process.output()
    await until(output, b"ready")
    await process.write(b"\x03")
    await until(output, b"caught interrupt")
    assert await process.wait() == 4


async def test_a_killed_terminal_leaves_its_output(target: Target, guest: AgentGuest) -> None:
    process = await guest.spawn("p", target.spec("sleep", stdin=True, terminal=SIZE))
    output = process.output()
    await until(output, b"ready")
    await process.signal("KILL")
    assert await process.wait() == 137
    assert all(chunk.stream == "stdout" for chunk in [chunk async for chunk in output])
