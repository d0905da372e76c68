"""What a Windows gets beside its own to become a template: edits of its hives, files, and who may use them.

Both ways to a template come here: a build, which puts files into an image, and an import, which puts them
into a volume that exists.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from linwin.templates.windows import agent_service, driver_store, hive, security, unattend
from linwin.templates.windows.driver_store import Stored
from linwin.templates.windows.listing import Listing

CONFIG = "Windows/System32/config"
HIVES = ("SYSTEM", "SOFTWARE", "DRIVERS")
AGENT = f"{agent_service.FOLDER}/{agent_service.PROGRAM}"


async def register(hives: Mapping[str, Path], stored: Sequence[Stored], taken: Iterable[str]) -> None:
    """Put drivers and the agent into hives, by their names; ``taken`` are the image's lower-case paths."""
    current = await hive.control_set(hives["SYSTEM"])
    system = [driver_store.system_edits(one, current) for one in stored]
    if stored:
        system.append(driver_store.inf_map(stored, taken))
    await hive.merge(hives["SYSTEM"], hive.combined(*system, agent_service.edits(current)))
    if stored:
        await hive.merge(hives["SOFTWARE"], hive.combined(*map(driver_store.software_edits, stored)))
        await hive.merge(hives["DRIVERS"], hive.combined(*map(driver_store.drivers_edits, stored)))


def driver_files(stored: Iterable[Stored], folders: Mapping[str, Path]) -> dict[str, Path]:
    """Drivers' files by the paths that they get; ``folders`` has them, by the names of their INF files."""
    return {
        path: folders[one.package.inf] / name for one in stored for name, path in driver_store.places(one)
    }


def first_start(stored: Iterable[Stored], answers: str) -> dict[str, bytes]:
    """Contents, by their paths, for a Windows whose setup goes on when it starts: answers, and a script."""
    infs = [f"C:\\{driver_store.STORE}/{one.label}/{one.package.inf}".replace("/", "\\") for one in stored]
    agent = f"C:\\{AGENT}".replace("/", "\\")
    return {
        answers: unattend.answers(unattend.password()),
        unattend.SCRIPT: unattend.setup_complete(agent, infs, answers),
    }


def descriptors(found: Listing, added: Iterable[str], answers: str) -> bytes:
    """What ntfssecaudit is to set on added files, spelled as in the volume, and on folders that are new."""
    paths = tuple(added)
    wanted = {path: security.descriptor(secret=path == found.spelled(answers)) for path in paths}
    folders = found.new_folders(paths)
    wanted |= {path: security.descriptor(folder=True) for path in folders}
    return security.restore_file(wanted, folders)
