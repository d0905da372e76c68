"""What removing an image does: docker's rules, decided before anything is touched."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from linwin.errors import Conflict
from linwin.images import references
from linwin.images.names import Found
from linwin.model.image import Removed


@dataclass(frozen=True, slots=True)
class Removal:
    """The references to drop, and whether the image goes with them."""

    image_id: str
    references: frozenset[str]
    deletes: bool

    @property
    def report(self) -> list[Removed]:
        """What docker prints of it."""
        untagged = [Removed(untagged=references.familiar(name)) for name in sorted(self.references)]
        return untagged + ([Removed(deleted=self.image_id)] if self.deletes else [])


def plan_removal(found: Found, names: tuple[str, ...], text: str, *, force: bool, used: bool) -> Removal:
    """Decide what removing ``text``, which named ``found``, does.

    ``names`` are all references to the image; ``used`` says that a container
    uses it. Raises Conflict in docker's words for what must be forced.
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
        return Removal(found.id, dropped, deletes=not remaining)
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
