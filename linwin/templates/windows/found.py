"""What a disk that somebody brought holds: its Windows, as that Windows' own registry tells.

Sources: the values of ``Windows NT\\CurrentVersion`` and Microsoft's "Windows Setup States"; where the
driver database keeps packages, docs/decisions/0036.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from linwin.errors import InvalidRequest, Unsupported
from linwin.templates.windows import agent_service, hive, releases, volume
from linwin.templates.windows.additions import CONFIG, HIVES
from linwin.templates.windows.drivers import BOOT_START

DRIVERS = {
    "viostor": "viostor.inf",
    "vioscsi": "vioscsi.inf",
    "vioserial": "vioser.inf",
    "NetKVM": "netkvm.inf",
    "Balloon": "balloon.inf",
    "viorng": "viorng.inf",
}
"""The drivers that a guest uses: virtio-win's folders, and the INF files in them."""
NEEDED = ("viostor", "vioserial")
"""Without these a guest neither finds its disk nor hears of us."""

_NT = ("Microsoft", "Windows NT", "CurrentVersion")
_STATE = ("Microsoft", "Windows", "CurrentVersion", "Setup", "State")
_COMPLETE, _UNDEPLOYABLE = "IMAGE_STATE_COMPLETE", "IMAGE_STATE_UNDEPLOYABLE"
_STORAGE = ("viostor", "vioscsi")
_DISABLED = 4
_LARGEST_HIVE = 1 << 30
_MOST_WORDS = 100  # letters
_LONGEST_PATH = 260  # letters; Windows' MAX_PATH
_EVALUATION = timedelta(days=180)
_VERSION_AT = 32  # of the four numbers in the database's Version, last one first
_INSTALLATIONS = (releases.NANO, releases.CORE, releases.DESKTOP, releases.CLIENT)


@dataclass(frozen=True, slots=True)
class Windows:
    """``drivers`` are those of :data:`DRIVERS` that are there and take part in a start, with their versions.

    ``generalized`` tells a Windows whose setup goes on at the next start. ``evaluation_ends`` is a day, or
    empty; ``runs_agent`` says whether its service is as ours is to be.
    """

    product: str
    edition: str
    installation: str
    os_version: str
    generalized: bool
    evaluation_ends: str
    drivers: Mapping[str, str]
    runs_agent: bool

    @property
    def build(self) -> int:
        return int(self.os_version.split(".")[2])


async def config(c: Path) -> dict[str, int]:
    """The names in the folder of a volume's hives, with their sizes in bytes; none where there is none."""
    listed = await volume.listing(c, [CONFIG.rpartition("/")[0]])
    return await volume.sizes(c, listed.spelled(CONFIG)) if listed.has(CONFIG) else {}


async def read_hives(c: Path, folder: Path, disk: str) -> dict[str, Path]:
    """Copies of a volume's hives in a folder, by their names. Raises InvalidRequest."""
    sizes = {name.upper(): size for name, size in (await config(c)).items()}
    listed = await volume.listing(c, [CONFIG])
    hives = {}
    for name in HIVES:
        if not 0 < sizes.get(name, 0) <= _LARGEST_HIVE:
            raise InvalidRequest(
                f"the Windows on {disk} has no {CONFIG}/{name}",
                hint="Windows 10 and Server 2016 are the first that have all of: " + ", ".join(HIVES),
            )
        hives[name] = folder / name
        await volume.read(c, listed.spelled(f"{CONFIG}/{name}"), hives[name])
        hive.check(hives[name])
    return hives


async def inspect(hives: Mapping[str, Path], c: Path, disk: str) -> Windows:
    """The Windows of a volume, whose hives are given by their names.

    Raises InvalidRequest for one that cannot be told or cannot start, Unsupported for one of another kind.
    """
    current = await hive.control_set(hives["SYSTEM"])
    await _check_architecture(hives["SYSTEM"], current, disk)
    told = await hive.settings(hives["SOFTWARE"], _NT)
    installation, number = _words(told, "InstallationType"), _words(told, "CurrentBuildNumber")
    if not (number.isascii() and number.isdecimal() and len(number) <= 5):
        raise InvalidRequest(f"the Windows on {disk} does not say in its registry of which build it is")
    if installation not in _INSTALLATIONS:
        raise Unsupported(
            f"the Windows on {disk} is of the type {installation or 'unknown'}, which is not known here",
            hint=f"what is known: {', '.join(_INSTALLATIONS)}",
        )
    generalized = await _is_generalized(hives["SOFTWARE"], disk)
    edition, revision = _words(told, "EditionID"), told.get("UBR")
    return Windows(
        product=_words(told, "ProductName") or f"Windows {number}",
        edition=edition,
        installation=installation,
        os_version=f"10.0.{number}.{revision if isinstance(revision, int) else 0}",
        generalized=generalized,
        evaluation_ends="" if generalized else _evaluation_end(edition, told.get("InstallDate")),
        drivers=await _drivers(hives, current, c),
        runs_agent=await _has_service(hives["SYSTEM"], current),
    )


