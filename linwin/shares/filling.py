"""A tar archive of a container's files → plain files of the host, as a new volume begins with them."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO

from linwin.errors import Unavailable
from linwin.host.process import run

_UNFINISHED = "filling"
_END = bytes(1024)
"""What a tar archive ends with: two blocks of nothing."""


@asynccontextmanager
async def unpacked(pieces: AsyncGenerator[bytes, None], folder: Path, scratch: Path) -> AsyncIterator[Path]:
    """All that is in an archive, in a folder beside ``folder``. What is left of it at the end goes.

    Raises OSError, Unavailable for an archive that is no whole one.
    """
    unfinished = folder.with_name(_UNFINISHED)
    with await asyncio.to_thread(_spool, scratch) as archive:
        async for piece in pieces:
            await asyncio.to_thread(archive.write, piece)
        archive.flush()
        await asyncio.to_thread(_check_whole, archive)
        await asyncio.to_thread(_clear, unfinished)  # a daemon that was killed may have left one
        try:
            await asyncio.to_thread(unfinished.mkdir)
            await _unpack(archive.fileno(), unfinished)
            yield unfinished
        finally:
            await asyncio.to_thread(_clear, unfinished)


def put_in_place(whole: Path, folder: Path, *, in_use: bool) -> None:
    """Make ``folder`` what ``whole`` is, unless somebody wrote to it meanwhile.

    At once, by a rename. One ``in_use`` stays the folder that it is, and gets one file after the other.
    """
    if os.listdir(folder):
        return
    if in_use:
        for name in os.listdir(whole):
            os.rename(whole / name, folder / name)
        return
    status = folder.stat()
    os.chown(whole, status.st_uid, status.st_gid)
    whole.chmod(status.st_mode & 0o7777)
    os.replace(whole, folder)


def _spool(scratch: Path) -> IO[bytes]:
    scratch.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryFile(dir=scratch)


def _check_whole(archive: IO[bytes]) -> None:
    """Raise Unavailable for an archive without an end, which tar takes for one all the same."""
    archive.seek(-min(len(_END), archive.tell()), os.SEEK_END)
    if archive.read() != _END:
        raise Unavailable("the files that a volume is to begin with were not read to their end")


def _clear(unfinished: Path) -> None:
    if unfinished.exists():
        shutil.rmtree(unfinished)


async def _unpack(archive: int, folder: Path) -> None:
    """GNU tar keeps links and names that lead elsewhere from being followed."""
    os.lseek(archive, 0, os.SEEK_SET)
    await run(
        [
            *("tar", "--extract", f"--file=/dev/fd/{archive}", f"--directory={folder}"),
            *("--no-same-owner", "--no-same-permissions", "--warning=no-unknown-keyword"),
        ],
        pass_fds=[archive],
        check=True,
    )
