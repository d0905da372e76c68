"""Checks of terminals: ConPTY in a Windows guest, a pty of the agent's in a wine guest."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from linwin.engine.verify.bench import Bench
from linwin.engine.verify.box import Box, Dialogue
from linwin.engine.verify.check import Failed, Unchecked
from linwin.errors import LinwinError

RULER = "0123456789" * 7
"""Text that is longer than a narrow terminal's line, and not than a wide one's. Wine has no ``mode con``."""
NARROW, WIDE = (33, 47), (31, 93)
"""Rows and columns, numbers that nothing else has."""
ASKED = 10
"""How often a program is asked for its size after a change: nothing tells when it has heard of it."""
PROMPT, ANSWERED, INTERRUPT = b">", b"asked-Windows_NT", b"\x03"
NO_TERMINALS = "pseudo-consoles"
"""In the agent's sentence where Windows has none: docs/windows-agent.md."""
_SEQUENCE = re.compile(rb"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07]*\x07|[=>])")
"""What moves a cursor and draws nothing: control sequences (ECMA-48, 5.4), and xterm's titles."""


async def size(bench: Bench, box: Box) -> str:
    for chosen in (NARROW, WIDE):
        async with _terminal(box, "cmd", "/c", _question(bench), size=chosen) as terminal:
            _check_width(bench, await terminal.rest(), chosen[1])
    return f"programs see {NARROW[1]} and {WIDE[1]} columns"


async def resize(bench: Bench, box: Box) -> str:
    async with _terminal(box, "cmd", size=WIDE) as terminal:
        await terminal.until(PROMPT)
        await terminal.resize(*NARROW)
        for asked in range(1, ASKED + 1):
            await terminal.type(f"{_question(bench)}& echo asked-%OS%\r".encode())
            try:
                _check_width(bench, await terminal.until(ANSWERED), NARROW[1])
            except Failed:
                if asked == ASKED:
                    raise
            else:
                break
        await terminal.type(b"exit\r")
        await terminal.rest()
    return f"from {WIDE[1]} to {NARROW[1]} columns"


async def interrupt(bench: Bench, box: Box) -> str:
    async with _terminal(box, "ping", "-n", "100000", "127.0.0.1", size=WIDE) as terminal:
        await terminal.until(b"TTL=")
        await terminal.type(INTERRUPT)
        await terminal.rest()
    return "Ctrl-C ended ping"


@asynccontextmanager
async def _terminal(box: Box, *words: str, size: tuple[int, int]) -> AsyncIterator[Dialogue]:
    """A program at a terminal. Raises Unchecked where this Windows has none."""
    try:
        async with box.dialogue(*words, size=size, env=(f"RULER={RULER}",)) as terminal:
            yield terminal
    except LinwinError as error:
        if NO_TERMINALS in error.message:
            raise Unchecked(error.message) from error
        raise


def _question(bench: Bench) -> str:
    return "echo %RULER%" if bench.is_wine else "mode con"


def _check_width(bench: Bench, shown: bytes, columns: int) -> None:
    """Wine breaks a line at the terminal's end; Windows' mode says how many columns there are."""
    plain = _SEQUENCE.sub(b"", shown).decode(errors="replace")
    if bench.is_wine:
        broken = "\r\n".join(filter(None, (RULER[:columns], RULER[columns:])))
        right = broken in plain
    else:
        right = re.search(rf"\b{columns}\b", plain) is not None
    if not right:
        raise Failed(f"a terminal of {columns} columns", repr(plain))
