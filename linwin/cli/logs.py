"""``linwin logs``: what a container printed."""

from __future__ import annotations

import time

import click

from linwin.cli.connect import connect
from linwin.cli.options import arguments
from linwin.cli.streams import write_output
from linwin.cli.units import parse_moment


@click.command()
@click.option("--details", is_flag=True, help="Show the labels and variables that the log's options chose.")
@click.option("-f", "--follow", is_flag=True, help="Go on until the container ends.")
@click.option(
    "--since", metavar="TIME", help="Skip what is older: 2013-01-02T13:23:37Z, or 42m for minutes ago."
)
@click.option("--until", metavar="TIME", help="Skip what is newer: a date or an age, as for --since.")
@click.option("-n", "--tail", default="all", metavar="LINES", help="Show only so many lines from the end.")
@click.option("-t", "--timestamps", is_flag=True, help="Put the time before each line.")
@arguments(1, 1, "CONTAINER")
def logs(
    details: bool,
    follow: bool,
    since: str | None,
    until: str | None,
    tail: str,
    timestamps: bool,
    names: tuple[str, ...],
) -> None:
    """Show what a container printed, stdout on stdout and stderr on stderr."""
    now = time.time_ns()
    write_output(
        connect().logs(
            names[0],
            details=details or None,
            follow=follow,
            timestamps=timestamps,
            tail=tail,
            since=parse_moment(since, now=now) if since else None,
            until=parse_moment(until, now=now) if until else None,
        )
    )
