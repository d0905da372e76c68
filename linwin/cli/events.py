"""``linwin events``: follow what happens to containers and images."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import click

from linwin.cli.connect import connect
from linwin.cli.options import arguments, filter_option
from linwin.cli.units import parse_moment


@click.command()
@filter_option("Show only events that match, such as event=die or container=web.")
@click.option("--since", metavar="TIME", help="Begin with past events: 2013-01-02T13:23:37Z, or 10m.")
@click.option("--until", metavar="TIME", help="End at this time: a date, a Unix time or an age.")
@click.option("--format", "form", metavar="FORMAT", help="'json', or a Go template such as '{{json .}}'.")
@arguments(0, 0, "")
def events(
    filters: dict[str, list[str]] | None,
    since: str | None,
    until: str | None,
    form: str | None,
    names: tuple[str, ...],
) -> None:
    """Follow what happens to containers and images, until interrupted.

    Past events are those of the daemon that runs, and at most 256.
    """
    now = time.time_ns()
    render = _renderer(form)
    stream = connect().lines(
        "GET",
        "/events",
        filters=filters,
        since=parse_moment(since, now=now) if since else None,
        until=parse_moment(until, now=now) if until else None,
    )
    for event in stream:
        sys.stdout.write(f"{render(event)}\n")
        sys.stdout.flush()


def _renderer(form: str | None) -> Callable[[Mapping[str, Any]], str]:
    if not form:
        return line
    from linwin.cli.gotemplate import compile_template

    return compile_template("{{json .}}" if form == "json" else form, escapes=False)


def line(event: Mapping[str, Any]) -> str:
    """``TIME TYPE ACTION ID (name=value, …)``, as docker prints it."""
    actor = event["Actor"]
    attributes: Mapping[str, str] = actor.get("Attributes") or {}
    known = ", ".join(f"{name}={attributes[name]}" for name in sorted(attributes))
    text = f"{_moment(event['timeNano'])} {event['Type']} {event['Action']} {actor['ID']}"
    return f"{text} ({known})" if known else text


def _moment(time_ns: int) -> str:
    seconds, nanoseconds = divmod(time_ns, 10**9)
    zone = time.strftime("%z", time.localtime(seconds))
    clock = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(seconds))
    offset = "Z" if zone == "+0000" else f"{zone[:3]}:{zone[3:]}"
    return f"{clock}.{nanoseconds:09d}{offset}"
