"""``container prune``, ``image prune``, ``network prune`` and ``system prune``: remove what nobody uses."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import click

from linwin.cli.connect import connect
from linwin.cli.options import arguments, filter_option
from linwin.cli.output import write_lines
from linwin.cli.units import human_size
from linwin.client import Client
from linwin.errors import InvalidRequest, Unsupported

Filters = dict[str, list[str]]
Removed = tuple[list[str], int]
"""Lines that tell what went, and the bytes that it took."""

_DIGITS = 4  # docker's for what was reclaimed; its listings have three

force_option = click.option("-f", "--force", is_flag=True, help="Do not ask.")


@click.command("prune")
@filter_option("Remove only containers that match, such as until=24h or label=a.", short=False)
@force_option
@arguments(0, 0, "")
def container_prune(filters: Filters | None, force: bool, names: tuple[str, ...]) -> None:
    """Remove all stopped containers."""
    if _confirmed("WARNING! This will remove all stopped containers.\n", force):
        _tell([_containers(connect(), filters)])


@click.command("prune")
@click.option(
    "-a", "--all", "everything", is_flag=True, help="Remove all unused images, not only untagged ones."
)
@filter_option("Remove only images that match, such as until=24h or label=a.", short=False)
@force_option
@arguments(0, 0, "")
def image_prune(everything: bool, filters: Filters | None, force: bool, names: tuple[str, ...]) -> None:
    """Remove unused images, and what interrupted pulls have left."""
    if _confirmed(f"WARNING! This will remove all {_which_images(everything)}.\n", force):
        _tell([_images(connect(), filters, everything=everything)])


@click.command("prune")
@click.option("-a", "--all", "everything", is_flag=True, help="Remove named volumes too.")
@filter_option("Remove only volumes that match, such as label=a.", short=False)
@force_option
@arguments(0, 0, "")
def volume_prune(everything: bool, filters: Filters | None, force: bool, names: tuple[str, ...]) -> None:
    """Remove volumes that no container uses."""
    wanted = {**(filters or {}), "all": ["true"]} if everything else filters
    which = "" if everything else "anonymous "
    warning = f"WARNING! This will remove {which}local volumes not used by at least one container.\n"
    if _confirmed(warning, force):
        _tell([_named(connect(), "volumes", "Volumes", wanted)])


@click.command("prune")
@click.option("-a", "--all", "everything", is_flag=True, help="Remove all of it, not only what dangles.")
@filter_option("Remove only what matches, such as until=24h.", short=False)
@force_option
@arguments(0, 0, "")
def builder_prune(everything: bool, filters: Filters | None, force: bool, names: tuple[str, ...]) -> None:
    """Remove build cache."""
    which = "all build cache" if everything else "all dangling build cache"
    if _confirmed(f"WARNING! This will remove {which}.\n", force):
        _tell([_build_cache(connect(), filters, everything=everything)])


@click.command("prune")
@filter_option("Remove only networks that match, such as until=24h or label=a.", short=False)
@force_option
@arguments(0, 0, "")
def network_prune(filters: Filters | None, force: bool, names: tuple[str, ...]) -> None:
    """Remove all networks that no running container is in."""
    warning = "WARNING! This will remove all custom networks not used by at least one container.\n"
    if _confirmed(warning, force):
        lines, _ = _named(connect(), "networks", "Networks", filters)
        write_lines([*lines, ""] if lines else [])


@click.command("prune")
@click.option(
    "-a", "--all", "everything", is_flag=True, help="Remove all unused images, not only untagged ones."
)
@filter_option("Remove only what matches, such as until=24h or label=a.", short=False)
@force_option
@click.option("--volumes", is_flag=True, help="Remove unused anonymous volumes too.")
@arguments(0, 0, "")
def system_prune(
    everything: bool, filters: Filters | None, force: bool, volumes: bool, names: tuple[str, ...]
) -> None:
    """Remove stopped containers, and the networks, images and build cache that nothing uses."""
    if volumes and "until" in (filters or {}):
        raise InvalidRequest('The "until" filter is not supported with "--volumes"')
    if not _confirmed("".join(f"{line}\n" for line in _warning(everything, filters, volumes)), force):
        return
    client = connect()
    # docker's order: what a container used is free once the container went.
    parts = [_containers(client, filters), _named(client, "networks", "Networks", filters)]
    if volumes:
        parts.append(_named(client, "volumes", "Volumes", filters))
    parts.append(_images(client, filters, everything=everything))
    parts.append(_build_cache(client, filters, everything=everything))
    _tell(parts)


def _which_images(everything: bool) -> str:
    return "images without at least one container associated to them" if everything else "dangling images"


def _warning(everything: bool, filters: Filters | None, volumes: bool) -> Iterator[str]:
    yield "WARNING! This will remove:"
    yield "  - all stopped containers"
    yield "  - all networks not used by at least one container"
    if volumes:
        yield "  - all anonymous volumes not used by at least one container"
    yield f"  - all {_which_images(everything)}"
    yield "  - all build cache" if everything else "  - unused build cache"
    yield ""
    if filters:
        yield "  Items to be pruned will be filtered with:"
        yield from sorted(f"  - {name}={value}" for name, values in filters.items() for value in values)
        yield ""


def _confirmed(warning: str, force: bool) -> bool:
    """Ask, unless forced; only ``y`` is yes, and no answer is none."""
    if force:
        return True
    click.echo(f"{warning}Are you sure you want to continue? [y/N] ", nl=False)
    return sys.stdin.readline().strip().lower() == "y"


def _tell(parts: Sequence[Removed]) -> None:
    for lines, _ in parts:
        if lines:
            write_lines([*lines, ""])
    reclaimed = human_size(sum(freed for _, freed in parts), digits=_DIGITS)
    click.echo(f"Total reclaimed space: {reclaimed}")


def _containers(client: Client, filters: Filters | None) -> Removed:
    answer = client.post("/containers/prune", filters=filters)
    return _section("Deleted Containers:", answer.get("ContainersDeleted")), _freed(answer)


def _images(client: Client, filters: Filters | None, *, everything: bool) -> Removed:
    wanted = {**(filters or {}), "dangling": ["false" if everything else "true"]}
    answer = client.post("/images/prune", filters=wanted)
    deleted = (
        f"{what.lower()}: {which}"
        for item in answer.get("ImagesDeleted") or ()
        for what, which in item.items()
    )
    return _section("Deleted Images:", deleted), _freed(answer)


def _named(client: Client, noun: str, title: str, filters: Filters | None) -> Removed:
    answer = _if_there_are_any(lambda: client.post(f"/{noun}/prune", filters=filters))
    return _section(f"Deleted {title}:", answer.get(f"{title}Deleted")), _freed(answer)


def _build_cache(client: Client, filters: Filters | None, *, everything: bool) -> Removed:
    answer = _if_there_are_any(lambda: client.post("/build/prune", all=everything or None, filters=filters))
    return _section("Deleted build cache objects:", answer.get("CachesDeleted")), _freed(answer)


def _if_there_are_any(prune: Callable[[], Any]) -> dict[str, Any]:
    """A daemon that cannot make networks, volumes or a build cache has none to remove."""
    try:
        return prune() or {}
    except Unsupported:
        return {}


def _section(title: str, names: Any) -> list[str]:
    lines = list(names or ())
    return [title, *lines] if lines else []


def _freed(answer: dict[str, Any]) -> int:
    return answer.get("SpaceReclaimed") or 0
