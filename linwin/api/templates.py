"""``/linwin/templates``: linwin's extension of docker's API."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from aiohttp import web

from linwin.api import progress
from linwin.api.context import LIFETIME, answer, engine_of
from linwin.model.progress import Report
from linwin.model.template import Template, Unusable


def render(template: Template) -> dict[str, Any]:
    """A template as JSON: ``Size`` in bytes, ``MinimumMemory`` in MiB."""
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
        "Kernel": str(template.kernel),
        "Initrd": str(template.initrd),
        "RootDisk": str(template.root_disk),
        "CDisk": str(template.c_disk),
        "Problem": "",
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
    return answer(usable + [render_unusable(template) for template in await engine.unusable_templates()])


async def inspect(request: web.Request) -> web.Response:
    """``GET /linwin/templates/{name}``: one of them."""
    return answer(render(await engine_of(request).template(request.match_info["name"])))


async def build(request: web.Request) -> web.StreamResponse:
    """``POST /linwin/templates/{name}/build``: progress; the build ends when the client goes away."""

    async def work(report: Report) -> Iterable[progress.Line]:
        template = await engine_of(request).build_template(request.match_info["name"], report)
        return [{"status": f"Built template {template.name}"}, {"aux": {"ID": template.digest}}]

    return await progress.stream(request, work)


async def remove(request: web.Request) -> web.Response:
    """``DELETE /linwin/templates/{name}``: 204, or 409 while a container uses it."""
    await request.app[LIFETIME].complete(engine_of(request).remove_template(request.match_info["name"]))
    return web.Response(status=204)


ROUTES = (
    ("GET", "/linwin/templates", list_all),
    ("GET", "/linwin/templates/{name}", inspect),
    ("POST", "/linwin/templates/{name}/build", build),
    ("DELETE", "/linwin/templates/{name}", remove),
)
