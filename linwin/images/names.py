"""Finding an image by what a user calls it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from linwin.errors import NotFound
from linwin.images import references
from linwin.images.aliases import Aliases
from linwin.images.references import Reference

_PREFIX = re.compile(r"(?:sha256:)?([a-f0-9]{1,64})")


@dataclass(frozen=True, slots=True)
class Found:
    """An image and the references by which it was found, none when it was by its id."""

    id: str
    references: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Names:
    """A view of the store to look names up in.

    ``ids`` are all images, ``references`` maps canonical references to them and
    ``digests`` their manifests' digests to them.
    """

    ids: frozenset[str]
    references: Mapping[str, str]
    digests: Mapping[str, frozenset[str]]
    aliases: Aliases

    def find(self, text: str) -> Found:
        """Look ``text`` up as docker does: as an id, a reference, an id's beginning.

        A reference is looked for as it stands before it is looked for as an
        alias. Raises NotFound, or InvalidRequest for what cannot be a reference.
        """
        image_id = references.as_id(text)
        if image_id is not None:
            if image_id in self.ids:
                return Found(image_id)
            raise NotFound(f"No such image: {image_id}")
        reference = references.parse(text).with_default_tag()
        found = self._by_reference(reference) or self._by_prefix(text)
        if found is None:
            raise self._not_found(reference)
        return found

    def of(self, image_id: str) -> tuple[str, ...]:
        """The references that point at an image, sorted."""
        return tuple(sorted(name for name, target in self.references.items() if target == image_id))

    def tags_of(self, repository: str) -> list[str]:
        """The canonical references of a repository's tags, sorted; those by digest are none."""
        known = (references.parse(name) for name in self.references)
        return sorted(str(name) for name in known if name.name == repository and name.tag)

    def _by_reference(self, wanted: Reference) -> Found | None:
        exact = str(replace(wanted, tag=None) if wanted.digest else wanted)
        if exact in self.references:
            return Found(self.references[exact], frozenset({exact}))
        if wanted.digest is not None:
            return self._by_digest(wanted, wanted.digest)
        home = self.aliases.home(wanted)
        for name in self._preferring(str(home)):
            if self.aliases.home(references.parse(name)) == home:
                return Found(self.references[name], frozenset({name}))
        return None

    def _by_digest(self, wanted: Reference, digest: str) -> Found | None:
        home = self.aliases.home(wanted).name
        for image_id in sorted(self.digests.get(digest, ())):
            matching = frozenset(
                name
                for name in self.of(image_id)
                if (stored := references.parse(name)).name == wanted.name
                or self.aliases.home(stored).name == home
            )
            if matching:
                return Found(image_id, matching)
        return None

    def _by_prefix(self, text: str) -> Found | None:
        match = _PREFIX.fullmatch(text)
        if match is None:
            return None
        matching = [image_id for image_id in self.ids if image_id.startswith(f"sha256:{match[1]}")]
        return Found(matching[0]) if len(matching) == 1 else None

    def _preferring(self, first: str) -> Iterable[str]:
        return ([first] if first in self.references else []) + sorted(self.references)

    def _not_found(self, reference: Reference) -> NotFound:
        if self.aliases.home(reference).name.startswith("mcr.microsoft.com/windows/"):
            hint = "A template can stand in for it; build one with: linwin template build wine"
        else:
            hint = "List the images that are here with linwin images; add one with linwin load -i FILE."
        return NotFound(f"No such image: {reference.familiar}", hint=hint)
