"""Error kind ↔ HTTP status: the only place that knows both."""

from __future__ import annotations

import json

from aiohttp import web

from linwin.errors import (
    BuildFailed,
    Conflict,
    Forbidden,
    Internal,
    InvalidRequest,
    LinwinError,
    NotFound,
    Unauthorized,
    Unavailable,
    Unsupported,
)

STATUS: dict[type[LinwinError], int] = {
    InvalidRequest: 400,
    BuildFailed: 400,
    Unauthorized: 401,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    Internal: 500,
    Unsupported: 501,
    Unavailable: 503,
}


def status_of(error: LinwinError) -> int:
    """The status of the error's kind, or of the nearest kind it derives from."""
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)


def error_response(status: int, message: str) -> web.Response:
    """Docker's error body. The content type carries no charset: docker's CLI compares it as text."""
    return web.Response(
        status=status, body=json.dumps({"message": message}).encode() + b"\n", content_type="application/json"
    )


def failure(error: LinwinError) -> web.Response:
    """The response that reports ``error``: its message, then its hint on a line of its own."""
    return error_response(status_of(error), str(error))
