"""sharing: what a container has mounted, offered to its guest while it runs."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from linwin.errors import LinwinError, Unavailable
from linwin.model.container import Container
from linwin.model.mount import Access, GuestMount, Mount, Share
from linwin.model.network import Network

if TYPE_CHECKING:
    from linwin.engine.engine import Engine

logger = logging.getLogger(__name__)


def shared(container: Container) -> tuple[Mount, ...]:
    """Those of its mounts that are files of the host, the outer before what is mounted in them."""
    return tuple(mount for mount in ordered(container) if mount.kind != "tmpfs")


def ordered(container: Container) -> list[Mount]:
    """Its mounts, the outer before what is mounted in them."""
    return sorted(container.mounts, key=lambda mount: mount.target.casefold())


def wanted(container: Container) -> bool:
    """Whether its guest has to reach the file server."""
    return bool(shared(container))


async def offer(engine: Engine, container: Container) -> tuple[GuestMount, ...]:
    """Share what the container has mounted; how its guest is to mount it.

    Raises NotFound for a source that is gone, Unavailable where the file server does not run.
    """
    mounts = shared(container)
    shares = [_share(engine, container, number, mount) for number, mount in enumerate(mounts)]
    accesses = iter(await engine.rooms.shares.offer(shares) if shares else ())
    server = await _server(engine, container) if shares else ""
    for mount in mounts:
        _tell(engine, container, mount, "mount")
    return tuple(
        GuestMount(mount.target, mount.read_only, size=mount.size)
        if mount.kind == "tmpfs"
        else _guest_mount(mount, server, next(accesses))
        for mount in ordered(container)
    )


async def withdraw(engine: Engine, container: Container) -> None:
    """Take back what was offered to a container that has ended. What fails is done by the next daemon."""
    if not wanted(container):
        return
    try:
        await engine.rooms.shares.withdraw(container.short_id)
    except LinwinError as error:
        logger.error("container %s: its mounts are still shared: %s", container.short_id, error)
        engine.metrics.failed("withdraw", error)
    for mount in shared(container):
        _tell(engine, container, mount, "unmount")


def source(engine: Engine, mount: Mount) -> str:
    """The host's path of what is mounted."""
    return str(engine.paths.volume(mount.source)) if mount.kind == "volume" else mount.source


def _share(engine: Engine, container: Container, number: int, mount: Mount) -> Share:
    return Share(
        f"{container.short_id}-{number}", source(engine, mount), mount.read_only, mount.uid, mount.gid
    )


def _guest_mount(mount: Mount, server: str, access: Access) -> GuestMount:
    return GuestMount(
        mount.target,
        mount.read_only,
        server=server,
        share=access.share,
        user=access.user,
        password=access.password,
        file=access.file,
    )


async def _server(engine: Engine, container: Container) -> str:
    """The address at which the container's guest reaches the file server: its network's gateway."""
    networks: dict[str, Network] = {network.id: network for network in await engine.networks.all()}
    for attachment in container.attachments:
        if attachment.files:
            gateways = (subnet.gateway for subnet in networks[attachment.network_id].subnets)
            return next(gateway for gateway in gateways if "." in gateway)
    raise Unavailable(
        f"container {container.short_id} has no network to reach its mounts through",
        hint="See docs/networks.md for what a host needs.",
    )


def _tell(engine: Engine, container: Container, mount: Mount, action: str) -> None:
    if mount.kind != "volume":
        return
    attributes = {"container": container.id}
    if action == "mount":
        attributes |= {
            "destination": mount.target,
            "propagation": "",
            "read/write": "false" if mount.read_only else "true",
        }
    engine.events.volume(mount.source, action, **attributes)
