"""A chain → one disk that needs no other file."""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from linwin.disks.durable import publish
from linwin.errors import Unavailable
from linwin.host.programs import find_program, last_words
from linwin.host.workers import end, tail

PERCENT = re.compile(rb"\(([0-9]{1,3}\.[0-9]+)/100%\)")
READ_SIZE = 4096


async def flatten(chain_end: Path, target: Path, advanced: Callable[[float], None]) -> None:
    """Write what a chain's end shows to ``target``, a qcow2 file that is whole or absent.

    ``advanced`` is told the part done, from 0 to 1. When the caller is
    cancelled, qemu-img is killed before this returns. Raises Unavailable in
    qemu-img's own words, and OSError.
    """
    with beside(target) as unfinished:
        await convert(chain_end, unfinished, advanced)
        await asyncio.to_thread(publish, unfinished, target)


@contextmanager
def beside(target: Path) -> Iterator[Path]:
    """An empty file in the folder of ``target``, gone in the end unless it got another name."""
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    os.close(descriptor)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


async def convert(source: Path, target: Path, advanced: Callable[[float], None]) -> None:
    """Run qemu-img, which dies with this process, and read the progress it prints."""
    # fmt: off
    process = await asyncio.create_subprocess_exec(
        find_program("setpriv"), "--pdeathsig", "KILL", "--",
        find_program("qemu-img"), "convert", "-p", "-f", "qcow2", "-O", "qcow2", source, target,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    # fmt: on
    try:
        async with asyncio.TaskGroup() as tasks:
            complaints = tasks.create_task(tail(process.stderr))
            tasks.create_task(follow(process.stdout, advanced))
        await process.wait()
    finally:
        await end(process)
    if process.returncode != 0:
        said = last_words(complaints.result()) or f"it ended with status {process.returncode}"
        raise Unavailable(f"the disk cannot be flattened: {said}")


async def follow(stdout: asyncio.StreamReader | None, advanced: Callable[[float], None]) -> None:
    """Read ``(12.34/100%)``, which qemu-img writes over and over on one line, to its end."""
    assert stdout is not None
    line = b""
    while data := await stdout.read(READ_SIZE):
        line = (line + data)[-READ_SIZE:]
        if found := PERCENT.findall(line):
            advanced(float(found[-1]) / 100)
            line = line[line.rindex(b"%)") :]
