"""``--restart`` and ``--health-…``: what options say about a container's life, as the API's fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from linwin.cli.units import parse_duration
from linwin.errors import InvalidRequest

HEALTH_TIMES = {
    "health_interval": "Interval",
    "health_timeout": "Timeout",
    "health_start_period": "StartPeriod",
    "health_start_interval": "StartInterval",
}


def restart_policy(text: str) -> dict[str, Any]:
    """``NAME`` or ``on-failure:COUNT`` → docker's RestartPolicy; the daemon knows the names."""
    name, colon, count = text.partition(":")
    if colon and not name:
        raise InvalidRequest("invalid restart policy format: no policy provided before colon")
    if colon and not count.removeprefix("-").isdecimal():
        raise InvalidRequest("invalid restart policy format: maximum retry count must be an integer")
    return {"Name": name, "MaximumRetryCount": int(count) if colon else 0}


def health_check(options: Mapping[str, Any]) -> dict[str, Any] | None:
    """Docker's HealthConfig, None where no option speaks of health."""
    check: dict[str, Any] = {}
    if options["health_cmd"] is not None:
        check["Test"] = ["CMD-SHELL", options["health_cmd"]]
    for name, field in HEALTH_TIMES.items():
        if options[name] is not None:
            check[field] = parse_duration(options[name])
    if options["health_retries"]:
        if options["health_retries"] < 0:
            raise InvalidRequest("--health-retries cannot be negative")
        check["Retries"] = options["health_retries"]
    if not options["no_healthcheck"]:
        return check or None
    if check:
        raise InvalidRequest("--no-healthcheck conflicts with --health-* options")
    return {"Test": ["NONE"]}