def _words(told: Mapping[str, str | int], name: str) -> str:
    """A value of the registry, to be shown to people and recorded: one line, not a long one."""
    return "".join(letter for letter in str(told.get(name, ""))[:_MOST_WORDS] if letter.isprintable())


async def _check_architecture(system: Path, current: str, disk: str) -> None:
    key = (current, "Control", "Session Manager", "Environment")
    told = _words(await hive.settings(system, key), "PROCESSOR_ARCHITECTURE")
    if told.upper() != "AMD64":
        known = {"X86": "32-bit x86", "ARM64": "64-bit ARM"}.get(told.upper(), told or "an unknown processor")
        raise Unsupported(
            f"the Windows on {disk} is for {known}, and guests are 64-bit PCs", hint="use a Windows for x64"
        )


async def _is_generalized(software: Path, disk: str) -> bool:
    state = str((await hive.settings(software, _STATE)).get("ImageState", _COMPLETE))
    if state == _UNDEPLOYABLE:
        raise InvalidRequest(
            f"setup of the Windows on {disk} was broken off, and it cannot go on",
            hint="let it start to its end on Windows, or sysprep it anew",
        )
    if state.endswith("_TO_AUDIT"):
        raise InvalidRequest(
            f"the Windows on {disk} would start in audit mode",
            hint="leave that mode on Windows: sysprep /generalize /oobe /shutdown",
        )
    return state != _COMPLETE


def _evaluation_end(edition: str, installed: str | int | None) -> str:
    """The day on which an evaluation ends that was never prolonged."""
    if not edition.endswith("Eval") or not isinstance(installed, int):
        return ""
    return (datetime.fromtimestamp(installed, UTC) + _EVALUATION).strftime("%Y-%m-%d")


async def _has_service(system: Path, current: str) -> bool:
    """Whether the agent's service is there and starts as ours would."""
    ((key, wanted),) = agent_service.edits(current).items()
    there = await hive.settings(system, key)
    kept = {name: value for name, value in wanted.items() if name in ("Start", "Type", "ImagePath")}
    return all(there.get(name) == hive.plain(value) for name, value in kept.items())


async def packages(hives: Mapping[str, Path]) -> dict[str, list[tuple[Path, str]]]:
    """Driver packages that are there, by their INF files: which hive describes each, and its name in it."""
    stored: dict[str, list[tuple[Path, str]]] = {}
    for database in (hives["SYSTEM"], hives["DRIVERS"]):
        infs = await hive.exported(database, ("DriverDatabase", "DriverInfFiles"))
        for label in (
            label for values in infs.values() if "" in values for label in hive.strings(values[""])
        ):
            stored.setdefault(label.partition("_")[0].lower(), []).append((database, label))
    return stored


async def _drivers(hives: Mapping[str, Path], current: str, c: Path) -> dict[str, str]:
    stored, found = await packages(hives), {}
    for name, inf in DRIVERS.items():
        for database, label in stored.get(inf, []):  # there may be several, of updates
            if version := await _usable(database, label, name, hives["SYSTEM"], current, c):
                found[name] = version
    return found


async def _usable(database: Path, label: str, name: str, system: Path, current: str, c: Path) -> str:
    """The version of a package whose service starts and whose file is there, else nothing."""
    package = await hive.exported(database, ("DriverDatabase", "DriverPackages", label))
    version = package.get((), {}).get("Version")
    services = [
        service
        for key, values in package.items()
        if len(key) == 2 and key[0] == "Configurations" and "Service" in values
        for service in hive.strings(values["Service"])
    ]
    if version is None or len(version.data) < _VERSION_AT + 8 or not services:
        return ""
    told = await hive.settings(system, (current, "Services", services[0]))
    start, path = told.get("Start", _DISABLED), _on_disk(str(told.get("ImagePath", "")))
    if (
        len(path) > _LONGEST_PATH
        or start == _DISABLED
        or (name in _STORAGE and start != BOOT_START)
        or not await _exists(c, path)
    ):
        return ""
    return ".".join(map(str, reversed(struct.unpack_from("<4H", version.data, _VERSION_AT))))


def _on_disk(image_path: str) -> str:
    r"""``\SystemRoot\System32\drivers\a.sys``, in any of its spellings, as a path of the volume."""
    path = image_path.strip('"').replace("\\", "/").lstrip("/")
    for start in ("??/c:/windows/", "systemroot/", "%systemroot%/", "c:/windows/"):
        if path.lower().startswith(start):
            path = path[len(start) :]
    return f"Windows/{path}"


async def _exists(c: Path, path: str) -> bool:
    return (await volume.listing(c, [path.rpartition("/")[0]])).has(path)
