"""search: the one request to a registry that skopeo cannot make.

Docker Hub and registries of the first version answer it; those of the second
have no search. Source: Docker Registry HTTP API v1, "Search".
"""

from __future__ import annotations

from pathlib import Path

import aiohttp
from yarl import URL

from linwin.errors import InvalidRequest, Unauthorized, Unavailable, Unsupported
from linwin.images.aliases import Aliases
from linwin.images.documents import Document
from linwin.images.references import DEFAULT_DOMAIN
from linwin.images.registry.registries_conf import allows_plain_http
from linwin.images.registry.skopeo import one_line, registry_host, require_host
from linwin.images.registry.web import Web, read_bounded, reason_of
from linwin.model.registry import SearchResult

DOCKER_HUB = URL("https://index.docker.io/")
DEFAULT_RESULTS = 25
MAXIMUM_RESULTS = 100

_TIMEOUT = aiohttp.ClientTimeout(total=30)
_LARGEST_ANSWER = 4 << 20
_LONGEST_DESCRIPTION = 1000


class Search:
    """Searches registries, and for Docker Hub the names that moved away from it."""

    def __init__(self, registries_conf: Path, aliases: Aliases, web: Web, hub: URL = DOCKER_HUB) -> None:
        self._registries_conf = registries_conf
        self._aliases = aliases
        self._web = web
        self._hub = hub

    async def find(self, term: str, *, limit: int) -> list[SearchResult]:
        """Repositories for ``term``, which may name a registry: ``host/term``; ``limit`` 0 means 25.

        Raises Unsupported for a registry without a search, Unavailable for one
        that does not answer, InvalidRequest for a limit out of bounds.
        """
        if not 0 <= limit <= MAXIMUM_RESULTS:
            raise InvalidRequest(f"Limit {limit} is outside the range of [1, {MAXIMUM_RESULTS}]")
        registry, wanted = split_term(term)
        limit = limit or DEFAULT_RESULTS
        if registry != DEFAULT_DOMAIN:
            return await self._ask(registry, URL(f"https://{registry}/"), wanted, limit)
        moved = self._moved(wanted)
        return [*moved, *await self._ask(registry, self._hub, wanted, limit)][:limit]

    def _moved(self, wanted: str) -> list[SearchResult]:
        """The old names on Docker Hub that hold ``wanted``, with where they are now."""
        return [
            SearchResult(old.familiar, description=f"moved to {home}")
            for old, home in self._aliases.moved()
            if old.domain == DEFAULT_DOMAIN and wanted.lower() in old.familiar
        ]

    async def _ask(self, registry: str, base: URL, wanted: str, limit: int) -> list[SearchResult]:
        url = (base / "v1/search").with_query({"q": wanted, "n": str(limit)})
        status, body = await self._answer(registry, url)
        _check_status(registry, status)
        if body is None:
            raise Unavailable(f"registry {registry} answers a search with more than {_LARGEST_ANSWER} bytes")
        return _parse(body, registry)[:limit]

    async def _answer(self, registry: str, url: URL) -> tuple[int, bytes | None]:
        try:
            async with (
                self._web.session(url, _TIMEOUT, guarded=False) as session,
                session.get(url) as response,
            ):
                return response.status, await read_bounded(response, _LARGEST_ANSWER)
        except (aiohttp.ClientError, OSError) as error:  # a timeout is an OSError too
            if url.scheme == "https" and allows_plain_http(self._registries_conf, registry):
                return await self._answer(registry, url.with_scheme("http"))
            raise Unavailable(
                f"registry {registry} cannot be searched: {one_line(reason_of(error))}"
            ) from error


def split_term(term: str) -> tuple[str, str]:
    """The registry that a search term names, and the term itself. Raises InvalidRequest for an empty one."""
    first, slash, rest = term.strip().partition("/")
    names_registry = slash and ("." in first or ":" in first or first == "localhost")
    registry, wanted = (registry_host(first), rest) if names_registry else (DEFAULT_DOMAIN, term.strip())
    if not wanted:
        raise InvalidRequest("a search needs a term to search for")
    return require_host(registry), wanted


def _check_status(registry: str, status: int) -> None:
    if status in (404, 405, 410):
        raise Unsupported(
            f"registry {registry} has no search",
            hint="Registries of API version 2 have none; look its images up where it publishes them.",
        )
    if status in (401, 403):
        raise Unauthorized(f"registry {registry} does not let its images be searched without a login")
    if status != 200:
        raise Unavailable(f"registry {registry} cannot be searched: it answers with status {status}")


def _parse(body: bytes, registry: str) -> list[SearchResult]:
    document = Document.parse(body, f"the answer of registry {registry}")
    return [_result(entry) for entry in document.objects("results")]


def _result(entry: Document) -> SearchResult:
    return SearchResult(
        name=one_line(entry.text("name")),
        description=" ".join(entry.text("description").split())[:_LONGEST_DESCRIPTION],
        stars=entry.size("star_count") if "star_count" in entry else 0,
        official=entry.flag("is_official"),
        automated=entry.flag("is_automated"),
    )
