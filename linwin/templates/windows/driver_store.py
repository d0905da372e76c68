"""Putting driver packages into a Windows that does not run: files by their places, edits by hives. Pure.

What Windows' own tools leave behind is known from hives that others published (docs/decisions/0036):
packages in the file repository, services in SYSTEM, the driver database in SYSTEM for the classes of
devices that a boot needs and in DRIVERS for all others. Then Plug and Play finds the drivers on the
first start as those that came with Windows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from linwin.templates.windows import hive
from linwin.templates.windows.drivers import BOOT_START, FOLDERS, PROGRAM, STORE_DIRECTORY, Package, Service
from linwin.templates.windows.hive import Edits, Key, Value

STORE = "Windows/System32/DriverStore/FileRepository"
_INFS = "Windows/INF"
_CATALOGUES = "Windows/System32/CatRoot/{F750E6C3-38EE-11D1-85E5-00C04FC295EE}"
# The hash of a package's content, which nobody checks: a label that was used before makes pnputil fail.
_LABEL = "amd64_0000000000000000"
_LOCKED_DRIVER, _UNLOCKED_DRIVER = 4, 5
# SCSIAdapter and System (system-defined device setup classes).
_BOOT_CLASSES = ("{4d36e97b-e325-11ce-bfc1-08002be10318}", "{4d36e97d-e325-11ce-bfc1-08002be10318}")
_PUBLISHED = re.compile(rf"{_INFS.lower()}/oem(\d{{1,5}})\.inf")
_SIGNER_SCORE = 0x0D000005  # a catalogue signed by Microsoft's hardware publisher
_STATUS_FLAGS = 0x12
_HARDWARE_ID, _COMPATIBLE_ID = bytes.fromhex("01ff0000"), bytes.fromhex("02ff0000")
_SIGNER = "Microsoft Windows Hardware Compatibility Publisher"


@dataclass(frozen=True, slots=True)
class Stored:
    """A package with the name that Windows gives its INF: ``oem0.inf`` and on."""

    package: Package
    published: str

    @property
    def label(self) -> str:
        return f"{self.package.inf}_{_LABEL}"


def publish(packages: Iterable[Package], taken: Iterable[str]) -> tuple[Stored, ...]:
    """Give each package the first name that none of the lower-case paths in ``taken`` uses."""
    used = frozenset(taken)
    free = (name for number in range(10_000) if f"{_INFS.lower()}/{(name := f'oem{number}.inf')}" not in used)
    return tuple(Stored(package, name) for package, name in zip(packages, free, strict=False))


def places(stored: Stored) -> tuple[tuple[str, str], ...]:
    """Each file of the package, and a path that it is to have; some have several."""
    package = stored.package
    found = [(name, f"{STORE}/{stored.label}/{name}") for name in package.files]
    found += [
        (name, f"{FOLDERS[where]}/{name}") for name, where in package.copies if where != STORE_DIRECTORY
    ]
    catalogue = stored.published.replace(".inf", ".cat")
    return (
        *found,
        (package.inf, f"{_INFS}/{stored.published}"),
        (package.catalog, f"{_CATALOGUES}/{catalogue}"),
    )


def inf_map(stored: Iterable[Stored], taken: Iterable[str]) -> Edits:
    """Of the hive SYSTEM: which names of published INFs are taken, a bit each, the first the highest."""
    paths = (*taken, *(f"{_INFS}/{one.published}".lower() for one in stored))
    numbers = {int(match[1]) for path in paths if (match := _PUBLISHED.fullmatch(path))}
    bits = bytearray(max(numbers, default=-1) // 8 + 1)
    for number in numbers:
        bits[number // 8] |= 0x80 >> number % 8
    return {("DriverDatabase",): {"OemInfMap": hive.binary(bytes(bits))}} if numbers else {}


def system_edits(stored: Stored, control_set: str) -> Edits:
    """Of the hive SYSTEM: services, and the database where the device's class has it here."""
    services = [_service(stored, service, control_set) for service in stored.package.services]
    return hive.combined(*services, _database(stored) if _is_for_boot(stored) else {})


def drivers_edits(stored: Stored) -> Edits:
    """Of the hive DRIVERS: the database of all other classes."""
    return {} if _is_for_boot(stored) else _database(stored)


def _is_for_boot(stored: Stored) -> bool:
    return stored.package.class_guid in _BOOT_CLASSES


