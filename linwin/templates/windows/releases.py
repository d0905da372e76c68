"""What a Windows of some build can stand in for, and which of virtio-win's folders are for it. Pure.

Sources: Microsoft's "Windows container version compatibility" and the tags of its base images; the
folders of the virtio-win ISO. An image runs on a guest of its own build alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from linwin.errors import Unsupported
from linwin.model.template import BaseImage

NANO, CORE, DESKTOP, CLIENT = "Nano Server", "Server Core", "Server", "Client"
"""The values of InstallationType in the registry."""

USER = "ContainerAdministrator"  # the account of the agent's service
_NANOSERVER, _SERVERCORE = "mcr.microsoft.com/windows/nanoserver", "mcr.microsoft.com/windows/servercore"
_SERVER = "mcr.microsoft.com/windows/server"
_OLD_NANOSERVER, _OLD_SERVERCORE = "docker.io/microsoft/nanoserver", "docker.io/microsoft/windowsservercore"
_FIRST = 14393
# Microsoft's minima, in MiB; Windows 11's is a bound of its setup, below which it works too.
_MEMORY = {NANO: 512, CORE: 1024, DESKTOP: 2048, CLIENT: 2048}


@dataclass(frozen=True, slots=True)
class Release:
    """One build: the tags of its base images, and virtio-win's folders for its servers, best first."""

    build: int
    tags: tuple[str, ...]
    systems: tuple[str, ...]
    client: tuple[str, ...] = ("w10",)
    server_image: bool = False


_RELEASES = {
    release.build: release
    for release in (
        Release(14393, ("ltsc2016", "ltsc2016-amd64"), ("2k16", "w10")),
        Release(16299, ("1709",), ("2k16", "w10")),
        Release(17134, ("1803",), ("2k16", "w10")),
        Release(17763, ("1809", "1809-amd64", "ltsc2019", "ltsc2019-amd64"), ("2k19", "w10")),
        Release(18362, ("1903",), ("2k19", "w10")),
        Release(18363, ("1909",), ("2k19", "w10")),
        Release(19041, ("2004",), ("2k19", "w10")),
        Release(19042, ("20H2",), ("2k19", "w10")),
        Release(20348, ("ltsc2022", "ltsc2022-amd64"), ("2k22", "2k19"), ("w11", "w10"), True),
        Release(26100, ("ltsc2025", "ltsc2025-amd64"), ("2k25", "2k22", "w11"), ("w11",), True),
    )
}


def release(build: int, disk: str) -> Release:
    """Raises Unsupported for a build that no base image is for."""
    if build not in _RELEASES:
        raise Unsupported(
            f"{disk} holds a Windows of build {build}, and no container image is for that build",
            hint=f"images are for the builds {', '.join(map(str, _RELEASES))}",
        )
    return _RELEASES[build]


def driver_folders(found: Release, installation: str) -> tuple[str, ...]:
    return found.client if installation == CLIENT else found.systems


def minimum_memory(installation: str) -> int:
    """MiB."""
    return _MEMORY[installation]


def provided(found: Release, installation: str, os_version: str) -> tuple[BaseImage, ...]:
    """The base images that a Windows stands in for.

    Nano Server of later builds exists as an image only; a larger Windows of its build stands in for it.
    """
    nanoserver = BaseImage(_nanoserver(found), os_version, USER)
    if installation == NANO:
        return (nanoserver,)
    larger = [BaseImage(_servercore(found), os_version, USER)]
    if installation != CORE and found.server_image:
        larger.append(BaseImage(tuple(f"{_SERVER}:{tag}" for tag in found.tags), os_version, USER))
    return (*larger, *([] if found.build == _FIRST else [nanoserver]))


def _nanoserver(found: Release) -> tuple[str, ...]:
    if found.build == _FIRST:
        return (f"{_OLD_NANOSERVER}:latest", f"{_OLD_NANOSERVER}:sac2016")
    return tuple(f"{_NANOSERVER}:{tag}" for tag in found.tags)


def _servercore(found: Release) -> tuple[str, ...]:
    now = tuple(f"{_SERVERCORE}:{tag}" for tag in found.tags)
    if found.build == _FIRST:
        return (*now, f"{_OLD_SERVERCORE}:latest", f"{_OLD_SERVERCORE}:ltsc2016")
    return now
