"""Mounts and volumes: files of the host, and of guests' memory, at paths of a container."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

MountKind = Literal["bind", "volume", "tmpfs"]

VOLUME_DRIVER = "local"
"""What docker calls the driver of volumes that are folders of the host."""

ANONYMOUS_LABEL = "com.docker.volume.anonymous"
"""The label by which docker tells volumes that it named itself."""

SYSTEM_DRIVE = "C:"
_DRIVE = re.compile(r"[A-Za-z]:")
_LONG_PATH = "\\\\?\\"
"""Windows' prefix for paths of any length."""
_DEVICE = re.compile(r"(con|prn|aux|nul|(com|lpt)[1-9¹²³]) *(\..*)?", re.IGNORECASE)
_NO_CHARACTER = re.compile(r'[\x00-\x1f<>:"|?*]')


@dataclass(frozen=True, slots=True)
class Mount:
    """Something mounted in a container.

    ``target`` is a Windows path from its drive on, as in ``C:\\src`` or ``D:\\``. ``source`` is an
    absolute path of the host for a bind mount, the name of a volume (empty, in what a user asked
    for, where linwin is to make one) and nothing for a tmpfs. ``mode`` is what the user wrote
    behind the target, echoed by inspect. A volume that is new is filled with what the image has
    at ``target``, unless ``copy`` is false. ``uid`` and ``gid`` own what the container writes,
    None for the owner of the source. ``size`` is a tmpfs's in bytes, 0 for the guest's default.
    ``labels`` are for a volume that is to be made.
    """

    kind: MountKind
    target: str
    source: str = ""
    read_only: bool = False
    mode: str = ""
    copy: bool = True
    uid: int | None = None
    gid: int | None = None
    size: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Volume:
    """A folder of the host that linwin keeps for containers.

    ``created_at`` is in nanoseconds since the epoch. ``anonymous`` ones were named by linwin, and
    go with the container that they were made for, where that is removed with its volumes.
    ``options`` are what the client sent, echoed by inspect.
    """

    name: str
    created_at: int
    labels: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    anonymous: bool = False


@dataclass(frozen=True, slots=True)
class Share:
    """A file or folder of the host that one running container is to reach.

    ``id`` is its user's name on the file server. ``uid`` and ``gid`` are whom the server is on
    the host when it does what the container asks for, None for the owner of ``source``.
    """

    id: str
    source: str
    read_only: bool
    uid: int | None = None
    gid: int | None = None


@dataclass(frozen=True, slots=True)
class Access:
    """How a guest reaches a share: the server's name for it, and the credentials of this one run.

    ``file`` is the one file in it that counts; empty where that is the whole share.
    """

    share: str
    user: str
    password: str
    file: str = ""


@dataclass(frozen=True, slots=True)
class GuestMount:
    """One mount as a guest's agent makes it.

    Of a share of the server at ``server`` (an address), or of the guest's own memory where
    ``server`` is empty; then ``size`` is in bytes, 0 for half of the guest's memory.
    """

    target: str
    read_only: bool = False
    server: str = ""
    share: str = ""
    user: str = ""
    password: str = ""
    file: str = ""
    size: int = 0


def parse_target(text: str) -> str:
    """A path of a container as :class:`Mount` has it in ``target``.

    Both slashes separate, ``.`` and ``..`` are resolved, and what names no drive is on C:, so that
    ``c:/data/``, ``C:\\x\\..\\data`` and ``/data`` are all ``C:\\data``; ``d:`` is ``D:\\``. Raises
    ValueError, in docker's words, for a relative path, the root of C:, or what Windows takes for no path.
    """
    rest = text.replace("/", "\\").removeprefix(_LONG_PATH)
    drive = SYSTEM_DRIVE
    is_remote = rest.startswith("\\\\")  # a server's share, or a device
    if _DRIVE.match(rest):
        drive, rest = rest[:2].upper(), rest[2:] or "\\"
    if not rest.startswith("\\"):
        raise ValueError(f"invalid mount path: '{text}' mount path must be absolute")
    names: list[str] = []
    for name in rest.split("\\"):
        if name == "..":
            names = names[:-1]
        elif name not in ("", "."):
            names.append(name)
    if wrong := "it is no path of a drive" if is_remote else next(filter(None, map(_wrong, names)), ""):
        raise ValueError(f"invalid mount path: '{text}': {wrong}")
    if drive == SYSTEM_DRIVE and not names:
        raise ValueError("destination path cannot be `c:` or `c:\\`: c:\\")
    return f"{drive}\\" + "\\".join(names)


def _wrong(name: str) -> str:
    """Why Windows would not take a name, or would take it for another; empty where it would."""
    if found := _NO_CHARACTER.search(name):
        return f"no name of Windows has the character {found[0]!r}"
    if name.endswith((".", " ")):
        return f"no name of Windows ends in a dot or a space, as '{name}' does"
    return f"{name} is the name of a device" if _DEVICE.fullmatch(name) else ""