def _database(stored: Stored) -> Edits:
    package = stored.package
    root = ("DriverDatabase",)
    names = [configuration.name for configuration in package.configurations]
    published: dict[Key, dict[str, Value]] = {
        (*root, "DriverInfFiles", stored.published): {
            "": hive.texts(stored.label),
            "Active": hive.text(stored.label),
            "Configurations": hive.texts(*names),
        },
        (*root, "DeviceIds", package.class_guid): {stored.published: hive.none()},
    }
    for model in package.models:
        for place, identifier in enumerate(model.ids):
            rank = hive.binary(_COMPATIBLE_ID if place else _HARDWARE_ID)
            published.setdefault((*root, "DeviceIds", *_id_key(identifier)), {})[stored.published] = rank
    return hive.combined(published, hive.below((*root, "DriverPackages", stored.label), _package(stored)))


def software_edits(stored: Stored) -> Edits:
    """Of the hive SOFTWARE: who put which file into Windows' folders, and may change it."""
    package = stored.package
    kind = _LOCKED_DRIVER if package.locked else _UNLOCKED_DRIVER
    root = ("Microsoft", "Windows", "CurrentVersion", "Setup", "PnpLockdownFiles")
    return {
        (*root, f"%SystemRoot%/{FOLDERS[where].partition('/')[2]}/{name}"): {
            "Class": hive.dword(kind),
            "Owners": hive.texts(stored.published),
            "Source": hive.expandable(f"%SystemRoot%\\{_inside(stored)}\\{name}"),
        }
        for name, where in package.copies
        if where != STORE_DIRECTORY
    }


def _service(stored: Stored, service: Service, control_set: str) -> Edits:
    services = (control_set, "Services")
    values = {
        "Type": hive.dword(service.kind),
        "Start": hive.dword(service.start),
        "ErrorControl": hive.dword(service.error_control),
        "ImagePath": hive.expandable(_image_path(stored, service)),
        "Owners": hive.texts(stored.published),
    }
    if service.kind & PROGRAM:
        values["ObjectName"] = hive.text("LocalSystem")
    if service.group:
        values["Group"] = hive.text(service.group)
    if service.display_name:
        values["DisplayName"] = hive.text(service.display_name)
    own: Edits = {(*services, service.name): values}
    log = hive.below((*services, "EventLog", "System", service.name), service.event_log)
    return hive.combined(own, hive.below((*services, service.name), service.registry), log)


def _image_path(stored: Stored, service: Service) -> str:
    if service.directory == STORE_DIRECTORY:
        folder = _inside(stored)
    else:
        folder = FOLDERS[service.directory].partition("/")[2].replace("/", "\\")
    if service.kind & PROGRAM:
        start = "%SystemRoot%\\"
    else:  # winload knows no \SystemRoot yet
        start = "" if service.start == BOOT_START else "\\SystemRoot\\"
    return f"{start}{folder}\\{service.command}"


def _package(stored: Stored) -> Edits:
    package = stored.package
    edits: dict[Key, dict[str, Value]] = {
        (): {
            "": hive.text(stored.published),
            "Catalog": hive.text(package.catalog),
            "InfName": hive.text(package.inf),
            "OemPath": hive.text(f"C:\\{STORE.replace('/', chr(92))}\\{stored.label}"),
            "Provider": hive.text(package.provider),
            "SignerName": hive.text(_SIGNER),
            "SignerScore": hive.dword(_SIGNER_SCORE),
            "StatusFlags": hive.dword(_STATUS_FLAGS),
            "Version": hive.binary(package.version_blob),
        },
        ("Strings",): {name: hive.text(content) for name, content in package.strings},
    }
    for model in package.models:
        for identifier in model.ids:
            edits[("Descriptors", *_id_key(identifier))] = {
                "Configuration": hive.text(model.configuration),
                "Description": hive.text(model.description),
                "Manufacturer": hive.text(model.manufacturer),
            }
    return hive.combined(edits, *_configurations(package))


def _configurations(package: Package) -> Iterable[Edits]:
    services = {service.name: service for service in package.services}
    for configuration in package.configurations:
        key = ("Configurations", configuration.name)
        yield {key: {"ConfigFlags": hive.dword(0), "Service": hive.text(configuration.service)}}
        yield hive.below((*key, "Driver"), configuration.driver)
        yield hive.below((*key, "Device"), configuration.device)
        if service := services.get(configuration.service):
            yield hive.below((*key, "Services", service.name), service.registry)


def _id_key(identifier: str) -> Key:
    """``PCI\\VEN_1AF4&DEV_1001`` is a key of that bus."""
    return tuple(identifier.split("\\"))


def _inside(stored: Stored) -> str:
    return f"{STORE.partition('/')[2]}\\{stored.label}".replace("/", "\\")
