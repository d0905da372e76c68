"""What a running guest writes into its registry by itself, and what no layer is therefore given.

Found by comparing the registry of containers that ran nothing, one program or many, with
other names, processors, networks, users and mounts, with the one they began with. A
change that a program makes in these places is lost as well: the next guest would
write over it. docs/registry.md shows this list to users, and a test keeps the two alike.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from linwin.layers.hives.names import Fold
from linwin.layers.hives.protect import PROTECTED, Protection
from linwin.layers.hives.regf import Path
from linwin.layers.hives.users import USERS_KEYS


@dataclass(frozen=True, slots=True)
class OwnWrites:
    """What a guest writes into one hive: ``keys`` with all below them, ``values`` by key and name.

    ``empty_keys`` are made where they are missing, and count once there is something in them.
    """

    keys: tuple[Path, ...] = ()
    values: tuple[tuple[Path, tuple[str, ...]], ...] = ()
    empty_keys: tuple[Path, ...] = ()


CONTROL = ("ControlSet001", "Control")
CLASS = (*CONTROL, "Class")
ENUM = ("ControlSet001", "Enum")
TCPIP = ("ControlSet001", "Services", "Tcpip", "Parameters")
VERSION = ("Microsoft", "Windows", "CurrentVersion")

# Interfaces and library of Wine's script hosts, which register themselves at each of their starts.
SCRIPT_HOST = (
    ("Typelib", "{60254CA0-953B-11CF-8C96-00AA00B8708C}"),
    *(
        (*place, "Interface", interface)
        for place in ((), ("Wow6432Node",))
        for interface in (
            "{2CC5A9D1-B1E5-11D3-A286-00104BD35090}",
            "{53BAD8C1-E718-11CF-893D-00A0C9054228}",
            "{91AFBD1B-5FEB-43F5-B028-E2CA960617EC}",
        )
    ),
)

WINE = {
    "System": OwnWrites(
        keys=(
            # A link that Wine's server makes; what lies behind it is told of ControlSet001.
            ("CurrentControlSet",),
            # A screen and a graphics card that do not exist, with random ids, by the first program
            # that looks for windows.
            (*CLASS, "{4D36E968-E325-11CE-BFC1-08002BE10318}"),
            (*CLASS, "{4D36E96E-E325-11CE-BFC1-08002BE10318}"),
            (*CONTROL, "Video"),
            (*ENUM, "DISPLAY"),
            (*ENUM, "PCI"),
            # From the host's clock, at each start.
            (*CONTROL, "TimeZoneInformation"),
        ),
        values=(
            # The container's name, at each start.
            ((*CONTROL, "ComputerName", "ComputerName"), ("ComputerName",)),
            ((*CONTROL, "ComputerName", "ActiveComputerName"), ("ComputerName",)),
            (TCPIP, ("Hostname", "Domain", "NV Hostname", "NV Domain")),
            # What processors there are, at each start.
            (
                (*CONTROL, "Session Manager", "Environment"),
                (
                    *("NUMBER_OF_PROCESSORS", "PROCESSOR_IDENTIFIER"),
                    *("PROCESSOR_LEVEL", "PROCESSOR_REVISION"),
                ),
            ),
        ),
    ),
    "Software": OwnWrites(
        keys=(
            # Drives on which something is mounted: the container's own.
            ("Wine", "Drives"),
            # Taken by what user.reg holds.
            USERS_KEYS,
            *(("Classes", *key) for key in SCRIPT_HOST),
        ),
        empty_keys=((*VERSION, "RunServices"),),
    ),
    "User": OwnWrites(
        keys=(
            # The name of the computer and of the session. On Windows no file has it.
            ("Volatile Environment",),
            # The folders of whichever user's program has asked last; User Shell Folders decides.
            (*("Software", *VERSION), "Explorer", "Shell Folders"),
            # Which fonts there are, and what the screen is like.
            ("Software", "Wine", "Fonts"),
        ),
        empty_keys=(("Software", "Wine", "AppDefaults"), ("Software", "Wine", "DllOverrides")),
    ),
}
"""Of a guest that runs Wine, by hive; ``User`` is the file ``user.reg``."""

WINDOWS = {
    "System": OwnWrites(
        keys=(
            # Of the machine that the guest ran on, beside what PROTECTED has.
            (*CONTROL, "TimeZoneInformation"),
            ("ControlSet001", "Hardware Profiles"),
            (*CONTROL, "Session Manager", "Memory Management", "PrefetchParameters"),
        ),
        values=(
            ((*CONTROL, "ComputerName", "ComputerName"), ("ComputerName",)),
            (TCPIP, ("Hostname", "NV Hostname", "DhcpNameServer", "DhcpDomain")),
            # When it was shut down, and whether it was in order.
            ((*CONTROL, "Windows"), ("ShutdownTime",)),
            (
                (*CONTROL, "Session Manager", "Environment"),
                (
                    *("NUMBER_OF_PROCESSORS", "PROCESSOR_IDENTIFIER"),
                    *("PROCESSOR_LEVEL", "PROCESSOR_REVISION"),
                ),
            ),
        ),
    ),
}
"""Of a guest that runs Windows, by hive, beside the keys that no layer may change."""


class Noise:
    """Tells what of one hive's changes are the guest's own."""

    def __init__(self, own: OwnWrites, fold: Fold, protection: Protection | None = None) -> None:
        self._fold = fold
        self._protection = protection
        self._keys = {self._folded(key) for key in own.keys}
        self._empty_keys = {self._folded(key) for key in own.empty_keys}
        self._values = {
            (self._folded(key), fold(name)) for key, names in own.values for name in names
        }  # fmt: skip

    def has_key(self, path: Path) -> bool:
        """Whether the key at ``path``, with all below it, is none of the container's.

        Asked of each key before those below it.
        """
        if self._protection is not None and self._protection.forbids(path):
            return True
        return self._folded(path) in self._keys

    def has_empty_key(self, path: Path) -> bool:
        """Whether a new key at ``path`` is none of the container's while nothing is in it."""
        return self._folded(path) in self._empty_keys

    def has_value(self, path: Path, name: str) -> bool:
        return (self._folded(path), self._fold(name)) in self._values

    def _folded(self, path: Iterable[str]) -> Path:
        return tuple(self._fold(name) for name in path)


def noise_of(hive: str, kind: str, fold: Fold) -> Noise:
    """What to leave out of a hive's changes, by its delta's name without ``_Delta``, or ``User``.

    ``kind`` is the template's.
    """
    if kind == "wine":
        return Noise(WINE.get(hive, OwnWrites()), fold)
    return Noise(WINDOWS.get(hive, OwnWrites()), fold, Protection(PROTECTED.get(hive, ()), fold))
