"""Driver packages: what an INF file would have Windows install on one build. Pure.

Of an INF's many sections those are read that the virtio drivers have: models, file copies, services,
registry values. A directive that would install something else makes no difference here.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from linwin.errors import InvalidRequest, Unsupported
from linwin.templates.windows import hive
from linwin.templates.windows.hive import Edits, Value
from linwin.templates.windows.inf import BadInf, Inf, Line, Target, best_decoration, parse

BOOT_START = 0
PROGRAM = 0x10
"""The bit of a service's type that tells programs from drivers of the kernel."""
STORE_DIRECTORY = 13
"""The folder id of files that are run from the driver store, without a copy elsewhere."""
FOLDERS = {10: "Windows", 11: "Windows/System32", 12: "Windows/System32/drivers"}
"""Where files go, by the ids that INF files give folders."""

# Of an install section's variants the first that there is (INF DDInstall section).
_DECORATIONS = (".NTamd64", ".NT", "")
_DELETE, _KEY_ONLY = 0x4, 0x10
_ASSOCIATED = 0x2  # SPSVCINST_ASSOCSERVICE
_TYPES = 0x00010001 | 0x00020000
_DAYS_1601_TO_1970 = 134_774
_TICKS = 864_000_000_000  # 100 ns in a day
_MOST_FILES = 64
_FILE_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_KNOWN_FOLDERS = (*FOLDERS, STORE_DIRECTORY)


@dataclass(frozen=True, slots=True)
class Service:
    """A driver's service: the file it runs, with arguments if any, in a folder by id, and its key's rest."""

    name: str
    command: str
    directory: int
    kind: int
    start: int
    error_control: int
    group: str
    display_name: str
    registry: Edits
    event_log: Edits


@dataclass(frozen=True, slots=True)
class Configuration:
    """An install section under its full name, and what it puts into a device's keys."""

    name: str
    service: str
    driver: Edits
    device: Edits


@dataclass(frozen=True, slots=True)
class Model:
    """A device that the package is for: its ids, best first, and the section that installs it."""

    description: str
    manufacturer: str
    configuration: str
    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Package:
    """A driver package on one build of Windows.

    ``sources`` are the files that the driver store has to hold, ``copies`` those that go elsewhere, with
    ids of folders. ``date`` is in days since 1970; ``version`` has four numbers.
    """

    inf: str
    catalog: str
    class_guid: str
    provider: str
    date: int
    version: tuple[int, int, int, int]
    locked: bool
    models: tuple[Model, ...]
    configurations: tuple[Configuration, ...]
    services: tuple[Service, ...]
    sources: tuple[str, ...]
    copies: tuple[tuple[str, int], ...]
    strings: tuple[tuple[str, str], ...]

    @property
    def files(self) -> tuple[str, ...]:
        """Every file that the driver store holds of it."""
        copied = (name for name, _ in self.copies)
        return tuple(dict.fromkeys((self.inf, self.catalog, *self.sources, *copied)))

    @property
    def version_blob(self) -> bytes:
        """What the driver database says of class, date and version, as seen in databases of Windows."""
        guid = UUID(self.class_guid).bytes_le
        ticks = (self.date + _DAYS_1601_TO_1970) * _TICKS
        return struct.pack("<II16sQ4HQ", 0x0009FF00, 0, guid, ticks, *reversed(self.version), 0)


def read(name: str, data: bytes, target: Target) -> Package:
    """The package of an INF file called ``name``.

    Raises InvalidRequest for a malformed one, Unsupported for one without a driver for this Windows.
    """
    try:
        inf = parse(data)
        return _package(name.lower(), inf, target)
    except BadInf as error:
        raise InvalidRequest(f"the driver's {name} cannot be used: {error}") from error


