"""Runs programs of the host to their end.

Nothing else in linwin starts a subprocess that it waits for: a program that is
missing, fails, hangs or is abandoned is handled here, once.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from linwin.errors import Internal, Unavailable
from linwin.host.programs import find_program, last_words


@dataclass(frozen=True, slots=True)
class Completed:
    """A program that ran to its end; ``returncode`` is negative for a signal."""

    argv: tuple[str, ...]
    returncode: int
    stdout: bytes
    stderr: bytes

    @property
    def last_words(self) -> str:
        """The end of what the program complained about, on one line."""
        return last_words(self.stderr) or last_words(self.stdout)

    def check(self) -> Completed:
        """Return itself, or raise Unavailable in the program's own last words."""
        if self.returncode == 0:
            return self
        said = f": {self.last_words}" if self.last_words else ""
        raise Unavailable(f"{Path(self.argv[0]).name} {_ending(self.returncode)}{said}")


async def run(
    argv: Sequence[str | os.PathLike[str]],
    *,
    input: bytes | None = None,
    timeout: float | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    pass_fds: Sequence[int] = (),
    uid: int = 0,
    groups: Sequence[int] = (),
    check: bool = False,
) -> Completed:
    """Run a program to its end and collect what it wrote.

    The program runs in a session of its own and reads ``input`` or nothing.
    ``env`` replaces the environment; ``uid`` other than 0 is the user and group
    it runs as, with the supplementary ``groups`` and no others. After ``timeout`` seconds, and when the
    caller is cancelled, the program and its children are killed.

    Raises Unavailable for a missing program (naming the Debian package), for
    one that took too long and, with ``check``, for one that did not exit with 0.
    """
    words = tuple(os.fspath(word) for word in argv)
    program = find_program(words[0], env)
    process = await asyncio.create_subprocess_exec(
        program,
        *words[1:],
        stdin=asyncio.subprocess.DEVNULL if input is None else asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=env,
        cwd=cwd,
        pass_fds=pass_fds,
        user=uid or None,
        group=uid or None,
        extra_groups=list(groups) if uid else None,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(timeout):
            stdout, stderr = await process.communicate(input)
    except TimeoutError as error:
        raise Unavailable(f"{Path(program).name} did not finish within {timeout:g} s") from error
    finally:
        if process.returncode is None:
            await _end(process)
    if process.returncode is None:
        raise Internal(f"{Path(program).name} closed its output but its end was not seen")
    completed = Completed(words, process.returncode, stdout, stderr)
    return completed.check() if check else completed


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill a program with its children and reap it."""
    with suppress(ProcessLookupError):  # it ended in the meantime
        os.killpg(process.pid, signal.SIGKILL)
    # The streams must be drained, or the pipes stay open until the collector finds them.
    await asyncio.shield(process.communicate())


def _ending(returncode: int) -> str:
    if returncode >= 0:
        return f"failed with exit code {returncode}"
    try:
        return f"was ended by {signal.Signals(-returncode).name}"
    except ValueError:
        return f"was ended by signal {-returncode}"
