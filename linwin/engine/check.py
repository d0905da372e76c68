"""check: compare what is on disk with what the records say, room by room and with each other."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from linwin.engine import attach, unreadable
from linwin.engine.create import choose_template
from linwin.errors import NotFound
from linwin.model.container import Container
from linwin.model.image import Image
from linwin.model.progress import Progress, Report
from linwin.model.template import Template, Unusable
from linwin.model.upkeep import Finding

if TYPE_CHECKING:
    from linwin.engine.engine import Engine

IN_FLUX = frozenset({"starting", "removing", "dead"})
"""What a container is while its files need not fit its record: they are being made or deleted."""


async def check(engine: Engine, report: Report, *, repair: bool) -> list[Finding]:
    """Verify every blob, chain and record. A repair does only what loses nothing.

    While chains are repaired no container can get a new disk; a check without
    repair keeps nobody waiting but those who would prune.
    """
    rooms = engine.rooms
    findings = list(await rooms.images.check(report, repair=repair))
    async with engine.chains.pruning() if repair else engine.chains.using():
        containers = await rooms.state.list()
        needed = await unreadable.chain_ids(engine, (c for c in containers if _has_disk(engine, c)))
        # One that is not there is told with the container that needs it.
        needed &= (await rooms.disks.usage()).keys()
        templates = await rooms.templates.list()
        findings += await rooms.disks.check(frozenset(needed), templates, report, repair=repair)
        report(Progress("Checking containers"))
        findings += await _containers(engine, templates) + unreadable.findings(containers)
    findings += await _folders(engine, repair=repair)
    findings += await _volumes(engine, repair=repair)
    findings += await _networks(engine)
    findings += _templates(await rooms.templates.unusable())
    return findings + _images(await rooms.images.list(), templates)


def _has_disk(engine: Engine, container: Container) -> bool:
    return engine.paths.overlay(container.id).exists()


# Containers


async def _containers(engine: Engine, templates: Collection[Template]) -> list[Finding]:
    rooms = engine.rooms
    images = {image.id for image in await rooms.images.list()}
    chains = (await rooms.disks.usage()).keys()
    installed = {template.name for template in templates}
    findings: list[Finding] = []
    for container in await rooms.state.list():
        found = _records(engine, container, images, installed) + await _disk(engine, container, chains)
        if found and await _still(engine, container):
            findings += found
    return findings


async def _still(engine: Engine, container: Container) -> bool:
    """Whether the record that was compared is the record still, and not one of a container in flux."""
    try:
        now = await engine.rooms.state.get(container.id)
    except NotFound:
        return False
    return now.status == container.status and now.status not in IN_FLUX


def _records(
    engine: Engine, container: Container, images: Collection[str], installed: Collection[str]
) -> list[Finding]:
    subject, name, findings = f"container {container.name}", container.spec.image, []
    if container.image_id not in images:
        needs_it = f"Pull or load {name} again: the container cannot start without it"
        unneeded = f"Pull or load {name} again, or leave it: the container has its own disk and still starts"
        findings.append(
            Finding(
                subject,
                f"was created from the image {name}, which is gone",
                unneeded if _has_disk(engine, container) else needs_it,
            )
        )
    if container.template not in installed:
        findings.append(
            Finding(
                subject,
                f"boots from the template {container.template}, which is not installed",
                f"Build it again: linwin template build {container.template}",
            )
        )
    return findings


async def _disk(engine: Engine, container: Container, chains: Collection[str]) -> list[Finding]:
    subject, lost = f"container {container.name}", f"Remove the container: linwin rm {container.name}"
    if not _has_disk(engine, container):
        if not container.started_at:
            return []  # its disk comes with its first start
        return [
            Finding(
                subject,
                "has lost its disk",
                f"Start it, which gives it a new one of its image, or remove it: linwin rm {container.name}",
            )
        ]
    backing = await engine.rooms.disks.backing(engine.paths.overlay(container.id))
    if backing is None:
        return [Finding(subject, "has a disk that is no overlay of a chain", lost)]
    if backing != container.chain_id:
        stands = f"has a disk that stands on chain {_short(backing)}"
        return [Finding(subject, f"{stands}, and not on {_short(container.chain_id)} as recorded", lost)]
    if backing not in chains:
        return [Finding(subject, f"stands on chain {_short(backing)}, which is gone", lost)]
    return []


def _short(chain_id: str) -> str:
    return chain_id.removeprefix("sha256:")[:12]


# Folders that belong to nobody


async def _folders(engine: Engine, *, repair: bool) -> list[Finding]:
    """Container folders that no record names. One that holds a disk may be somebody's only copy."""
    known = {container.id for container in await engine.rooms.state.list()}
    folders = await asyncio.to_thread(_listed, engine.paths.containers)
    known |= {container.id for container in await engine.rooms.state.list()}
    findings = []
    for folder in folders:
        if folder.name not in known and folder.exists():
            findings.append(await asyncio.to_thread(_ownerless, folder, "container", repair=repair))
    return findings


