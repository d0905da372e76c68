"""What removing an image does: docker's rules, decided before anything is touched."""

from __future__ import annotations

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
        remaining = set(names) - found.references
        if used and not remaining and not force:
            raise Conflict(
                f'conflict: unable to remove repository reference "{text}" (must force) - '
                f"a container is using its referenced image {short}",
                hint="Remove its containers first, or force with -f.",
            )
        return Removal(found.id, found.references, deletes=not remaining)
    if not force and len(names) > 1:
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
