"""Wine's registry files, made equal between builds.

Format: text, ``WINE REGISTRY Version 2``; a key is ``[path] seconds`` followed
by ``#time=`` (a FILETIME in hexadecimal) and its values (Wine's server/registry.c).
"""

from __future__ import annotations

import re
import uuid

from linwin.errors import InvalidRequest

_HEADER = "WINE REGISTRY Version 2\n"
_KEY = re.compile(r"^(\[.*\]) \d+$", re.MULTILINE)
_TIME = re.compile(r"^#time=[0-9a-f]+$", re.MULTILINE)
_GUID = re.compile(r'^("MachineGuid")=".*"$', re.MULTILINE | re.IGNORECASE)
_INSTALLED = re.compile(r'^("InstallDate")=dword:[0-9a-f]{8}$', re.MULTILINE)
_EPOCH_DIFFERENCE = 11_644_473_600  # seconds between 1601 and 1970
# What win32u writes about a screen and a graphics card that do not exist, with random ids in it.
_DISPLAY = (
    r"[System\\ControlSet001\\Control\\Class\\{4D36E968-E325-11CE-BFC1-08002BE10318}\\",
    r"[System\\ControlSet001\\Control\\Class\\{4D36E96E-E325-11CE-BFC1-08002BE10318}\\",
    r"[System\\ControlSet001\\Control\\Video\\",
    r"[System\\ControlSet001\\Enum\\DISPLAY\\",
    r"[System\\ControlSet001\\Enum\\PCI\\",
)
_CURRENT_VERSION = r"[Software\\Microsoft\\Windows NT\\CurrentVersion]"


def freeze(text: str, seconds: int) -> str:
    """The same registry, dated ``seconds`` after 1970, with a fixed machine id and no display devices.

    Raises InvalidRequest for text that is not a registry file of Wine.
    """
    if not text.startswith(_HEADER):
        raise InvalidRequest("not a registry file of Wine")
    text = _without_keys(text, _DISPLAY)
    filetime = (seconds + _EPOCH_DIFFERENCE) * 10_000_000
    guid = uuid.uuid5(uuid.NAMESPACE_URL, f"urn:linwin:template:{seconds}")
    text = _KEY.sub(rf"\1 {seconds}", text)
    text = _TIME.sub(f"#time={filetime:x}", text)
    text = _GUID.sub(rf'\1="{guid}"', text)
    return _INSTALLED.sub(rf"\1=dword:{seconds:08x}", text)


def _without_keys(text: str, prefixes: tuple[str, ...]) -> str:
    """Drop the keys whose line starts with one of ``prefixes``, case ignored, with all their values."""
    head, *keys = re.split(r"^(?=\[)", text, flags=re.MULTILINE)
    unwanted = tuple(prefix.lower() for prefix in prefixes)
    return head + "".join(key for key in keys if not key.lower().startswith(unwanted))


def os_version(system: str) -> str:
    """``10.0.BUILD.UBR`` as the registry tells it to programs."""
    _, _, rest = system.partition(_CURRENT_VERSION)
    values = rest.partition("\n[")[0]
    major, minor = _number(values, "CurrentMajorVersionNumber"), _number(values, "CurrentMinorVersionNumber")
    build = re.search(r'^"CurrentBuildNumber"="(\d+)"$', values, re.MULTILINE)
    if build is None or major is None or minor is None:
        raise InvalidRequest("Wine's registry does not tell the version of Windows")
    return f"{major}.{minor}.{build[1]}.{_number(values, 'UBR') or 0}"


def _number(values: str, name: str) -> int | None:
    found = re.search(rf'^"{name}"=dword:([0-9a-f]{{8}})$', values, re.MULTILINE)
    return int(found[1], 16) if found else None
