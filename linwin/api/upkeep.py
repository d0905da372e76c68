"""``/system/df`` and linwin's own ``/linwin/check``: how full the disk is, and how sound what is on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from typing import Any

from aiohttp import web

from linwin.api import images, mount_points, progress, query, render, versions, volumes
from linwin.api.context import PATHS, answer, engine_of, version_of
from linwin.engine.usage import image_sizes
from linwin.errors import InvalidRequest
from linwin.model.container import Container
from linwin.model.image import Image
from linwin.model.progress import Report
from linwin.model.template import Template
from linwin.model.upkeep import DiskUse, Finding

KINDS = ("container", "image", "volume", "build-cache")


async def disk_use(request: web.Request) -> web.Response:
    """``GET /system/df``: bytes of disk, of the ``type`` that is asked for or of all.

    An image's size counts its layers' blobs and the disks that were made of
    them, since both go when it is deleted.
    """
    wanted = _kinds(request)
    engine = engine_of(request)
    use, templates = await engine.usage(), await engine.templates()
    found, containers = await engine.images(), await engine.list()
    own = {template.digest for template in templates}
    layers = use.blobs + sum(size for chain_id, size in use.chains.items() if chain_id not in own)
    shown = {
        "LayersSize": layers if "image" in wanted else 0,
        "Images": _images(found, containers, templates, use) if "image" in wanted else None,
        "Containers": await _containers(request, containers, found, use) if "container" in wanted else None,
        "Volumes": await _volumes(request) if "volume" in wanted else None,
        "BuildCache": [] if "build-cache" in wanted else None,
    }
    return answer(versions.disk_use(shown, version_of(request)))


def _kinds(request: web.Request) -> frozenset[str]:
    chooses = version_of(request) >= versions.DISK_USE_TYPE_SINCE
    asked = frozenset(request.query.getall("type", KINDS) if chooses else KINDS)
    if unknown := sorted(asked - frozenset(KINDS)):
        raise InvalidRequest(f"unknown object type: {unknown[0]}", hint=f"Use some of: {', '.join(KINDS)}.")
    return asked


def _images(
    found: Collection[Image], containers: Collection[Container], templates: Collection[Template], use: DiskUse
) -> list[dict[str, Any]]:
    users = Counter(container.image_id for container in containers)
    sizes = image_sizes(found, templates, use.chains)
    hidden = images.unlisted(templates)
    return [
        images.summary(image, hidden)
        | {
            "Size": sizes[image.id].total,
            "SharedSize": sizes[image.id].shared,
            "Containers": users[image.id],
        }
        for image in images.without_intermediate(found)
    ]


async def _containers(
    request: web.Request, containers: Iterable[Container], found: Iterable[Image], use: DiskUse
) -> list[dict[str, Any]]:
    networks, paths = await engine_of(request).networks.all(), request.app[PATHS]
    below = {image.id: image.size for image in found}
    return [
        render.summary(container, networks, mount_points.listed(container, paths))
        | render.sizes(use.overlays.get(container.id, 0), below.get(container.image_id, 0))
        for container in containers
    ]


async def _volumes(request: web.Request) -> list[dict[str, Any]]:
    held = engine_of(request).volumes
    sizes, references = await held.usage(), await held.references()
    return [
        volumes.render(volume, request.app[PATHS])
        | {"UsageData": {"Size": sizes.get(volume.name, 0), "RefCount": references.get(volume.name, 0)}}
        for volume in await held.list()
    ]


async def check(request: web.Request) -> web.StreamResponse:
    """``POST /linwin/check``: progress, then a line for each finding.

    With ``repair`` what loses nothing is put right. The check ends when the client goes away.
    """
    repair = query.flag(request, "repair")

    async def work(report: Report) -> Iterable[progress.Line]:
        return map(_finding, await engine_of(request).check(report, repair=repair))

    return await progress.stream(request, work)


def _finding(finding: Finding) -> progress.Line:
    return {
        "aux": {
            "Subject": finding.subject,
            "Problem": finding.problem,
            "Remedy": finding.remedy,
            "Repaired": finding.repaired,
        }
    }


ROUTES = (
    ("GET", "/system/df", disk_use),
    ("POST", "/linwin/check", check),
)
