"""``/images``: list, inspect, history, tag, delete."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from aiohttp import web

from linwin.api import filters, query, versions
from linwin.api.context import LIFETIME, answer, engine_of, version_of
from linwin.api.references import joined
from linwin.api.render import familiar, health_check, unix_seconds
from linwin.engine.usage import image_sizes
from linwin.errors import InvalidRequest
from linwin.model.image import Image, Removed, RunConfig
from linwin.model.template import Template

NOT_COUNTED = -1
"""Docker's mark for a figure that was not asked for."""


async def list_some(request: web.Request) -> web.Response:
    """``GET /images/json``: filtered, newest first; with ``shared-size`` the bytes that others have too.

    What builds went through on their way to another image is left out, unless ``all`` asks for it.
    """
    engine = engine_of(request)
    wanted = query.filters(request, filters.IMAGE_FILTERS)
    images = await engine.images()
    sizes = image_sizes(images) if query.flag(request, "shared-size") else {}
    found = filters.images(
        images if query.flag(request, "all") else without_intermediate(images),
        wanted,
        before=await _one(request, wanted, "before"),
        since=await _one(request, wanted, "since"),
    )
    hidden = frozenset() if "reference" in wanted else unlisted(await engine.templates())
    return answer(
        [
            versions.listed_image(summary(image, hidden), version_of(request))
            | ({"SharedSize": sizes[image.id].shared} if sizes else {})
            for image in found
        ]
    )


def without_intermediate(images: Collection[Image]) -> list[Image]:
    """The images that have a name, or that no other was made from."""
    parents = {image.parent for image in images}
    return [image for image in images if image.references or image.digests or image.id not in parents]


def unlisted(templates: Iterable[Template]) -> frozenset[str]:
    """The templates' own names but ``latest``: dozens of tags of two images, shown when asked for."""
    provided = (
        reference for template in templates for base in template.provides for reference in base.references
    )
    return frozenset(reference for reference in provided if not reference.endswith(":latest"))


async def _one(request: web.Request, wanted: query.Filters, key: str) -> Image | None:
    names = wanted.get(key, ())
    if len(names) > 1:
        raise InvalidRequest(f"invalid filter '{key}'", hint="It takes one image.")
    return await engine_of(request).image(names[0]) if names else None


def summary(image: Image, hidden: frozenset[str]) -> dict[str, Any]:
    """One element of ``/images/json``, without the references in ``hidden``."""
    listed = [reference for reference in image.references if reference not in hidden]
    return {
        "Id": image.id,
        "ParentId": image.parent,
        "RepoTags": [familiar(reference) for reference in listed],
        "RepoDigests": [familiar(digest) for digest in image.digests],
        "Created": unix_seconds(image.created),
        "Size": image.size,
        "SharedSize": NOT_COUNTED,
        "Labels": dict(image.config.labels),
        "Containers": NOT_COUNTED,
        "Linwin": {"Template": image.template},
    }


async def inspect(request: web.Request) -> web.Response:
    """``GET /images/{name}/json``; a name may hold slashes."""
    found = await engine_of(request).image(_name(request))
    return answer(versions.image(inspection(found), version_of(request)))


def inspection(image: Image) -> dict[str, Any]:
    """The answer of ``/images/{name}/json``."""
    return {
        "Id": image.id,
        "RepoTags": [familiar(reference) for reference in image.references],
        "RepoDigests": [familiar(digest) for digest in image.digests],
        "Parent": image.parent,
        "Comment": image.history[-1].comment if image.history else "",
        "Created": image.created,
        "ContainerConfig": {},
        "DockerVersion": "",
        "Author": image.author,
        "Config": _config(image.config),
        "Architecture": image.platform.architecture,
        "Os": image.platform.os,
        "OsVersion": image.platform.os_version,
        "Size": image.size,
        "GraphDriver": {"Name": "qcow2", "Data": {}},
        "RootFS": {"Type": "layers", "Layers": list(image.diff_ids)},
        "Metadata": {},
        "Linwin": {"Template": image.template, "BaseLayers": image.base_layers},
    }


def _config(config: RunConfig) -> dict[str, Any]:
    """A run configuration; docker writes a missing command as null."""
    return {
        "User": config.user,
        "ExposedPorts": {port: {} for port in config.exposed_ports},
        "Env": list(config.env),
        "Entrypoint": list(config.entrypoint) or None,
        "Cmd": list(config.cmd) or None,
        "Volumes": {path: {} for path in config.volumes},
        "WorkingDir": config.working_dir,
        "Labels": dict(config.labels),
        "StopSignal": config.stop_signal,
        "Shell": list(config.shell) or None,
        "ArgsEscaped": config.args_escaped,
        "OnBuild": list(config.on_build) or None,
        **health_check(config.health_check),
    }


async def history(request: web.Request) -> web.Response:
    """Newest first. Layers that the template provides count nothing, since nothing is stored for them."""
    image = await engine_of(request).image(_name(request))
    sizes = iter([0] * image.base_layers + [layer.size for layer in image.layers])
    lines = [
        {
            "Id": "<missing>",
            "Created": unix_seconds(entry.created),
            "CreatedBy": entry.created_by,
            "Tags": [],
            "Size": 0 if entry.empty_layer else next(sizes, 0),
            "Comment": entry.comment,
        }
        for entry in image.history
    ]
    lines.reverse()
    if lines:
        lines[0] |= {"Id": image.id, "Tags": [familiar(reference) for reference in image.references]}
    return answer(lines)


async def tag(request: web.Request) -> web.Response:
    """``POST /images/{name}/tag``: 201."""
    repository = request.query.get("repo", "")
    if not repository:
        raise InvalidRequest("no repository was named", hint="Use tag?repo=NAME&tag=TAG.")
    target = joined(repository, request.query.get("tag", "")) or repository
    await request.app[LIFETIME].complete(engine_of(request).tag(_name(request), target))
    return web.Response(status=201)


async def remove(request: web.Request) -> web.Response:
    """``DELETE /images/{name}``: what was untagged and what was deleted."""
    force = query.flag(request, "force")
    removal = engine_of(request).remove_image(_name(request), force=force)
    removed = await request.app[LIFETIME].complete(removal)
    return answer(removals(removed))


def removals(removed: Iterable[Removed]) -> list[dict[str, str]]:
    """What was untagged and what was deleted, in the order in which it was."""
    lines = []
    for item in removed:
        if item.untagged:
            lines.append({"Untagged": familiar(item.untagged)})
        if item.deleted:
            lines.append({"Deleted": item.deleted})
    return lines


def _name(request: web.Request) -> str:
    return request.match_info["name"]


ROUTES = (
    ("GET", "/images/json", list_some),
    ("GET", "/images/{name:.+}/json", inspect),
    ("GET", "/images/{name:.+}/history", history),
    ("POST", "/images/{name:.+}/tag", tag),
    ("DELETE", "/images/{name:.+}", remove),
)