def _package(name: str, inf: Inf, target: Target) -> Package:
    models = tuple(_models(inf, target))
    if not models:
        raise Unsupported(
            f"{name} has no driver for 64-bit Windows of build {target.build}",
            hint="use another release of the virtio-win ISO: its folders are named after versions of Windows",
        )
    sections = tuple(dict.fromkeys(model.configuration for model in models))
    date, version = _version(inf)
    used = {token for model in models for token in (model.description, model.manufacturer)}
    return Package(
        inf=name,
        catalog=_catalog(inf),
        class_guid=_class_guid(inf),
        provider=inf.setting("version", "provider"),
        date=date,
        version=version,
        locked=inf.setting("version", "pnplockdown") == "1",
        models=models,
        configurations=tuple(_configuration(inf, section) for section in sections),
        services=tuple(service for section in sections for service in _services(inf, section)),
        sources=tuple(_sources(inf)),
        copies=_copies(inf, sections),
        strings=tuple((token.strip("%").lower(), inf.text(token)) for token in sorted(used) if "%" in token),
    )


def _models(inf: Inf, target: Target) -> Iterator[Model]:
    for maker in inf.lines("manufacturer"):
        chosen = best_decoration(maker.values[1:], target)
        if chosen is None:
            continue
        for line in inf.lines(f"{maker.value(0)}.{chosen.strip()}"):
            install = _decorated(inf, inf.text(line.value(0)))
            ids = tuple(filter(None, map(inf.text, line.values[1:])))
            yield Model(line.key.lower(), maker.key.lower(), install, ids)


def _decorated(inf: Inf, section: str) -> str:
    found = (f"{section}{suffix}" for suffix in _DECORATIONS if inf.has(f"{section}{suffix}"))
    if (name := next(found, None)) is None:
        raise BadInf(f"its section [{section}] is missing")
    return name


def _class_guid(inf: Inf) -> str:
    text = inf.setting("version", "classguid")
    try:
        return f"{{{UUID(text)}}}"
    except ValueError as error:
        raise BadInf(f"its class is {text!r}, which is no GUID") from error


def _version(inf: Inf) -> tuple[int, tuple[int, int, int, int]]:
    values = inf.values("version", "driverver")
    date, version = (*values, "", "")[:2]
    try:
        day = datetime.strptime(date.replace("-", "/"), "%m/%d/%Y").replace(tzinfo=UTC)
        numbers = [int(part) for part in (version or "0").split(".")]
    except ValueError as error:
        raise BadInf(f"its version is {', '.join(values)!r}, not a day and numbers") from error
    if len(numbers) > 4 or not all(0 <= number < 1 << 16 for number in numbers) or day.year < 1970:
        raise BadInf(f"its version is {', '.join(values)!r}, which no driver can have")
    first, second, third, fourth = (*numbers, 0, 0, 0)[:4]
    return int(day.timestamp()) // 86400, (first, second, third, fourth)


def _catalog(inf: Inf) -> str:
    for key in ("catalogfile.ntamd64", "catalogfile.nt", "catalogfile"):
        if name := inf.setting("version", key):
            return _file_name(name)
    raise BadInf("it names no catalogue, so that Windows would not trust it")


def _file_name(text: str) -> str:
    """A file right in the package's folder; no other can be meant."""
    if not _FILE_NAME.fullmatch(text.lower()) or ".." in text:
        raise BadInf(f"{text!r} is no name of a file of a driver's")
    return text.lower()


def _integer(text: str, meaning: str) -> int:
    try:
        return int(text, 0) & 0xFFFFFFFF
    except ValueError as error:
        raise BadInf(f"{meaning} is {text!r}, which is no number") from error


def _sources(inf: Inf) -> Iterator[str]:
    for section in ("SourceDisksFiles", "SourceDisksFiles.amd64"):
        for line in inf.lines(section):
            if line.value(1):
                raise BadInf(f"{line.key} lies in a folder of its own, which is not known here")
            yield _file_name(line.key)


def _copies(inf: Inf, sections: tuple[str, ...]) -> tuple[tuple[str, int], ...]:
    copies: dict[str, int] = {}
    parts = [part for section in sections for part in (section, f"{section}.CoInstallers")]
    lists = [value for part in parts for value in inf.values(part, "copyfiles")]
    for listed in lists:
        if listed.startswith("@"):
            copies[_file_name(listed[1:])] = _directory(inf, "defaultdestdir")
            continue
        for line in inf.lines(listed):
            if line.value(1).lower() not in ("", line.value(0).lower()):
                raise BadInf(f"it copies {line.value(1)} under another name, which is not known here")
            copies[_file_name(line.value(0))] = _directory(inf, listed)
    if len(copies) > _MOST_FILES:
        raise BadInf("it copies more files than any driver")
    return tuple(copies.items())


