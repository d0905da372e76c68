"""Has programs look at chains: qemu-img at every file's format, libntfs-3g at the volume it shows."""

from __future__ import annotations

import asyncio
import filecmp
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from linwin.disks.c_start import c_start
from linwin.disks.survey import Survey, title
from linwin.errors import Internal
from linwin.host.process import Completed, run
from linwin.model.progress import Progress, Report
from linwin.model.template import Template

TIMEOUT = 300.0
"""Seconds for one look. At a chain of 100,000 files it takes less than one."""

CORRUPTIONS, LEAKS = 2, 3
"""What qemu-img check ends with, beside 0 and failures of its own."""


async def examine(
    found: Survey,
    bases: Mapping[str, Template],
    work_dir: Callable[[], AbstractContextManager[Path]],
    report: Report,
) -> None:
    """Add what the programs find to the survey's problems.

    ``bases`` are the templates by the name of the file that is to be their C:
    disk. ``work_dir`` gives a private folder for a socket. Raises Unavailable
    when a program is missing.
    """
    for name in sorted(bases.keys() & found.files.keys() - found.problems.keys()):
        if not await asyncio.to_thread(same, found.folder / name, bases[name].c_disk):
            found.problems[name] = f"is not the C: disk of template {bases[name].name}"
    # What stands on a damaged file is blamed for that alone. What is hidden by a file further up counts,
    # since each file is the end of a chain for somebody.
    upwards = [name for name in reversed(found.ends_first(found.files)) if is_sound(found, name)]
    for done, name in enumerate(upwards):
        report(Progress("Checking", "chains", done, len(upwards)))
        if is_sound(found, name) and (wrong := await wrong_inside(found.folder / name, work_dir)):
            found.problems[name] = wrong
    report(Progress("Checking", "chains", len(upwards), len(upwards)))
    spread(found)


def is_sound(found: Survey, name: str) -> bool:
    """Whether nothing is known against a file and those it stands on."""
    return not any(below in found.problems for below in found.lineage(name))


def spread(found: Survey) -> None:
    """Blame every file that stands on one with a problem."""
    for name in reversed(found.ends_first(found.files)):
        below = found.backing(name)
        if below in found.problems:
            found.problems.setdefault(name, f"stands on {title(below)}, which is damaged")


def same(base: Path, c_disk: Path) -> bool:
    """Whether a chain's base is the template's disk: a link to it, or a copy."""
    try:
        return base.samefile(c_disk) or filecmp.cmp(base, c_disk, shallow=False)
    except FileNotFoundError:
        return True  # the template is gone; its chains do without it


async def wrong_inside(path: Path, work_dir: Callable[[], AbstractContextManager[Path]]) -> str:
    """What is wrong with a file's tables, or with the volume that it shows; nothing when all is well."""
    if wrong := await wrong_format(path):
        return wrong
    with work_dir() as work:
        return await wrong_volume(path, work)


async def wrong_format(path: Path) -> str:
    """What qemu-img finds wrong with a file's tables; nothing when they are sound."""
    done = await within_time(["qemu-img", "check", "-U", "-f", "qcow2", path])
    if done is None:
        return f"could not be checked within {TIMEOUT:g} s"
    if done.returncode == 0:
        return ""
    if done.returncode == LEAKS:
        return "has clusters that nothing refers to"
    return (
        "has errors in its tables"
        if done.returncode == CORRUPTIONS
        else f"cannot be checked: {done.last_words}"
    )


async def wrong_volume(disk: Path, work: Path) -> str:
    """What is wrong with the volume that a disk shows; nothing when it is sound."""
    try:
        start = await asyncio.to_thread(c_start, disk)
    except Internal as error:
        return f"shows no volume: {error.message}"
    module = [sys.executable, "-m", "linwin.disks.verify"]
    done = await within_time([*module, str(disk), str(start), str(work), str(os.getpid())])
    if done is None:
        return f"shows a volume that could not be looked at within {TIMEOUT:g} s"
    if done.returncode != 0:
        return f"shows a volume that cannot be looked at: {done.last_words or done.returncode}"
    return done.stdout.decode(errors="replace").strip()


async def within_time(argv: Sequence[str | os.PathLike[str]]) -> Completed | None:
    """Run a program to its end; None when that took too long."""
    try:
        async with asyncio.timeout(TIMEOUT):
            return await run(argv)
    except TimeoutError:
        return None
