"""What removing an image does: docker's rules, decided before anything is touched."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from linwin.errors import Conflict
from linwin.images import references
from linwin.images.names import Found, Names
from linwin.model.image import Removed


@dataclass(frozen=True, slots=True)
class Removal:
    """The references to drop, whether the image goes with them, and what was only there for it."""

    image_id: str
    references: frozenset[str]
    deletes: bool
    orphans: tuple[str, ...] = ()

    @property
    def deleted(self) -> tuple[str, ...]:
        """The images that go."""
        return (self.image_id, *self.orphans) if self.deletes else ()

    @property
    def report(self) -> list[Removed]:
        """What docker prints of it."""
        untagged = [Removed(untagged=references.familiar(name)) for name in sorted(self.references)]
        return untagged + [Removed(deleted=image_id) for image_id in self.deleted]


def planned(
    found: Found,
    names: Names,
    parents: Mapping[str, str],
    text: str,
    *,
    force: bool,
    in_use: frozenset[str],
) -> Removal:
    """What removing an image does. What it was made from (``parents`` says) goes with it, as with docker."""
    removal = plan_removal(
        found,
        names.of(found.id),
        text,
        force=force,
        used=found.id in in_use,
        has_children=found.id in parents.values(),
    )
    return replace(removal, orphans=orphans(found.id, parents, frozenset(names.references.values()), in_use))


def plan_removal(
    found: Found, names: tuple[str, ...], text: str, *, force: bool, used: bool, has_children: bool
) -> Removal:
    """Decide what removing ``text``, which named ``found``, does.

    ``names`` are all references to the image; ``used`` says that a container
    uses it, and ``has_children`` that an image was made from it, whose build
    it is the cache of. Raises Conflict in docker's words for what must be forced, or cannot be.
    """
    short = found.id.removeprefix("sha256:")[:12]
    if found.references:
        dropped = found.references | _left_without_tag(names, found.references)
        remaining = set(names) - dropped
        if used and not remaining and not force:
            raise Conflict(
                f'conflict: unable to remove repository reference "{text}" (must force) - '
                f"a container is using its referenced image {short}",
                hint="Remove its containers first, or force with -f.",
            )
        return Removal(found.id, dropped, deletes=not remaining and not has_children)
    if has_children:
        raise Conflict(
            f"conflict: unable to delete {short} (cannot be forced) - image has dependent child images",
            hint="Remove the images that were made from it first: linwin images -a",
        )
    if not force and not _are_one(names):
        raise Conflict(
            f"conflict: unable to delete {short} (must be forced) - "
            "image is referenced in multiple repositories",
            hint="Remove the references one by one, or all at once with -f.",
        )
    if not force and used:
        raise Conflict(
            f"conflict: unable to delete {short} (must be forced) - image is being used by a container",
            hint="Remove its containers first, or force with -f.",
        )
    return Removal(found.id, frozenset(names), deletes=True)


def orphans(
    image_id: str, parents: Mapping[str, str], named: Collection[str], in_use: Collection[str]
) -> tuple[str, ...]:
    """The images that were there only because ``image_id`` was made from them, the nearest first.

    ``parents`` maps images to what they were made from; those that are ``named`` or ``in_use`` stay.
    """
    children = Counter(parents.values())
    gone: list[str] = []
    parent = parents.get(image_id, "")
    while parent in parents and children[parent] == 1 and parent not in named and parent not in in_use:
        gone.append(parent)
        parent = parents[parent]
    return tuple(gone)


def _left_without_tag(names: tuple[str, ...], dropped: frozenset[str]) -> frozenset[str]:
    """The digests by which an image was pulled from repositories that ``dropped`` takes its last tag in."""
    tags = {name for name in names if "@" not in name}
    lost = _repositories(tags & dropped) - _repositories(tags - dropped)
    return frozenset(name for name in names if "@" in name and references.parse(name).name in lost)


def _are_one(names: tuple[str, ...]) -> bool:
    """Whether references are no more than one tag, and digests of its repository."""
    return sum("@" not in name for name in names) <= 1 and len(_repositories(names)) <= 1


def _repositories(names: Iterable[str]) -> set[str]:
    return {references.parse(name).name for name in names}
