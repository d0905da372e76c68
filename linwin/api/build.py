"""Builds: an upload becomes an image, and what is said meanwhile docker's stream."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from contextlib import AsyncExitStack
from typing import Any

from aiohttp import web

from linwin.api import progress, query
from linwin.api.archives import scratch, spool
from linwin.api.auth import all_credentials_of
from linwin.api.build_request import build_request
from linwin.api.context import LIFETIME, answer, engine_of
from linwin.api.measure import failed
from linwin.api.prune import keeping
from linwin.api.render import unix_seconds
from linwin.engine.build import Listener
from linwin.errors import BuildFailed, LinwinError, Unsupported
from linwin.model.build import BuildOutput
from linwin.model.image import Image
from linwin.model.progress import Progress

PRUNE_FILTERS = frozenset({"until", "unused-for", "label", "label!", "id", "parent"})
BUDGETS = ("keep-storage", "reserved-space", "max-used-space", "min-free-space")
"""How much of the cache is to stay, by names of several versions."""
KEPT = 1024 * 1024
"""Characters of a quiet build's output that are shown when it fails: the last."""


async def build(request: web.Request) -> web.StreamResponse:
    """``POST /build``: a Dockerfile and its context become an image; ends when the client goes away.

    The whole context is spooled before the first line: docker's clients read nothing until they have
    sent it. With ``q`` there is but one line, the image's id.
    """
    wanted, credentials = build_request(request), all_credentials_of(request)
    remote, quiet = request.query.get("remote", ""), query.flag(request, "q")
    async with AsyncExitStack() as spooled:
        context = None
        if not remote:
            folder = await spooled.enter_async_context(scratch(request, "build-", "the build context"))
            context = folder / "context"
            await spool(request, context)

        async def image_of(tell: Listener) -> Image:
            try:
                return await engine_of(request).build(context, remote, wanted, tell, credentials)
            finally:
                await spooled.aclose()  # before the client hears that all is done

        async def work(tell: Listener) -> Iterable[progress.Line]:
            return [{"aux": {"ID": (await image_of(tell)).id}}]

        async def quiet_work(_: Listener) -> Iterable[progress.Line]:
            said = _Kept()
            try:
                return [{"stream": f"{(await image_of(said)).id}\n"}]
            except LinwinError as error:
                if not said.text:
                    raise
                failed(request, error)
                return [{"stream": said.text}, error_line(error)]

        return await progress.stream(request, quiet_work if quiet else work, error_line)


class _Kept:
    """What a quiet build says, the end of it: nobody sees it unless the build fails."""

    def __init__(self) -> None:
        self._texts: deque[str] = deque()
        self._length = 0

    def __call__(self, told: BuildOutput | Progress, /) -> None:
        if isinstance(told, Progress):
            return
        self._texts.append(told.text)
        self._length += len(told.text)
        while self._length > KEPT and len(self._texts) > 1:
            self._length -= len(self._texts.popleft())

    async def room(self) -> None:
        """There always is: what is too old goes."""

    @property
    def text(self) -> str:
        return "".join(self._texts)


def error_line(error: LinwinError) -> progress.Line:
    """How a build fails: docker's client ends with the code, which is a command's own, and else with 1."""
    detail: dict[str, Any] = {"message": str(error)}
    if isinstance(error, BuildFailed):
        # A process has but eight bits for it: none of a failure's codes may read as 0.
        detail["code"] = error.exit_code if error.exit_code & 0xFF else 255
    return {"errorDetail": detail, "error": str(error)}


async def prune(request: web.Request) -> web.Response:
    """``POST /build/prune``: steps of builds that nothing uses, with ``all`` those of named images too.

    ``unused-for`` is docker's older word for ``until``.
    """
    for name in BUDGETS:
        if query.number(request, name):
            raise Unsupported(
                f"linwin cannot prune builds down to a size ({name})", hint="Use --filter until=24h."
            )
    wanted = query.filters(request, PRUNE_FILTERS)
    keeps = keeping(wanted | {"until": wanted.get("until") or wanted.get("unused-for", ())}, time.time_ns())

    def keep(image: Image) -> bool:
        return (
            keeps(image.config.labels, unix_seconds(image.created) * 10**9)
            or not _begins(image.id, wanted.get("id", ()))
            or not _begins(image.parent, wanted.get("parent", ()))
        )

    pruning = engine_of(request).prune_builds(everything=query.flag(request, "all"), keep=keep)
    pruned = await request.app[LIFETIME].complete(pruning)
    deleted = [removed.deleted for removed in pruned.removed if removed.deleted]
    return answer({"CachesDeleted": deleted, "SpaceReclaimed": pruned.freed})


def _begins(identity: str, wanted: tuple[str, ...]) -> bool:
    """Whether an image's id is one of those that were asked for, where any were."""
    digits = identity.removeprefix("sha256:")
    return not wanted or any(text and digits.startswith(text.removeprefix("sha256:")) for text in wanted)


async def cancel(_: web.Request) -> web.Response:
    """``POST /build/cancel``: nothing to do, since a build ends when its client goes away."""
    return web.Response(status=200)


ROUTES = (
    ("POST", "/build", build),
    ("POST", "/build/prune", prune),
    ("POST", "/build/cancel", cancel),
)
