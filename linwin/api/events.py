"""``/events``: what happens, as it happens."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from typing import Any

from aiohttp import web

from linwin.api import query
from linwin.api.context import engine_of
from linwin.api.filters import labelled
from linwin.api.outbox import send_all
from linwin.api.render import familiar
from linwin.engine.events import Follower
from linwin.errors import LinwinError
from linwin.model.event import Event

logger = logging.getLogger(__name__)

NOUNS = ("container", "image", "network", "volume")
OTHER_NOUNS = ("daemon", "plugin", "service", "node", "secret", "config")
"""Filters of docker that match nothing here."""
FILTERS = frozenset({*NOUNS, *OTHER_NOUNS, "event", "type", "label", "scope"})


async def events(request: web.Request) -> web.StreamResponse:
    """``GET /events``: those ``since`` a time that are still known, then those to come, ``until`` another."""
    shown = test(query.filters(request, FILTERS))
    since, until = (_moment(request, name) for name in ("since", "until"))
    follower = engine_of(request).events.follow(since=since, until=until)
    try:
        response = web.StreamResponse()
        response.content_type = "application/json"
        response.enable_chunked_encoding()
        await response.prepare(request)  # at once: clients wait for it before they act
        await send_all(_lines(follower, shown), response.write)
    except LinwinError as error:
        logger.warning("a follower of events is let go: %s", error.message)
        if request.transport is not None:
            request.transport.abort()  # an end in good order would say that nothing is missing
        raise ConnectionResetError from error
    finally:
        follower.close()
    await response.write_eof()
    return response


def _moment(request: web.Request, name: str) -> int | None:
    return query.time_ns(request, name) if request.query.get(name) else None


async def _lines(follower: Follower, shown: Callable[[Event], bool]) -> AsyncGenerator[bytes, None]:
    async with aclosing(aiter(follower)) as following:  # type: ignore[type-var]
        async for event in following:
            if shown(event):
                yield json.dumps(render(event)).encode() + b"\n"


def render(event: Event) -> dict[str, Any]:
    """Docker's form, with the fields that it had before 1.22 and that older clients read."""
    attributes = dict(event.attributes)
    identity = event.id
    if event.kind == "image" and "name" in attributes:
        identity, attributes["name"] = familiar(identity), familiar(attributes["name"])
    legacy = {"status": event.action, "id": identity}
    if event.kind == "container" and "image" in attributes:
        legacy["from"] = attributes["image"]
    return {
        **legacy,
        "Type": event.kind,
        "Action": event.action,
        "Actor": {"ID": identity, "Attributes": attributes},
        "scope": "local",
        "time": event.time_ns // 10**9,
        "timeNano": event.time_ns,
    }


def test(wanted: query.Filters) -> Callable[[Event], bool]:
    """Whether an event is among those asked for: one value of each filter must fit, and all labels."""

    def shown(event: Event) -> bool:
        return (
            _is_action(event, wanted.get("event"))
            and _is_one(wanted.get("type"), event.kind)
            and _is_one(wanted.get("scope"), "local")
            and all(_is_noun(event, noun, wanted.get(noun)) for noun in NOUNS)
            and not any(noun in wanted for noun in OTHER_NOUNS)
            and labelled(event.attributes, wanted.get("label", ()))
        )

    return shown


def _is_one(values: Iterable[str] | None, value: str) -> bool:
    return values is None or value in values


def _is_action(event: Event, values: Iterable[str] | None) -> bool:
    """``exec_start`` is every start of an exec, ``exec_start: cmd`` that of one program."""
    return values is None or any(value in (event.action, event.verb) for value in values)


def _is_noun(event: Event, noun: str, values: Iterable[str] | None) -> bool:
    """An id, a name or the beginning of one; an image also stands for the containers made from it."""
    if values is None:
        return True
    if noun == "image" and event.kind == "container":
        names = [event.attributes.get("image", "")]
    elif noun == event.kind:
        names = [event.id, event.attributes.get("name", "")]
    else:
        return False
    if noun == "image":
        names = [familiar(name) for name in names]
        names += [_untagged(name) for name in names]
        return any(familiar(value) in names for value in values)
    return any(name.startswith(value.removeprefix("/")) for name in names for value in values)


def _untagged(name: str) -> str:
    folder, slash, last = name.rpartition("/")
    return folder + slash + last.partition(":")[0]


ROUTES = (("GET", "/events", events),)
