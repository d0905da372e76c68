"""Mounts: what a container gets of the host's files, from what its user and its image asked for."""

from __future__ import annotations

import asyncio
import dataclasses
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from linwin.engine.mount_targets import check_distinct, checked, filled_up, invalid, taken_over, target
from linwin.errors import Unavailable, unreadable
from linwin.model.container import Container, ContainerSpec
from linwin.model.image import Image
from linwin.model.mount import Mount

if TYPE_CHECKING:
    from linwin.engine.engine import Engine

HINT = "Leave out -v, --mount and --volumes-from, or see docs/volumes.md for what a host needs."


async def resolve(engine: Engine, spec: ContainerSpec, image: Image) -> tuple[tuple[Mount, ...], str]:
    """The mounts of a new container, each of a volume that exists, and a warning for its user.

    Called within :meth:`linwin.engine.volumes.Volumes.held`. As docker's: what is asked for goes before
    what comes from other containers, and that before volumes without a name. Raises InvalidRequest
    for what cannot be, NotFound for an unknown container, Unavailable for what this host cannot give.
    """
    asked = [checked(mount) for mount in spec.mounts]
    check_distinct(asked)
    for mount in asked:
        await _check_source(mount)
    wanted = filled_up(asked, await _of_others(engine, spec.volumes_from))
    wanted = filled_up(wanted, [checked(Mount("volume", path)) for path in spec.volumes])
    every, left_out = _with_images(wanted, image)
    reason = await engine.rooms.shares.unavailable() if any(map(_is_shared, every)) else ""
    if reason:
        if any(map(_is_shared, wanted)):
            raise Unavailable(reason, hint=HINT)
        left_out += [_left_out(mount.target, reason) for mount in every[len(wanted) :]]
        every = wanted
    return tuple([await _provided(engine, mount) for mount in every]), "; ".join(left_out)


async def remove_anonymous(engine: Engine, container: Container) -> None:
    """Remove the volumes without a name that a container was given, where no other uses them.

    What of it fails is logged: the container goes all the same, as docker's does.
    """
    named = {mount.source for mount in container.spec.mounts if mount.kind == "volume"}
    for mount in container.mounts:
        if mount.kind == "volume" and mount.source not in named:
            await engine.volumes.discard(mount.source, container)


def _with_images(wanted: tuple[Mount, ...], image: Image) -> tuple[tuple[Mount, ...], list[str]]:
    """``wanted``, then volumes at the image's paths that are free; and of others why they are left out.

    What only an image asks for keeps no container from running.
    """
    declared, left_out = list[Mount](), list[str]()
    for path in image.config.volumes:
        try:
            declared.append(Mount("volume", target(path)))
        except ValueError as error:
            left_out.append(_left_out(path, str(error)))
    return filled_up(wanted, declared), left_out


def _left_out(path: str, why: str) -> str:
    return f"no volume is made at {path}, where the image wants one: {why}"


def _is_shared(mount: Mount) -> bool:
    """Whether it needs the file server."""
    return mount.kind != "tmpfs"


async def _of_others(engine: Engine, sources: Iterable[str]) -> tuple[Mount, ...]:
    """What comes from other containers; of several at one target the last, as docker has it."""
    found: tuple[Mount, ...] = ()
    for source in sources:
        name, _, mode = source.partition(":")
        other = await engine.rooms.state.get(name)
        if other.unreadable:
            raise unreadable(other.name, other.error)
        found = filled_up(taken_over(other.mounts, read_only=mode == "ro"), found)
    return found


async def _provided(engine: Engine, mount: Mount) -> Mount:
    """The mount of a volume that exists, made where need be."""
    if mount.kind != "volume":
        return mount
    volume = await engine.volumes.provide(mount.source, mount.labels)
    return dataclasses.replace(mount, source=volume.name)


# Sources


async def _check_source(mount: Mount) -> None:
    if mount.kind != "bind":
        return
    try:
        mode = (await asyncio.to_thread(Path(mount.source).stat)).st_mode
    except (FileNotFoundError, NotADirectoryError) as error:
        raise invalid(
            mount,
            f"bind source path does not exist: {mount.source}",
            hint="The path is one of the host that linwin's daemon runs on.",
        ) from error
    except OSError as error:
        raise invalid(mount, f"bind source path cannot be used: {mount.source}: {error.strerror}") from error
    if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
        raise invalid(mount, f"bind source path is neither a folder nor a file: {mount.source}")
