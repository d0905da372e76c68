"""``/linwin/templates/{name}/verify``: linwin's extension of docker's API."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any

from aiohttp import web

from linwin.api import progress
from linwin.api.context import engine_of
from linwin.model.verification import CheckBegun, Surroundings, Told


async def verify(request: web.Request) -> web.StreamResponse:
    """``POST /linwin/templates/{name}/verify``: a line when a check begins, one with how it came out.

    ``only``, as often as wanted, names groups of checks. The last line has what surrounds them. The
    verification ends, and takes all that it made with it, when the client goes away.
    """
    engine, only = engine_of(request), request.query.getall("only", [])

    async def work(pending: progress.Pending) -> Iterable[progress.Line]:
        def tell(told: Told) -> None:
            pending.add((told.group, told.name), {"check": render(told)})

        found = await engine.verify_template(request.match_info["name"], only, tell)
        return [{"aux": render_surroundings(found)}]

    return await progress.stream(request, work)


def render(told: Told) -> dict[str, Any]:
    """``Outcome`` is empty for a check that begins; ``Seconds`` is how long it took."""
    shown: dict[str, Any] = {
        "Group": told.group,
        "Name": told.name,
        "Proves": told.proves,
        "Outcome": "",
        "Seconds": 0.0,
        "Detail": "",
        "Expected": "",
        "Got": "",
    }
    if isinstance(told, CheckBegun):
        return shown
    return shown | {
        "Outcome": told.outcome,
        "Seconds": round(told.seconds, 3),
        "Detail": told.detail,
        "Expected": told.expected,
        "Got": told.got,
    }


def render_surroundings(found: Surroundings) -> dict[str, Any]:
    """``Picture`` is a PNG in base64, empty where there is none."""
    return {
        "Facts": [{"Name": name, "Text": text} for name, text in found.facts],
        "Texts": [{"Name": name, "Text": text} for name, text in found.texts],
        "Picture": base64.b64encode(found.picture).decode(),
    }


ROUTES = (("POST", "/linwin/templates/{name}/verify", verify),)
