"""What can be run in a fake guest.

A program is a coroutine over its :class:`fakes.guest.FakeProcess` that returns
its exit code. ``cmd /c`` in front of a program is taken off, as far as the
tests go that a person would also type against a real guest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.scenario.fakes.guest import FakeProcess

KILLED = 137
CONTROL_C = 0xC000013A
"""STATUS_CONTROL_C_EXIT, what a Windows program returns that Ctrl-C ended."""


def resolve(argv: Sequence[str]) -> list[str]:
    """The words of the program to run. One word with blanks in it is a command line."""
    if len(argv) == 1:
        argv = argv[0].split(" ", 3)
    if [word.lower() for word in argv[:2]] == ["cmd", "/c"]:
        return " ".join(argv[2:]).split()
    if [word.lower() for word in argv[:3]] == ["cmd", "/s", "/c"]:
        return argv[3].split()
    return list(argv)


def flood_bytes(count: int) -> bytes:
    """``count`` bytes that tell where a copy of them went wrong: a period that no buffer size shares."""
    period = bytes(n % 251 for n in range(251 * 263))
    return (period * (count // len(period) + 1))[:count]


def _arguments(process: FakeProcess) -> list[str]:
    return resolve(process.spec.argv)[1:]


async def echo(process: FakeProcess) -> int:
    await process.print(" ".join(_arguments(process)).encode() + b"\n")
    return 0


async def complain(process: FakeProcess) -> int:
    """Print to stdout and to stderr."""
    await process.print(b"to stdout\n")
    await process.print(b"to stderr\n", "stderr")
    return 3


async def environment(process: FakeProcess) -> int:
    lines = [f"{name}={value}\n" for name, value in sorted(process.spec.env.items())]
    await process.print("".join(lines).encode())
    return 0


async def leave(process: FakeProcess) -> int:
    return int(_arguments(process)[0])


async def cat(process: FakeProcess) -> int:
    while data := await process.read():
        await process.print(data)
    return 0


async def sort(process: FakeProcess) -> int:
    data = b""
    while piece := await process.read():
        data += piece
    await process.print(b"".join(sorted(data.splitlines(keepends=True))))
    return 0


async def flood(process: FakeProcess) -> int:
    """``flood COUNT [STREAM]``"""
    count, *rest = _arguments(process)
    await process.print(flood_bytes(int(count)), "stderr" if rest == ["stderr"] else "stdout")
    return 0


async def lines(process: FakeProcess) -> int:
    """``lines COUNT``: numbered lines, in turn on stdout and stderr."""
    for number in range(int(_arguments(process)[0])):
        await process.print(f"line {number}\n".encode(), "stderr" if number % 2 else "stdout")
    return 0


async def hang(process: FakeProcess) -> int:
    """Wait for a signal, say which, and end."""
    await process.print(b"hanging\n")
    name = await process.signals.get()
    await process.print(f"got {name}\n".encode())
    return CONTROL_C


async def stubborn(process: FakeProcess) -> int:
    """Hear no signal but KILL, which it cannot hear."""
    await process.print(b"hanging\n")
    await asyncio.get_running_loop().create_future()
    return 0


async def doctor(process: FakeProcess) -> int:
    """A health check: it says what a test made of the guest."""
    await process.print(b"sick\n" if process.sick else b"well\n")
    return int(process.sick)


async def screen(process: FakeProcess) -> int:
    """A full-screen program: say the terminal's size, echo keys, follow the size, end with q."""

    async def follow_size() -> None:
        rows, columns = process.spec.terminal or (0, 0)
        while True:
            await process.print(f"{rows}x{columns}\r\n".encode())
            rows, columns = await process.sizes.get()

    following = asyncio.create_task(follow_size())
    try:
        while (data := await process.read()) not in (b"", b"q"):
            await process.print(b"<" + data.hex().encode() + b">")
    finally:
        following.cancel()
    return 5


async def store(process: FakeProcess) -> int:
    """``store NAME TEXT``: write a file."""
    name, *text = _arguments(process)
    process.store(name, " ".join(text))
    return 0


async def crash(process: FakeProcess) -> int:
    from tests.scenario.fakes.guest import GuestLost

    await process.print(b"before the end\n")
    raise GuestLost


PROGRAMS: dict[str, Callable[[FakeProcess], Awaitable[int]]] = {
    "cat": cat,
    "complain": complain,
    "doctor": doctor,
    "crash": crash,
    "echo": echo,
    "exit": leave,
    "flood": flood,
    "hang": hang,
    "lines": lines,
    "screen": screen,
    "set": environment,
    "sort": sort,
    "store": store,
    "stubborn": stubborn,
}
