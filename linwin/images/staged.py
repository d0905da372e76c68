"""Images that are checked and stored, and visible to nobody until they are committed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linwin.images.registry.pull import PulledDraft
from linwin.images.render import stored_image
from linwin.images.staging import Draft
from linwin.model.image import Image

if TYPE_CHECKING:
    from linwin.images.store import ImageStore


class ArchivedImage:
    """An image from an archive: checked, stored, and visible to nobody until committed."""

    def __init__(self, store: ImageStore, draft: Draft) -> None:
        self._store = store
        self.draft = draft
        self._settled = False

    @property
    def image(self) -> Image:
        return stored_image(self.draft.entry, self.draft.references, self._store.blobs)

    async def commit(self) -> Image:
        """Make the image and its references visible, atomically; references move to it from others."""
        (image,) = await self._store.commit_all([self])
        return image

    async def discard(self) -> None:
        """Drop what was staged and no other image uses. Idempotent, safe after commit."""
        if not self._settled:
            self._settled = True
            await self._store.discard(self.draft)

    def settle(self) -> None:
        """The catalogue names its blobs now; called by the store, while nothing is collected."""
        self._settled = True
        self.draft.lease.release()


class PulledImage(ArchivedImage):
    """An image from a registry. What of it is discarded stays here for the next pull of it."""

    def __init__(self, store: ImageStore, draft: PulledDraft) -> None:
        super().__init__(store, draft)
        self.digest = draft.digest
        self.saved = draft.saved
