"""``linwin info``: the daemon and its host at a glance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from linwin.cli import failures
from linwin.cli.connect import connect
from linwin.cli.options import arguments, object_format
from linwin.cli.output import show_object, write_lines
from linwin.cli.units import binary_size


@click.command()
@object_format()
@arguments(0, 0, "")
def info(form: str | None, names: tuple[str, ...]) -> None:
    """Show what the daemon runs on, and how much it runs."""
    answer = connect().get("/info")
    if form:
        show_object(answer, form)
        return
    write_lines(["Server:", *_lines(answer)])
    for warning in answer.get("Warnings") or ():
        failures.say(f"warning: {warning}")


def _lines(answer: Mapping[str, Any]) -> Iterator[str]:
    """The lines of ``docker info`` that mean something here, in its order and words."""
    yield f" Containers: {answer['Containers']}"
    for state in ("Running", "Paused", "Stopped"):
        yield f"  {state}: {answer[f'Containers{state}']}"
    yield f" Images: {answer['Images']}"
    yield f" Server Version: {answer['ServerVersion']}"
    yield f" Storage Driver: {answer['Driver']}"
    yield from (f"  {name}: {value}" for name, value in answer.get("DriverStatus") or ())
    yield f" Kernel Version: {answer['KernelVersion']}"
    yield f" Operating System: {answer['OperatingSystem']}"
    yield f" OSType: {answer['OSType']}"
    yield f" Architecture: {answer['Architecture']}"
    yield f" CPUs: {answer['NCPU']}"
    yield f" Total Memory: {binary_size(answer['MemTotal'])}"
    yield f" Name: {answer['Name']}"
    yield f" ID: {answer['ID']}"
    yield f" Docker Root Dir: {answer['DockerRootDir']}"