def _directory(inf: Inf, listed: str) -> int:
    named = inf.values("destinationdirs", listed) or inf.values("destinationdirs", "defaultdestdir")
    return _folder(named[0]) if named else STORE_DIRECTORY


def _folder(text: str) -> int:
    number = _integer(text, "a folder")
    if number not in _KNOWN_FOLDERS:
        raise BadInf(f"it uses the folder {number}, which is not known here")
    return number


def _services(inf: Inf, section: str) -> Iterator[Service]:
    for line in inf.lines(f"{section}.services"):
        if line.key.lower() == "addservice" and line.value(2):
            yield _service(inf, section, line)


def _service(inf: Inf, section: str, line: Line) -> Service:
    name, setup = inf.text(line.value(0)), line.value(2)
    directory, _, command = inf.setting(setup, "servicebinary").replace("%", "").partition("\\")
    binary, space, words = command.partition(" ")
    kind, start, error_control = (
        _integer(inf.setting(setup, key), f"{key} of {name}")
        for key in ("servicetype", "starttype", "errorcontrol")
    )
    frameworks = [found for found in inf.lines(f"{section}.wdf") if found.key.lower() == "kmdfservice"]
    library = next((inf.setting(found.value(1), "kmdflibraryversion") for found in frameworks), "")
    wdf: Edits = {("Parameters", "Wdf"): {"KmdfLibraryVersion": hive.text(library)}} if library else {}
    return Service(
        name=name,
        command=_file_name(binary) + space + words,
        directory=_folder(directory),
        kind=kind,
        start=start,
        error_control=error_control,
        group=inf.setting(setup, "loadordergroup"),
        display_name=inf.setting(setup, "displayname"),
        registry=hive.combined(_registry(inf, setup), wdf),
        event_log=_registry(inf, line.value(3)) if line.value(3) else {},
    )


def _configuration(inf: Inf, section: str) -> Configuration:
    # Of several services one is the device's own.
    own = [line for line in inf.lines(f"{section}.services") if _is_for_device(inf, line)]
    return Configuration(
        name=section,
        service=inf.text(own[0].value(0)) if own else "",
        driver=hive.combined(_registry(inf, section), _registry(inf, f"{section}.CoInstallers")),
        device=_registry(inf, f"{section}.hw"),
    )


def _is_for_device(inf: Inf, line: Line) -> bool:
    flags = _integer(inf.text(line.value(1)) or "0", "what a service is for")
    return line.key.lower() == "addservice" and bool(flags & _ASSOCIATED)


def _registry(inf: Inf, section: str) -> Edits:
    """What the section's AddReg puts below the key it is about; other roots are not looked at."""
    edits: dict[tuple[str, ...], dict[str, Value]] = {}
    for listed in inf.values(section, "addreg"):
        for line in inf.lines(listed):
            if inf.text(line.value(0)).upper() != "HKR":
                continue
            key = tuple(filter(None, inf.text(line.value(1)).split("\\")))
            flags = _integer(inf.text(line.value(3)) or "0", "the type of a value")
            values = edits.setdefault(key, {})
            if not flags & (_KEY_ONLY | _DELETE):
                values[inf.text(line.value(2))] = _value(
                    flags, [inf.text(value) for value in line.values[4:]]
                )
    return edits


def _value(flags: int, data: list[str]) -> Value:
    first = data[0] if data else ""
    match flags & _TYPES:  # FLG_ADDREG_TYPE_ of setupapi.h
        case 0x10001:
            return hive.dword(_integer(first or "0", "a value"))
        case 0x20000:
            return hive.expandable(first)
        case 0x10000:
            return hive.texts(*data)
        case 0x1:
            return hive.binary(bytes(_integer(f"0x{part}", "a byte") & 0xFF for part in data))
        case _:
            return hive.text(first)
