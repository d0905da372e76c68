"""Pull, push and search: the verbs that speak with registries."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from aiohttp import web

from linwin.api import platforms, progress, query, versions
from linwin.api.auth import credentials_of
from linwin.api.context import answer, engine_of
from linwin.api.import_export import import_image
from linwin.api.references import joined, repository, tag_of
from linwin.api.render import familiar, size_text
from linwin.errors import InvalidRequest, Unsupported
from linwin.model.progress import Report
from linwin.model.registry import Distributed, Pulled, Pushed, SearchResult

SEARCH_FILTERS = frozenset({"is-official", "is-automated", "stars"})
SEARCH_LIMIT = 25
MOST_RESULTS = 100


async def create(request: web.Request) -> web.StreamResponse:
    """``POST /images/create``: pull one image, or import one; the work ends when the client goes away."""
    if "fromSrc" in request.query and not request.query.get("fromImage"):
        return await import_image(request)
    reference = _pulled_reference(request)
    platforms.check(versions.query_since(request, "platform", versions.PULL_PLATFORM_SINCE))
    credentials = credentials_of(request)

    async def work(report: Report) -> Iterable[progress.Line]:
        pulled = await engine_of(request).pull(reference, report, credentials)
        return await _outcome(request, reference, pulled)

    return await progress.stream(request, work)


def _pulled_reference(request: web.Request) -> str:
    """Docker pulls every tag of a repository where none is named; here that is refused."""
    name = request.query.get("fromImage", "")
    if not name:
        raise InvalidRequest("no image was named", hint="Use create?fromImage=NAME&tag=TAG.")
    reference = joined(name, request.query.get("tag", ""))
    if reference is None:
        raise Unsupported(
            f"linwin does not pull all tags of {name} at once", hint=f"Name one of them, as in {name}:latest."
        )
    return reference


async def _outcome(request: web.Request, reference: str, pulled: Pulled) -> list[progress.Line]:
    """How docker ends a pull, preceded by what a template made unnecessary."""
    said = "Downloaded newer image" if pulled.newer else "Image is up to date"
    lines = [f"Status: {said} for {familiar(reference)}"]
    if pulled.digest:
        lines.insert(0, f"Digest: {pulled.digest}")
    template = await engine_of(request).template_of(pulled.image)
    if template and pulled.image.template:
        lines.insert(0, f"linwin: template {template.name} provides this image")
    elif template and pulled.saved:
        saved = size_text(pulled.saved)
        lines.insert(
            0, f"linwin: {saved} of base layers not downloaded: template {template.name} provides them"
        )
    return [{"status": line} for line in lines]


async def push(request: web.Request) -> web.StreamResponse:
    """``POST /images/{name}/push``: one tag, or all that are here; a tag in the name does not count."""
    name, tag = familiar(repository(request.match_info["name"])), request.query.get("tag", "")
    platforms.check(request.query.get("platform", ""))
    if "@" in request.match_info["name"] or ":" in tag:
        raise InvalidRequest("cannot push a digest reference", hint="Name a tag: linwin push NAME:TAG.")
    credentials = credentials_of(request)

    async def work(report: Report) -> Iterable[progress.Line]:
        pushed = await engine_of(request).push(
            f"{name}:{tag}" if tag else name, report, credentials, all_tags=not tag
        )
        return [line for one in pushed for line in _pushed(one)]

    return await progress.stream(request, work)


def _pushed(pushed: Pushed) -> list[progress.Line]:
    tag = tag_of(pushed.reference)
    return [
        {"status": f"{tag}: digest: {pushed.digest} size: {pushed.size}"},
        {"progressDetail": {}, "aux": {"Tag": tag, "Digest": pushed.digest, "Size": pushed.size}},
    ]


async def distribution(request: web.Request) -> web.Response:
    """``GET /distribution/{name}/json``: what the registry has under a reference, and for which platforms."""
    found = await engine_of(request).distribution(request.match_info["name"], credentials_of(request))
    descriptor = {"mediaType": found.media_type, "digest": found.digest, "size": found.size}
    return answer({"Descriptor": descriptor, "Platforms": [_platform(one) for one in found.platforms]})


def _platform(found: Distributed) -> dict[str, Any]:
    """As docker writes it: without what the image's author left out."""
    rare = {"os.version": found.os_version, "os.features": list(found.os_features), "variant": found.variant}
    given = {name: value for name, value in rare.items() if value}
    return {"architecture": found.architecture, "os": found.os, **given}


async def search(request: web.Request) -> web.Response:
    """``GET /images/search``: what a registry finds, filtered."""
    wanted = query.filters(request, SEARCH_FILTERS)
    term, limit = request.query.get("term", ""), query.number(request, "limit") or SEARCH_LIMIT
    if not term:
        raise InvalidRequest("no term was given to search for", hint="Use search?term=WORD.")
    if not 1 <= limit <= MOST_RESULTS:
        raise InvalidRequest(
            f"limit {limit} is outside the range of [1, {MOST_RESULTS}]", hint="Ask for fewer results."
        )
    official = query.boolean_filter(wanted, "is-official")
    automated = query.boolean_filter(wanted, "is-automated")
    stars = max((_stars(text) for text in wanted.get("stars", ())), default=0)
    return answer(
        [
            _result(found)
            for found in await engine_of(request).search(term, limit)
            if official in (None, found.official)
            and automated in (None, found.automated)
            and found.stars >= stars
        ]
    )


def _stars(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise InvalidRequest(f"invalid filter 'stars={text}'", hint="Use a whole number.")
    return int(text)


def _result(found: SearchResult) -> dict[str, Any]:
    return {
        "name": found.name,
        "description": found.description,
        "star_count": found.stars,
        "is_official": found.official,
        "is_automated": found.automated,
    }


ROUTES = (
    ("POST", "/images/create", create),
    ("POST", "/images/{name:.+}/push", push),
    ("GET", "/distribution/{name:.+}/json", distribution),
    ("GET", "/images/search", search),
)
