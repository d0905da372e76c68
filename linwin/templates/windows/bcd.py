"""The boot configuration: a registry hive that tells bootmgfw.efi which Windows to start, and where.

Formats: objects and elements by number as in Geoff Chappell's "Boot Configuration Data", the
device element's bytes as read from stores that Windows made.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from uuid import UUID

from linwin.templates.windows import hive
from linwin.templates.windows.hive import Edits, Value

BOOT_MANAGER = "{9dea862c-5cdd-4e70-acc1-f32b344d4795}"
GLOBAL_SETTINGS = "{7ea2e1ac-2e61-4728-aaa3-896d9d0a9f0e}"
LOADER_SETTINGS = "{6efb52bf-1766-41db-a6b3-0ee5eff72bd7}"

_BOOT_MANAGER_TYPE = 0x10100002
_LOADER_TYPE = 0x10200003
_GLOBAL_SETTINGS_TYPE = 0x20100000
_LOADER_SETTINGS_TYPE = 0x20200003

# Elements, by what bcdedit calls them.
_DEVICE = "11000001"
_PATH = "12000002"
_DESCRIPTION = "12000004"
_LOCALE = "12000005"
_INHERIT = "14000006"
_RECOVERY_ENABLED = "16000009"
_DEFAULT = "23000003"
_DISPLAY_ORDER = "24000001"
_TIMEOUT = "25000004"
_OS_DEVICE = "21000001"
_SYSTEM_ROOT = "22000002"
_NX = "25000020"
_BOOT_MENU_POLICY = "250000c2"
_BOOT_STATUS_POLICY = "250000e0"

_NX_OPT_OUT = 1
_LEGACY_MENU = 0
_IGNORE_ALL_FAILURES = 1
_PARTITION_DEVICE = 6
_DEVICE_SIZE = 0x48


@dataclass(frozen=True, slots=True)
class Store:
    """One Windows on one GPT disk: the disk's id, and those of its two partitions that matter."""

    disk: UUID
    boot_partition: UUID
    windows_partition: UUID
    loader: UUID
    title: str


def edits(store: Store) -> Edits:
    """All of the store, in an empty hive whose root is called NewStoreRoot."""
    loader = f"{{{store.loader}}}"
    return hive.combined(
        {("Description",): {"KeyName": hive.text("BCD00000000"), "System": hive.dword(1)}},
        _object(BOOT_MANAGER, _BOOT_MANAGER_TYPE, _boot_manager(store, loader)),
        _object(loader, _LOADER_TYPE, _loader(store)),
        _object(GLOBAL_SETTINGS, _GLOBAL_SETTINGS_TYPE, {}),
        _object(LOADER_SETTINGS, _LOADER_SETTINGS_TYPE, {_INHERIT: hive.texts(GLOBAL_SETTINGS)}),
    )


def partition_device(disk: UUID, partition: UUID) -> bytes:
    """The bytes of an element that names a partition of a GPT disk."""
    head = struct.pack("<16xIIII", _PARTITION_DEVICE, 0, _DEVICE_SIZE, 0)
    return head + partition.bytes_le + struct.pack("<II", 0, 0) + disk.bytes_le + bytes(16)


def _boot_manager(store: Store, loader: str) -> dict[str, Value]:
    return {
        _DEVICE: hive.binary(partition_device(store.disk, store.boot_partition)),
        _PATH: hive.text("\\EFI\\Microsoft\\Boot\\bootmgfw.efi"),
        _DESCRIPTION: hive.text("Windows Boot Manager"),
        _LOCALE: hive.text("en-US"),
        _INHERIT: hive.texts(GLOBAL_SETTINGS),
        _DEFAULT: hive.text(loader),
        _DISPLAY_ORDER: hive.texts(loader),
        _TIMEOUT: _integer(0),
    }


def _loader(store: Store) -> dict[str, Value]:
    windows = hive.binary(partition_device(store.disk, store.windows_partition))
    return {
        _DEVICE: windows,
        _OS_DEVICE: windows,
        _PATH: hive.text("\\Windows\\system32\\winload.efi"),
        _SYSTEM_ROOT: hive.text("\\Windows"),
        _DESCRIPTION: hive.text(store.title),
        _LOCALE: hive.text("en-US"),
        _INHERIT: hive.texts(LOADER_SETTINGS),
        _NX: _integer(_NX_OPT_OUT),
        _BOOT_MENU_POLICY: _integer(_LEGACY_MENU),
        # A guest may be killed at any time; none is to wait for somebody before a repair menu.
        _BOOT_STATUS_POLICY: _integer(_IGNORE_ALL_FAILURES),
        _RECOVERY_ENABLED: hive.binary(b"\0"),
    }


def _object(identifier: str, kind: int, elements: dict[str, Value]) -> Edits:
    key = ("Objects", identifier)
    described = {(*key, "Description"): {"Type": hive.dword(kind)}, (*key, "Elements"): {}}
    return described | {(*key, "Elements", name): {"Element": value} for name, value in elements.items()}


def _integer(number: int) -> Value:
    return hive.binary(struct.pack("<Q", number))
