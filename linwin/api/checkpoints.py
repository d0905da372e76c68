"""``/linwin/checkpoints``: linwin's extension of docker's API."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from aiohttp import web

from linwin.api import progress, query
from linwin.api.context import LIFETIME, answer, engine_of
from linwin.api.fields import body_of
from linwin.api.render import rfc3339
from linwin.engine.create import MIB
from linwin.errors import InvalidRequest
from linwin.model.machine import Checkpoint
from linwin.model.progress import Report

DEFAULT_TEMPLATE = "wine"


def render(checkpoint: Checkpoint, templates: dict[str, str]) -> dict[str, Any]:
    """A checkpoint as JSON: ``Memory`` and ``Size`` in bytes; ``Template`` is empty for one that is gone."""
    return {
        "Id": checkpoint.key,
        "Template": templates.get(checkpoint.template, ""),
        "TemplateDigest": checkpoint.template,
        "Memory": checkpoint.memory * MIB,
        "Cpus": checkpoint.cpus,
        "Accelerator": checkpoint.accelerator,
        "Size": checkpoint.size,
        "Created": rfc3339(checkpoint.created_at),
        "Used": rfc3339(checkpoint.used_at),
    }


async def list_all(request: web.Request) -> web.Response:
    """``GET /linwin/checkpoints``: the most recently used first."""
    engine = engine_of(request)
    templates = {template.digest: template.name for template in await engine.templates()}
    return answer([render(checkpoint, templates) for checkpoint in await engine.checkpoints.kept()])


async def create(request: web.Request) -> web.StreamResponse:
    """``POST /linwin/checkpoints`` with ``Template``, ``Memory`` in bytes and ``Cpus``: progress."""
    engine, body = engine_of(request), await body_of(request)
    name, memory, cpus = body.text("Template"), body.integer("Memory") or 0, body.integer("Cpus") or 0
    if memory < 0 or cpus < 0:
        raise InvalidRequest("Memory and Cpus must not be negative")

    async def work(report: Report) -> Iterable[progress.Line]:
        template = await engine.template(name or DEFAULT_TEMPLATE)
        made = await engine.checkpoints.make(template, report, memory=memory // MIB, cpus=cpus)
        if made is None:
            return [{"status": "There is a checkpoint of this size already"}]
        return [{"status": f"Made checkpoint {made.key[:12]}"}, {"aux": {"ID": made.key}}]

    return await progress.stream(request, work)


async def remove(request: web.Request) -> web.Response:
    """``DELETE /linwin/checkpoints/{id}``: 204; running clones go on."""
    await request.app[LIFETIME].complete(engine_of(request).checkpoints.remove(request.match_info["id"]))
    return web.Response(status=204)


async def prune(request: web.Request) -> web.Response:
    """``POST /linwin/checkpoints/prune``: deletes those of no use, with ``all`` every one."""
    pruning = engine_of(request).checkpoints.prune(everything=query.flag(request, "all"))
    gone = await request.app[LIFETIME].complete(pruning)
    return answer({"Deleted": [c.key for c in gone], "SpaceReclaimed": sum(c.size for c in gone)})


ROUTES = (
    ("GET", "/linwin/checkpoints", list_all),
    ("POST", "/linwin/checkpoints", create),
    ("POST", "/linwin/checkpoints/prune", prune),
    ("DELETE", "/linwin/checkpoints/{id}", remove),
)
