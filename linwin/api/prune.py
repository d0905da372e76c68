"""The prunes of images and containers, and the filters that all prunes share."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from datetime import datetime

from aiohttp import web

from linwin.api import query
from linwin.api.context import LIFETIME, answer, engine_of
from linwin.api.filters import labelled
from linwin.api.images import removals
from linwin.api.render import unix_seconds
from linwin.errors import InvalidRequest

LABELS = frozenset({"label", "label!"})
CONTAINER_FILTERS = LABELS | {"until"}
IMAGE_FILTERS = CONTAINER_FILTERS | {"dangling"}
NETWORK_FILTERS = CONTAINER_FILTERS
VOLUME_FILTERS = LABELS | {"all"}

_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_NUMBER = r"\d{1,12}(?:\.\d{0,9})?"
_UNIT = r"(ns|us|µs|ms|s|m|h)"
_DURATION = re.compile(rf"(?:{_NUMBER}{_UNIT})+")
_SECONDS = re.compile(r"(\d{1,12})(?:\.(\d{1,9}))?")


async def images(request: web.Request) -> web.Response:
    """``POST /images/prune``: only those without a reference, unless ``dangling`` is false."""
    wanted = query.filters(request, IMAGE_FILTERS)
    dangling = query.boolean_filter(wanted, "dangling")
    keeps = keeping(wanted, time.time_ns())
    pruned = await request.app[LIFETIME].complete(
        engine_of(request).prune_images(
            dangling_only=dangling is not False,
            keep=lambda image: keeps(image.config.labels, unix_seconds(image.created) * 10**9),
        )
    )
    return answer({"ImagesDeleted": removals(pruned.removed), "SpaceReclaimed": pruned.freed})


async def containers(request: web.Request) -> web.Response:
    """``POST /containers/prune``: those that do not run."""
    keeps = keeping(query.filters(request, CONTAINER_FILTERS), time.time_ns())
    pruned = await request.app[LIFETIME].complete(
        engine_of(request).prune_containers(lambda one: keeps(one.labels, one.created_at))
    )
    return answer({"ContainersDeleted": list(pruned.containers), "SpaceReclaimed": pruned.freed})


Keeps = Callable[[Mapping[str, str], int], bool]
"""Whether a prune leaves something with these labels alone that was made then, in ns since the epoch."""


def keeping(wanted: query.Filters, now_ns: int) -> Keeps:
    """What a prune keeps: whatever is newer than ``until``, lacks a ``label``, or has all of ``label!``."""
    until = _until(wanted.get("until", ()), now_ns)
    labels, others = wanted.get("label", ()), wanted.get("label!", ())

    def keeps(own: Mapping[str, str], created_ns: int) -> bool:
        return (
            (until is not None and created_ns > until)
            or not labelled(own, labels)
            or (bool(others) and labelled(own, others))
        )

    return keeps


def _until(values: tuple[str, ...], now_ns: int) -> int | None:
    if len(values) > 1:
        raise InvalidRequest("more than one until filter specified", hint="Give one time.")
    return moment(values[0], now_ns) if values else None


def moment(text: str, now_ns: int) -> int:
    """Nanoseconds since the epoch of a time as docker takes it: seconds, a Go duration ago, or RFC 3339.

    A date may lack its time, and a time its zone, which is then the host's. Raises InvalidRequest.
    """
    if seconds := _SECONDS.fullmatch(text):
        return int(seconds[1]) * 10**9 + int((seconds[2] or "").ljust(9, "0"))
    if _DURATION.fullmatch(text):
        parts = re.findall(rf"({_NUMBER}){_UNIT}", text)
        return now_ns - sum(int(float(number) * _UNITS[unit]) for number, unit in parts)
    try:
        return int(datetime.fromisoformat(text).timestamp()) * 10**9
    except (ValueError, OverflowError) as error:
        raise InvalidRequest(
            f"invalid filter 'until={text}'",
            hint="Use a duration such as 24h, a date such as 2024-02-29, or seconds since 1970.",
        ) from error


ROUTES = (
    ("POST", "/images/prune", images),
    ("POST", "/containers/prune", containers),
)
