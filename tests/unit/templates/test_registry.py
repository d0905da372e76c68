"""Freezing Wine's registry."""

from __future__ import annotations

import pytest

from linwin.errors import InvalidRequest
from linwin.templates import registry

_SYSTEM = r"""WINE REGISTRY Version 2
;; All keys relative to \\Machine

#arch=win64

[Software\\Microsoft\\Cryptography] 1795519776
#time=1dd7c0869af3c54
"MachineGuid"="fbba2045-f000-44b0-b7ef-fd46a8ba117d"

[Software\\Microsoft\\Windows NT\\CurrentVersion] 1795519776
#time=1dd7c0869af3c54
"CurrentBuildNumber"="19043"
"CurrentMajorVersionNumber"=dword:0000000a
"CurrentMinorVersionNumber"=dword:00000000
"InstallDate"=dword:4be5019a

[System\\ControlSet001\\Control\\Video\\{5B4B1D43}\\0000] 1795519776
#time=1dd7c0869af3c54
"VideoID"="{5b4b1d43}"

[System\\ControlSet001\\Enum\\PCI\\VEN_0000] 1795519776
"x"="y"

[System\\Setup] 1795519776
#time=1dd7c0869af3c54
"SystemSetupInProgress"=dword:00000000
"""


def test_freezing_depends_on_nothing_but_the_content() -> None:
    later = _SYSTEM.replace("1795519776", "1795519999").replace("1dd7c0869af3c54", "1dd7c08deadbeef")
    later = later.replace("fbba2045-f000-44b0-b7ef-fd46a8ba117d", "00000000-1111-2222-3333-444444444444")
    later = later.replace("4be5019a", "5be5019a").replace("5b4b1d43", "deadbeef")
    assert registry.freeze(_SYSTEM, 1735689600) == registry.freeze(later, 1735689600)


def test_dates_are_the_given_one_and_display_devices_are_gone() -> None:
    frozen = registry.freeze(_SYSTEM, 1735689600)
    assert r"[System\\Setup] 1735689600" + "\n#time=1db5be019ba4000\n" in frozen
    assert '"InstallDate"=dword:67748580' in frozen
    assert "Video" not in frozen
    assert "PCI" not in frozen
    assert frozen.startswith("WINE REGISTRY Version 2\n;; All keys relative to \\\\Machine\n\n#arch=win64\n")


def test_freezing_twice_changes_nothing() -> None:
    frozen = registry.freeze(_SYSTEM, 1735689600)
    assert registry.freeze(frozen, 1735689600) == frozen


def test_another_file_is_refused() -> None:
    with pytest.raises(InvalidRequest) as caught:
        registry.freeze("regf", 0)
    assert caught.value.message == "not a registry file of Wine"


def test_the_version_of_windows_is_read() -> None:
    assert registry.os_version(_SYSTEM) == "10.0.19043.0"
    with_revision = _SYSTEM.replace('"InstallDate"=dword:4be5019a', '"UBR"=dword:000001ff')
    assert registry.os_version(with_revision) == "10.0.19043.511"


def test_a_registry_without_a_version_is_refused() -> None:
    with pytest.raises(InvalidRequest) as caught:
        registry.os_version(_SYSTEM.replace("CurrentBuildNumber", "Other"))
    assert caught.value.message == "Wine's registry does not tell the version of Windows"
