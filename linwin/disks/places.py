"""A path on a volume → what lies there, as docker follows links: on the way, and at the end where asked."""

from __future__ import annotations

from dataclasses import dataclass

from linwin.disks.volume import ROOT, Node, Volume
from linwin.layers.reparse import link_of
from linwin.model.files import MOST_LINKS, VolumePath, follow


class Missing(Exception):
    """Nothing lies there."""


@dataclass(frozen=True, slots=True)
class Place:
    """``parts`` are the names that the path came to, with no link among them but the last."""

    parts: tuple[str, ...]
    node: Node


def find(volume: Volume, path: VolumePath) -> Place:
    """What ``path`` stands for, a link at its end followed if it is said to be a folder. Raises Missing."""
    place = resolve(volume, path.parts, follow_last=path.is_folder)
    if path.is_folder and not place.node.is_folder:
        raise Missing
    return place


def resolve(volume: Volume, parts: tuple[str, ...], *, follow_last: bool) -> Place:
    """Walk from the root. Raises Missing, also where links lead round in circles or to another drive."""
    for _ in range(MOST_LINKS):
        outcome = walk(volume, parts, follow_last=follow_last)
        if isinstance(outcome, Place):
            return outcome
        parts = outcome
    raise Missing


def walk(volume: Volume, parts: tuple[str, ...], *, follow_last: bool) -> Place | tuple[str, ...]:
    """Come to the end, or to the first link that is to be followed: then the path that it makes."""
    node = Node(ROOT, is_directory=True)
    for number, name in enumerate(parts):
        if not node.is_folder:
            raise Missing
        child = volume.lookup(node.number, name)
        if child is None:
            raise Missing
        if child.is_reparse_point and (follow_last or number + 1 < len(parts)):
            return past_link(volume, child, parts, number)
        node = child
    return Place(parts, node)


def past_link(volume: Volume, link: Node, parts: tuple[str, ...], number: int) -> tuple[str, ...]:
    found = link_of(volume.reparse(link.number))
    if found is None:
        raise Missing
    try:
        return follow(found[0], parts[:number]) + parts[number + 1 :]
    except ValueError as other_drive:
        raise Missing from other_drive
