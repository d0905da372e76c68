"""``linwin cp``: copy files between a container and this computer."""

from __future__ import annotations

import base64
import json
import os
import sys
from typing import Any

import click

from linwin.cli.connect import connect
from linwin.cli.copy_rules import Source, Target, place
from linwin.cli.options import arguments
from linwin.cli.streams import write_all
from linwin.cli.units import human_size
from linwin.client import Client, quote
from linwin.errors import Internal, InvalidRequest, LinwinError, NotFound
from linwin.model.files import SPELLING, VolumePath, follow, parse_path

STDIN, STDOUT = 0, 1
STAT = "x-docker-container-path-stat"
MODE_DIRECTORY, MODE_SYMLINK = 1 << 31, 1 << 27


@click.command()
@click.option(
    "-a", "--archive", is_flag=True, help="Accepted and without effect: Windows has no uid and gid."
)
@click.option(
    "-L", "--follow-link", "follow_link", is_flag=True, help="Copy what SRC_PATH leads to, if it is a link."
)
@click.option("-q", "--quiet", is_flag=True, help="Do not say what was copied.")
@arguments(2, 2, "SRC_PATH DEST_PATH")
def cp(archive: bool, follow_link: bool, quiet: bool, names: tuple[str, ...]) -> None:
    """Copy files or folders between a container and this computer.

    One of the two is CONTAINER:PATH, with docker's rules for paths on Windows. "-"
    is a tar archive: on standard input as SRC_PATH, on standard output as DEST_PATH.
    """
    for word, name in zip(("source", "destination"), names, strict=True):
        if not name:
            raise InvalidRequest(f"{word} can not be empty")
    (source_container, source), (target_container, target) = map(split, names)
    if source_container and target_container:
        raise InvalidRequest("copying between containers is not supported")
    client = connect()
    if source_container:
        copied = from_container(client, source_container, source, target, follow_link=follow_link)
    elif target_container:
        copied = to_container(client, target_container, source, target, follow_link=follow_link)
    else:
        raise InvalidRequest("must specify at least one container source")
    if not quiet and target != "-" and sys.stdout.isatty():
        click.echo(f"Successfully copied {human_size(copied)} to {names[1]}", err=True)


def split(argument: str) -> tuple[str, str]:
    """``CONTAINER:PATH`` → both; a local path has no container. A dot or slash first makes a path local."""
    container, colon, path = argument.partition(":")
    if argument.startswith("/") or not colon or container.startswith("."):
        return "", argument
    return container, path


# ---- into a container -----------------------------------------------------------


def to_container(client: Client, container: str, source: str, target: str, *, follow_link: bool) -> int:
    """Copy; returns how many bytes were sent."""
    there = container_target(client, container, target)
    if source == "-":
        if not there.is_folder:
            raise InvalidRequest(f'destination "{container}:{target}" must be a directory')
        return send(client, container, there.path, os.fdopen(STDIN, "rb", closefd=False))
    from linwin.cli import local_files  # tarfile takes its time to import

    path, what = local_files.source(source, follow=follow_link)
    folder, name = place(what, there)
    with local_files.packed(path, name, follow=follow_link) as stream:
        return send(client, container, folder, stream)


def send(client: Client, container: str, folder: str, stream: Any) -> int:
    counted = Counted(stream)
    query = {"path": folder, "noOverwriteDirNonDir": True}
    client.request("PUT", archive_of(container), query, counted).close()
    return counted.total


def container_target(client: Client, container: str, text: str) -> Target:
    """What lies at a path that is copied to, a link at its end followed."""
    path = parsed(text)
    stat = look(client, container, text)
    if stat is not None and stat["mode"] & MODE_SYMLINK:
        parts = led(stat["linkTarget"], path.parts[:-1])
        path = VolumePath(parts, is_folder=False, base=parts[-1] if parts else "/")
        stat = look(client, container, written(path.parts))
    return Target(
        written(path.parts),
        written(path.parts[:-1]),
        path.parts[-1] if path.parts else "/",
        exists=stat is not None,
        is_folder=stat is not None and bool(stat["mode"] & MODE_DIRECTORY),
        says_folder=path.is_folder,
    )


# ---- out of a container ---------------------------------------------------------


def from_container(client: Client, container: str, source: str, target: str, *, follow_link: bool) -> int:
    """Copy; returns how many bytes came."""
    path = parsed(source)
    local = None
    if target != "-":
        from linwin.cli import local_files

        local = local_files.target(target)
    asked = followed(client, container, source, path) if follow_link else source
    with client.request("GET", archive_of(container), {"path": asked}) as response:
        counted = Counted(response)
        if local is None:
            while piece := counted.read():
                write_all(STDOUT, piece)
            return counted.total
        is_folder = bool(stat_in(response.headers)["mode"] & MODE_DIRECTORY)
        folder, name = place(Source(path.base, is_folder), local)
        local_files.unpack(counted, folder, parsed(asked).base, name)
        while counted.read():
            pass  # what follows the archive's end, and the news that it was sent whole
    return counted.total


def followed(client: Client, container: str, text: str, path: VolumePath) -> str:
    """The path that a link at the end of ``path`` leads to, or ``text`` itself."""
    stat = look(client, container, text)
    if stat is None or not stat["mode"] & MODE_SYMLINK:
        return text
    return written(led(stat["linkTarget"], path.parts[:-1]))


# ---- both -----------------------------------------------------------------------


class Counted:
    """Counts what is read."""

    def __init__(self, source: Any) -> None:
        self._read = source.read1
        self.total = 0

    def read(self, size: int = 1 << 18) -> bytes:
        data: bytes = self._read(size)
        self.total += len(data)
        return data


def parsed(text: str) -> VolumePath:
    try:
        return parse_path(text)
    except ValueError as error:
        raise InvalidRequest(str(error), hint=SPELLING) from error


def led(link: str, parent: tuple[str, ...]) -> tuple[str, ...]:
    """Where a link in the folder ``parent`` leads. Raises InvalidRequest for one that leads off C:."""
    try:
        return follow(link, parent)
    except ValueError as error:
        raise InvalidRequest(
            f"the link to {link!r} cannot be followed: {error}", hint="Copy the link itself, or from C:."
        ) from error


def written(parts: tuple[str, ...]) -> str:
    return "/" + "/".join(parts)


def archive_of(container: str) -> str:
    return f"/containers/{quote(container)}/archive"


def look(client: Client, container: str, path: str) -> dict[str, Any] | None:
    """What lies at a path; None for nothing. Raises what keeps the container from being looked at."""
    query = {"path": path}
    try:
        with client.request("HEAD", archive_of(container), query) as response:
            return stat_in(response.headers)
    except NotFound:
        client.get(f"/containers/{quote(container)}/json")  # a container that is not there is another matter
        return None
    except LinwinError:
        # The answer to a HEAD has no room for a sentence; the same question asked with GET has.
        with client.request("GET", archive_of(container), query) as response:
            return stat_in(response.headers)


def stat_in(headers: dict[str, str]) -> dict[str, Any]:
    try:
        stat = json.loads(base64.b64decode(headers[STAT]))
        if isinstance(stat["mode"], int) and isinstance(stat["linkTarget"], str):
            return dict(stat)
    except (KeyError, ValueError, TypeError) as error:
        raise Internal("the daemon did not say what lies at the path") from error
    raise Internal("the daemon did not say what lies at the path")
