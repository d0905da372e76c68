"""The query of a build → :class:`BuildRequest`."""

from __future__ import annotations

import json
import re
from typing import Any

from aiohttp import web

from linwin.api import hostconfig, networking, platforms, query, versions
from linwin.api.fields import Fields
from linwin.errors import InvalidRequest, Unsupported
from linwin.model.build import BuildRequest

DOCKERFILE = "Dockerfile"
SOURCE_DATE_EPOCH = "SOURCE_DATE_EPOCH"
"""The build argument that is a time: https://reproducible-builds.org/specs/source-date-epoch/."""
FROM_SESSION = "client-session"
"""What a client of BuildKit gives for ``remote``."""

_BUILDKIT = "Set DOCKER_BUILDKIT=0: the classic builder is used then."
_LATEST = 253402300799
"""The last second of the year 9999, in seconds since 1970."""
_SECONDS = re.compile(r"\d{1,12}")


def build_request(request: web.Request) -> BuildRequest:
    """Read the query. Raises InvalidRequest, and Unsupported for what cannot be left out.

    Limits of CPU and memory that mean nothing to a guest are accepted and without effect.
    """
    _refuse(request)
    platform = versions.query_since(request, "platform", versions.PULL_PLATFORM_SINCE)
    platforms.check(platform)
    networking.check_mode(network := request.query.get("networkmode", ""))
    arguments = _arguments(request)
    return BuildRequest(
        dockerfile=request.query.get("dockerfile", "") or DOCKERFILE,
        tags=_given(request, "t"),
        arguments=tuple(arguments.items()),
        labels=tuple(_object(request, "labels").items()),
        target=request.query.get("target", ""),
        platform=platform,
        cache=not query.flag(request, "nocache"),
        cache_from=_list(request, "cachefrom"),
        pull=query.flag(request, "pull"),
        keep=_keep(request),
        network=network,
        extra_hosts=_extra_hosts(request),
        memory=_not_negative(request, "memory"),
        cpus=_cpus(request),
        timestamp=_timestamp(request, arguments),
    )


def _refuse(request: web.Request) -> None:
    if (
        request.query.get("version", "") == "2"
        or request.query.get("remote") == FROM_SESSION
        or request.query.get("outputs")
    ):
        raise Unsupported("linwin has no BuildKit", hint=_BUILDKIT)
    if query.flag(request, "squash"):
        raise Unsupported("linwin does not squash the layers of a build (squash)", hint="Leave out --squash.")
    if _list(request, "securityopt"):
        raise Unsupported(
            "linwin does not support security options of a build (securityopt)",
            hint="Leave out --security-opt.",
        )
    hostconfig.check_isolation(request.query.get("isolation", ""))


def _given(request: web.Request, name: str) -> tuple[str, ...]:
    """All values of a parameter that may be given several times, without the empty ones."""
    return tuple(value for value in request.query.getall(name, []) if value)


def _keep(request: web.Request) -> bool:
    """Whether ``rm`` is false, where an empty text is not, and ``forcerm`` does not say otherwise."""
    return bool(request.query.get("rm")) and not (query.flag(request, "rm") or query.flag(request, "forcerm"))


def _arguments(request: web.Request) -> dict[str, str | None]:
    """``buildargs``: a value of null is one that its user does not have."""
    fields = Fields(_json(request, "buildargs") or {}, "buildargs")
    given = fields.raw()
    return {name: fields.text(name) if name in given else None for name in fields.names()}


def _object(request: web.Request, name: str) -> dict[str, str]:
    return Fields({name: _json(request, name)}, name).mapping(name)


def _list(request: web.Request, name: str) -> tuple[str, ...]:
    return Fields({name: _json(request, name)}, name).texts(name) or ()


def _json(request: web.Request, name: str) -> Any:
    text = request.query.get(name, "")
    if not text:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(
            f"invalid JSON in the query parameter {name}", hint=f"Write {name} as docker's API has it."
        ) from error


def _extra_hosts(request: web.Request) -> tuple[str, ...]:
    return networking.extra_hosts(Fields({"ExtraHosts": list(_given(request, "extrahosts"))}, "the query"))


def _not_negative(request: web.Request, name: str) -> int:
    value = query.number(request, name) or 0
    if value < 0:
        raise InvalidRequest(f"{name} must not be negative", hint="Leave it out for the default.")
    return value


def _cpus(request: web.Request) -> int:
    sent = {"CpuPeriod": _not_negative(request, "cpuperiod"), "CpuQuota": query.number(request, "cpuquota")}
    return hostconfig.cpus_of(Fields(sent, "the query"))


def _timestamp(request: web.Request, arguments: dict[str, str | None]) -> int | None:
    """linwin's own ``timestamp``, in seconds, or else the build argument of that meaning; in nanoseconds."""
    for name, text in (
        ("timestamp", request.query.get("timestamp")),
        (SOURCE_DATE_EPOCH, arguments.get(SOURCE_DATE_EPOCH)),
    ):
        if not text:
            continue
        if not (_SECONDS.fullmatch(text) and int(text) <= _LATEST):
            raise InvalidRequest(f"invalid {name}: {text!r}", hint="Use whole seconds since 1970.")
        return int(text) * 10**9
    return None
