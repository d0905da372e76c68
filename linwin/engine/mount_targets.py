"""Where mounts may be in a container, and lists of mounts put together: without a look at anything else."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from linwin.errors import InvalidRequest
from linwin.model.mount import Mount, parse_target

WINDOWS = "c:\\windows"


def checked(mount: Mount) -> Mount:
    """The mount with its target as Windows writes it. Raises InvalidRequest in docker's form."""
    try:
        return dataclasses.replace(mount, target=target(mount.target))
    except ValueError as error:
        raise invalid(mount, str(error), hint="Name a path of the container, such as C:\\data.") from error


def invalid(mount: Mount, why: str, *, hint: str | None = None) -> InvalidRequest:
    """The error for a mount that cannot be, in docker's form."""
    return InvalidRequest(f'invalid mount config for type "{mount.kind}": {why}', hint=hint)


def target(text: str) -> str:
    """A path at which something may be mounted. Raises ValueError with a sentence for its user."""
    path = parse_target(text)
    if f"{path}\\".lower().startswith(f"{WINDOWS}\\"):
        raise ValueError(f"{path} is Windows' own, and nothing can be mounted there")
    return path


def check_distinct(mounts: Iterable[Mount]) -> None:
    """Raise InvalidRequest in docker's words where two mounts have one target."""
    taken: set[str] = set()
    for mount in mounts:
        if _key(mount) in taken:
            raise InvalidRequest(f"Duplicate mount point: {mount.target}")
        taken.add(_key(mount))


def filled_up(mounts: Sequence[Mount], more: Iterable[Mount]) -> tuple[Mount, ...]:
    """``mounts``, and those of ``more`` whose targets are free still."""
    found = {_key(mount): mount for mount in mounts}
    for mount in more:
        found.setdefault(_key(mount), mount)
    return tuple(found.values())


def taken_over(mounts: Iterable[Mount], *, read_only: bool) -> tuple[Mount, ...]:
    """What a container gets of another's mounts. Nothing is copied into their volumes any more."""
    return tuple(
        dataclasses.replace(mount, read_only=mount.read_only or read_only, mode="", copy=False)
        for mount in mounts
    )


def _key(mount: Mount) -> str:
    """Windows does not tell letters of either case apart."""
    return mount.target.lower()
