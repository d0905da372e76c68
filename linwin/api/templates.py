"""``/linwin/templates``: linwin's extension of docker's API."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from aiohttp import web

from linwin.api import progress
from linwin.api.context import LIFETIME, answer, engine_of
from linwin.api.fields import Fields, body_of, optional_body_of
from linwin.errors import InvalidRequest
from linwin.model.progress import Report
from linwin.model.template import Imported, Media, Template, Unusable

_HIGHEST_INDEX = 999
_PRODUCT_KEY = re.compile(r"[A-Z0-9]{5}(-[A-Z0-9]{5}){4}")


def render(template: Template) -> dict[str, Any]:
    """A template as JSON: ``Size`` and ``CStart`` in bytes, ``MinimumMemory`` in MiB."""
    return {
        "Name": template.name,
        "Kind": template.kind,
        "Summary": template.summary,
        "Digest": template.digest,
        "Created": template.created,
        "Size": template.size,
        "MinimumMemory": template.minimum_memory,
        "ServesAnyBuild": template.serves_any_build,
        "Provides": [
            {"References": list(base.references), "OsVersion": base.os_version, "User": base.user}
            for base in template.provides
        ],
        "LeftOut": dict(template.left_out),
        "Unserved": {product.name: product.sentence for product in template.unserved},
        "Kernel": _shown(template.kernel),
        "Initrd": _shown(template.initrd),
        "RootDisk": _shown(template.root_disk),
        "CDisk": str(template.c_disk),
        "CStart": template.c_start,
        "Imported": _imported(template.imported),
        "Problem": "",
    }


def _shown(part: Path) -> str:
    """Empty for a part that the kind of template does not have."""
    return str(part) if part.name else ""


def _imported(disk: Imported | None) -> dict[str, Any] | None:
    """What was found on a user's disk; null for a template that was made here."""
    if disk is None:
        return None
    return {
        "Source": disk.source,
        "Format": disk.format,
        "Product": disk.product,
        "Edition": disk.edition,
        "InstallationType": disk.installation,
        "Generalized": disk.generalized,
        "EvaluationEnds": disk.evaluation_ends,
        "Drivers": dict(disk.drivers),
        "Added": list(disk.added),
        "Agent": disk.agent,
    }


def render_unusable(template: Unusable) -> dict[str, Any]:
    """Its name, and under ``Problem`` what is wrong and what mends it; the rest cannot be known."""
    return {
        "Name": template.name,
        "Kind": "",
        "Summary": "",
        "Digest": "",
        "Created": "",
        "Size": 0,
        "Provides": [],
        "Problem": f"{template.reason}; {template.remedy}",
    }


async def list_all(request: web.Request) -> web.Response:
    """``GET /linwin/templates``: the installed ones, those last that cannot be used."""
    engine = engine_of(request)
    usable = [render(template) for template in await engine.templates()]
    unusable = [render_unusable(template) for template in await engine.unusable_templates()]
    return answer(usable + unusable)


async def inspect(request: web.Request) -> web.Response:
    """``GET /linwin/templates/{name}``: one of them."""
    engine, name = engine_of(request), request.match_info["name"]
    return answer(render(await engine.template(name)))


async def build(request: web.Request) -> web.StreamResponse:
    """``POST /linwin/templates/{name}/build``: progress; the build ends when the client goes away.

    The body, if any, names what a recipe cannot bring: ``Iso`` and ``Virtio``, absolute paths on the
    daemon's host, ``Index``, and ``ProductKey``.
    """
    media = _media(await optional_body_of(request))

    async def work(report: Report) -> Iterable[progress.Line]:
        template = await engine_of(request).build_template(request.match_info["name"], report, media)
        return [{"status": f"Built template {template.name}"}, {"aux": {"ID": template.digest}}]

    return await progress.stream(request, work)


async def import_disk(request: web.Request) -> web.StreamResponse:
    """``POST /linwin/templates/{name}/import``: progress; the import ends when the client goes away.

    The body names ``Disk``, and ``Virtio`` if drivers are to be added: absolute paths on the daemon's host.
    """
    fields = await body_of(request)
    disk, virtio = _absolute(fields.text("Disk")), _absolute(fields.text("Virtio"))
    if disk is None:
        raise InvalidRequest("the request names no disk", hint="Give its path in the field Disk.")

    async def work(report: Report) -> Iterable[progress.Line]:
        name = request.match_info["name"]
        template = await engine_of(request).import_template(name, report, disk, virtio)
        return [{"status": f"Imported template {template.name}"}, {"aux": {"ID": template.digest}}]

    return await progress.stream(request, work)


def _media(fields: Fields | None) -> Media:
    if fields is None:
        return Media()
    index = fields.integer("Index") or 0
    if not 0 <= index <= _HIGHEST_INDEX:
        raise InvalidRequest(f"no image has the index {index}", hint="Images are counted from 1.")
    key = fields.text("ProductKey").upper()
    if key and not _PRODUCT_KEY.fullmatch(key):
        raise InvalidRequest(
            "a product key has five groups of five letters and digits",
            hint="As in AAAAA-BBBBB-CCCCC-DDDDD-EEEEE.",
        )
    return Media(_absolute(fields.text("Iso")), _absolute(fields.text("Virtio")), index, key)


def _absolute(text: str) -> Path | None:
    if text and not text.startswith("/"):
        raise InvalidRequest(
            f"{text!r} is not an absolute path", hint="The daemon does not know your folder."
        )
    return Path(text) if text else None


async def remove(request: web.Request) -> web.Response:
    """``DELETE /linwin/templates/{name}``: 204, or 409 while a container uses it."""
    await request.app[LIFETIME].complete(engine_of(request).remove_template(request.match_info["name"]))
    return web.Response(status=204)


ROUTES = (
    ("GET", "/linwin/templates", list_all),
    ("GET", "/linwin/templates/{name}", inspect),
    ("POST", "/linwin/templates/{name}/build", build),
    ("POST", "/linwin/templates/{name}/import", import_disk),
    ("DELETE", "/linwin/templates/{name}", remove),
)
