"""``/images``: list, inspect, history, load, pull, tag, delete."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from linwin.api import filters, progress, query
from linwin.api.context import LIFETIME, PATHS, answer, engine_of
from linwin.api.render import familiar, unix_seconds
from linwin.errors import InvalidRequest, NotFound, Unavailable, Unsupported
from linwin.model.image import Image, RunConfig
from linwin.model.progress import Progress, Report
from linwin.model.template import Template

SPOOL_PIECE = 1024 * 1024


async def list_some(request: web.Request) -> web.Response:
    """``GET /images/json``: filtered, newest first."""
    engine = engine_of(request)
    wanted = query.filters(request, filters.IMAGE_FILTERS)
    found = filters.images(
        await engine.images(),
        wanted,
        before=await _one(request, wanted, "before"),
        since=await _one(request, wanted, "since"),
    )
    unlisted = frozenset() if "reference" in wanted else _unlisted(await engine.templates())
    return answer([_summary(image, unlisted) for image in found])


def _unlisted(templates: Iterable[Template]) -> frozenset[str]:
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


def _summary(image: Image, unlisted: frozenset[str]) -> dict[str, Any]:
    listed = [reference for reference in image.references if reference not in unlisted]
    return {
        "Id": image.id,
        "ParentId": "",
        "RepoTags": [familiar(reference) for reference in listed],
        "RepoDigests": [familiar(digest) for digest in image.digests],
        "Created": unix_seconds(image.created),
        "Size": image.size,
        "VirtualSize": image.size,
        "SharedSize": -1,
        "Labels": dict(image.config.labels),
        "Containers": -1,
        "Linwin": {"Template": image.template},
    }


async def inspect(request: web.Request) -> web.Response:
    """``GET /images/{name}/json``; a name may hold slashes."""
    image = await engine_of(request).image(_name(request))
    return answer(
        {
            "Id": image.id,
            "RepoTags": [familiar(reference) for reference in image.references],
            "RepoDigests": [familiar(digest) for digest in image.digests],
            "Parent": "",
            "Comment": "",
            "Created": image.created,
            "ContainerConfig": {},
            "DockerVersion": "",
            "Author": image.author,
            "Config": _config(image.config),
            "Architecture": image.platform.architecture,
            "Os": image.platform.os,
            "OsVersion": image.platform.os_version,
            "Size": image.size,
            "VirtualSize": image.size,
            "GraphDriver": {"Name": "qcow2", "Data": {}},
            "RootFS": {"Type": "layers", "Layers": list(image.diff_ids)},
            "Metadata": {},
            "Linwin": {"Template": image.template, "BaseLayers": image.base_layers},
        }
    )


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
        "OnBuild": None,
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


async def load(request: web.Request) -> web.StreamResponse:
    """``POST /images/load``: the whole upload is spooled before the first progress."""
    quiet = query.flag(request, "quiet")
    async with _spooled(request) as archive:

        async def work(report: Report) -> Iterable[progress.Line]:
            try:
                loaded = await engine_of(request).load(archive, _ignore if quiet else report)
            finally:
                await _delete(archive)  # before the client hears that all is done
            return [{"stream": f"Loaded image: {name}\n"} for image in loaded for name in _names(image)]

        return await progress.stream(request, work)


def _ignore(_: Progress) -> None:
    """A Report for a client that wants no progress."""


def _names(image: Image) -> list[str]:
    return [familiar(reference) for reference in image.references] or [image.id]


@asynccontextmanager
async def _spooled(request: web.Request) -> AsyncIterator[Path]:
    """The request's body as a file. Raises Unavailable for a full disk."""
    try:
        descriptor, name = tempfile.mkstemp(prefix="load-", suffix=".tar", dir=request.app[PATHS].scratch)
    except OSError as error:
        raise _cannot_spool(error) from error
    try:
        try:
            await _spool(request, descriptor)
        finally:
            os.close(descriptor)
        yield Path(name)
    finally:
        await _delete(Path(name))


async def _delete(archive: Path) -> None:
    """Delete in a thread, since a file of gigabytes takes its time. Idempotent."""
    await asyncio.shield(asyncio.to_thread(archive.unlink, missing_ok=True))


async def _spool(request: web.Request, descriptor: int) -> None:
    async for piece in request.content.iter_chunked(SPOOL_PIECE):
        try:
            await asyncio.to_thread(_write_all, descriptor, piece)
        except OSError as error:
            raise _cannot_spool(error) from error


def _write_all(descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]


def _cannot_spool(error: OSError) -> Unavailable:
    return Unavailable(
        f"cannot store the uploaded archive: {error.strerror}",
        hint="Free some space under LINWIN_ROOT and try again.",
    )


async def pull(request: web.Request) -> web.StreamResponse:
    """What resolves here is up to date; linwin transfers nothing from registries."""
    name = request.query.get("fromImage", "")
    if not name:
        raise Unsupported(
            "linwin does not import file systems", hint="Build an image archive and use linwin load."
        )
    reference = _join(name, request.query.get("tag", ""))
    try:
        image = await engine_of(request).image(reference)
    except NotFound as error:
        raise Unsupported(
            f"cannot pull {familiar(reference)}: this build of linwin resolves base images from its "
            "templates and loads others with `linwin load`",
            hint="Save the image where it is (docker save, skopeo copy) and run: linwin load -i ARCHIVE",
        ) from error

    async def work(_: Report) -> Iterable[progress.Line]:
        shown = familiar(reference)
        return [
            {"status": f"Digest: {image.id}"},
            {"status": f"Status: Image is up to date for {shown}"},
        ]

    return await progress.stream(request, work)


def _join(name: str, tag: str) -> str:
    """A reference of its two query parameters; a digest comes as the tag. Without a tag it is ``latest``."""
    if tag:
        return f"{name}@{tag}" if ":" in tag else f"{name}:{tag}"
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


async def tag(request: web.Request) -> web.Response:
    """``POST /images/{name}/tag``: 201."""
    repository = request.query.get("repo", "")
    if not repository:
        raise InvalidRequest("no repository was named", hint="Use tag?repo=NAME&tag=TAG.")
    target = _join(repository, request.query.get("tag", ""))
    await request.app[LIFETIME].complete(engine_of(request).tag(_name(request), target))
    return web.Response(status=201)


async def remove(request: web.Request) -> web.Response:
    """``DELETE /images/{name}``: what was untagged and what was deleted."""
    force = query.flag(request, "force")
    removal = engine_of(request).remove_image(_name(request), force=force)
    removed = await request.app[LIFETIME].complete(removal)
    untagged = [{"Untagged": familiar(item.untagged)} for item in removed if item.untagged]
    return answer(untagged + [{"Deleted": item.deleted} for item in removed if item.deleted])


def _name(request: web.Request) -> str:
    return request.match_info["name"]


ROUTES = (
    ("GET", "/images/json", list_some),
    ("POST", "/images/load", load),
    ("POST", "/images/create", pull),
    ("GET", "/images/{name:.+}/json", inspect),
    ("GET", "/images/{name:.+}/history", history),
    ("POST", "/images/{name:.+}/tag", tag),
    ("DELETE", "/images/{name:.+}", remove),
)
