"""Images in the manner of each tool that makes Windows layers, with the volume they have to give.

:func:`tests.unit.disks.independent.confirm` compares a volume with it.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.unit.layers.docker_layers import docker_2016, docker_on_windows
from tests.unit.layers.linux_layers import buildkit, crane, imgutil, ko
from tests.unit.layers.written import Written, WrittenImage

__all__ = ["WRITERS", "Written", "WrittenImage"]

WRITERS: dict[str, Callable[[], WrittenImage]] = {
    "docker-on-windows": docker_on_windows,
    "docker-2016": docker_2016,
    "buildkit": buildkit,
    "crane": crane,
    "ko": ko,
    "imgutil": imgutil,
}
