"""Keys that no layer may change, because the guest would not start without them.

A layer comes from a container, in which devices and boot drivers are the
host's; a guest of linwin's starts from its own. docs/registry.md shows this
list to users, and a test keeps the two alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from linwin.layers.hives.names import Fold
from linwin.layers.hives.operations import Kept
from linwin.layers.hives.regf import Path

BOOT_SERVICES = (
    # virtio: disks, network, the agent's port, memory, random numbers
    *("viostor", "vioscsi", "netkvm", "vioser", "balloon", "BalloonService", "viorng", "viofs", "viosock"),
    *("pvpanic", "fwcfg", "qemufwcfg"),
    # storage
    *("storahci", "stornvme", "storport", "atapi", "intelide", "pciide", "disk", "cdrom", "partmgr"),
    *("volmgr", "volmgrx", "volume", "volsnap", "mountmgr", "spaceport", "EhStorClass", "iorate"),
    # file systems
    *("ntfs", "fastfat", "fltmgr", "FileInfo", "fvevol", "CLFS", "Mup"),
    # buses and what the kernel loads first
    *("pci", "acpi", "acpiex", "msisadrv", "vdrvroot", "isapnp", "CompositeBus", "swenum", "umbus"),
    *("Wdf01000", "KSecDD", "KSecPkg", "CNG", "pcw", "WindowsTrustedRT", "WindowsTrustedRTProxy", "NDIS"),
    # linwin's own
    "linwin-agent",
)
CONTROL_SET = "ControlSet###"
"""Three digits stand for any."""
ANY_CONTROL_SET = re.compile("CONTROLSET[0-9]{3}")
SERVICES = tuple((CONTROL_SET, "Services", name) for name in BOOT_SERVICES)
SYSTEM = (
    *SERVICES,
    (CONTROL_SET, "Enum"),
    (CONTROL_SET, "Control", "Class"),
    (CONTROL_SET, "Control", "CriticalDeviceDatabase"),
    (CONTROL_SET, "Control", "GroupOrderList"),
    (CONTROL_SET, "Control", "ServiceGroupOrder"),
    (CONTROL_SET, "Control", "hivelist"),
    ("DriverDatabase",),
    ("HardwareConfig",),
    ("MountedDevices",),
    ("Select",),
    ("Setup",),
)

PROTECTED: dict[str, tuple[Path, ...]] = {"System": SYSTEM}
"""Of a guest that runs Windows, by hive: neither changed nor deleted."""
WINE_LINKS: dict[str, tuple[Path, ...]] = {"System": (("CurrentControlSet",),)}
"""Of a guest that runs Wine, by hive: links that are followed, and so may be changed but not deleted."""


class Protection:
    """Tells which keys of one hive stay. ``touched`` are those that a delta meant to change."""

    def __init__(self, keys: Iterable[Path], fold: Fold, *, may_change: bool = False) -> None:
        """Keep ``keys`` from being deleted and, unless they ``may_change``, from being changed."""
        self._fold = fold
        self._may_change = may_change
        self._keys = {tuple(fold(name) for name in key) for key in keys}
        self._above = {key[:length] for key in self._keys for length in range(len(key))}
        self._deepest = max(map(len, self._keys), default=0)
        self.touched: set[Path] = set()

    def forbids(self, path: Path) -> bool:
        """Whether nothing may be done to the key at ``path``."""
        return not self._may_change and self.keep(path) is Kept.ALL

    def keep(self, path: Path) -> Kept:
        """What of the key at ``path`` has to stay, which is then noted as touched."""
        folded = self._normal(path)
        for length in range(1, len(folded) + 1):
            if folded[:length] in self._keys:
                self.touched.add(folded[:length])
                return Kept.ALL
        return Kept.SOME_SUBKEYS if folded in self._above else Kept.NOTHING

    def _normal(self, path: Path) -> Path:
        """The beginning of a path, folded, any control set as the list writes it."""
        folded = tuple(self._fold(name) for name in path[: self._deepest])
        if folded and ANY_CONTROL_SET.fullmatch(folded[0]):
            return self._fold(CONTROL_SET), *folded[1:]
        return folded
