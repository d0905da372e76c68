"""What inspect and ps show of a container's mounts."""

from __future__ import annotations

from typing import Any

from linwin.model.container import Container
from linwin.model.mount import VOLUME_DRIVER, Mount
from linwin.paths import Paths


def listed(container: Container, paths: Paths) -> list[dict[str, Any]]:
    """``Mounts``: docker's MountPoint of each, whose source is a file or folder of the host, or nothing."""
    return [_point(mount, paths) for mount in container.mounts]


def _point(mount: Mount, paths: Paths) -> dict[str, Any]:
    is_volume = mount.kind == "volume"
    return {
        "Type": mount.kind,
        **({"Name": mount.source, "Driver": VOLUME_DRIVER} if is_volume else {}),
        "Source": str(paths.volume(mount.source)) if is_volume else mount.source,
        "Destination": mount.target,
        "Mode": mount.mode,
        "RW": not mount.read_only,
        "Propagation": "",
    }