def _listed(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.exists() else []


def _ownerless(folder: Path, noun: str, *, repair: bool) -> Finding:
    return Finding(
        str(folder),
        f"belongs to no {noun}",
        f"Delete it if nothing in it is missed: rm -r {folder}",
        repaired=repair and _deleted_if_empty(folder),
    )


def _deleted_if_empty(folder: Path) -> bool:
    try:
        folder.rmdir()
    except OSError:  # it holds something, or is none
        return False
    return True


# Volumes


async def _volumes(engine: Engine, *, repair: bool) -> list[Finding]:
    """Folders of volumes that no record names, as after one that cannot be read, and volumes without one."""
    before = {volume.name for volume in await engine.volumes.list()}
    folders = {folder.name: folder for folder in await asyncio.to_thread(_listed, engine.paths.volumes)}
    known = {volume.name for volume in await engine.volumes.list()}
    findings = [
        Finding(
            f"volume {name}",
            "has lost its folder",
            f"Give it an empty one: linwin volume create {name}; or remove it: linwin volume rm {name}",
        )
        for name in sorted(before & known)
        if not engine.paths.volume(name).is_dir()
    ]
    for name in sorted(folders.keys() - before - known):
        findings.append(await asyncio.to_thread(_ownerless, folders[name], "volume", repair=repair))
    return findings


# Networks


async def _networks(engine: Engine) -> list[Finding]:
    """Containers in networks that are gone, and networks that this host cannot have."""
    rooms = engine.rooms
    kept = await rooms.state.networks.list()
    known = {network.name for network in await engine.networks.list()}
    findings = [
        Finding(
            f"container {container.name}",
            f"is in the network {endpoint.network}, which does not exist",
            f"Create it: linwin network create {endpoint.network}; or leave it: "
            f"linwin network disconnect {endpoint.network} {container.name}",
        )
        for container in await rooms.state.list()
        for endpoint in attach.endpoints(container.spec)
        if endpoint.network not in known and container.status not in IN_FLUX
    ]
    if kept and (why := await rooms.network.unavailable()):
        findings.append(Finding("networks", f"are not on the host: {why}", "See docs/networks.md"))
    return findings


# Templates and images


def _templates(unusable: Collection[Unusable]) -> list[Finding]:
    return [
        # Not capitalize(): it would lower the letters of the template's name.
        Finding(
            f"template {template.name}", template.reason, template.remedy[:1].upper() + template.remedy[1:]
        )
        for template in unusable
    ]


def _images(images: Collection[Image], templates: Collection[Template]) -> list[Finding]:
    return [
        Finding(
            f"image {next(iter(image.references), image.id)}",
            f"is for Windows {image.platform.os_version or '(unknown)'}, which no installed template serves",
            "Build one that serves every Windows build: linwin template build wine",
        )
        for image in images
        if choose_template(image, templates) is None
    ]
