"""The disc that Windows Setup finds its answers, drivers and the agent on: ISO 9660 with Joliet names."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from linwin.host import process
from linwin.templates.windows import agent_service, setup_answers, setup_script

LABEL = "LINWIN"
_TIMEOUT = 600.0  # seconds; the drivers take 40 MB at most


async def make(
    disc: Path,
    folder: Path,
    *,
    answers: bytes,
    clone_answers: bytes,
    agent: Path,
    drivers: Mapping[str, Path],
) -> None:
    """Write the disc; ``folder`` is an empty one for its content.

    ``drivers`` are folders by the names that the answers know them by. Raises Unavailable or OSError.
    """
    ours = folder / setup_answers.FOLDER
    ours.mkdir()
    (folder / setup_answers.FILE).write_bytes(answers)
    (ours / setup_script.CLONE_ANSWERS).write_bytes(clone_answers)
    (ours / setup_answers.SCRIPT).write_bytes(setup_script.script())
    shutil.copyfile(agent, ours / agent_service.PROGRAM)
    for name, source in drivers.items():
        shutil.copytree(source, ours / setup_answers.DRIVERS / name)
    words = ["-as", "mkisofs", "-quiet", "-iso-level", "3", "-joliet", "-joliet-long", "-volid", LABEL]
    await process.run(["xorriso", *words, "-output", disc, folder], check=True, timeout=_TIMEOUT)
    shutil.rmtree(folder)
