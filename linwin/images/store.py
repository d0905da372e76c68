"""The image store: what the engine's :class:`~linwin.engine.interfaces.Images` is here.

Everything but the blobs is kept in memory as well as on disk. Changes happen
one at a time, in threads, and run to their end even when the caller is cancelled.
"""

from __future__ import annotations

import asyncio
import builtins
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from linwin.errors import Forbidden
from linwin.images import references
from linwin.images.aliases import Aliases
from linwin.images.bases import base_config
from linwin.images.blobs import BlobStore
from linwin.images.catalogue import Catalogue
from linwin.images.configs import created_at
from linwin.images.names import Found, Names
from linwin.images.removal import Removal, plan_removal
from linwin.images.render import base_image, stored_image
from linwin.images.staging import Draft, Watch, stage_archive
from linwin.model.image import Image, Removed
from linwin.model.progress import Report
from linwin.model.template import Template
from linwin.paths import Paths

_Result = TypeVar("_Result")


class ImageStore:
    """Images, their references and their blobs, under one root. One store a root at a time."""

    def __init__(self, paths: Paths) -> None:
        """Read a root's store and clear away what an interrupted daemon left unfinished.

        Does I/O, a little for each image. Raises Internal, naming the file,
        when the store is damaged.
        """
        self._scratch = paths.scratch
        self._blobs = BlobStore(paths.blobs, paths.scratch)
        self._catalogue = Catalogue(paths, self._blobs)
        self._aliases = Aliases(paths.aliases)
        self._bases: Mapping[str, Image] = {}
        self._lock = asyncio.Lock()
        self._changes: set[asyncio.Task[Any]] = set()
        self._blobs.collect(self._catalogue.contents.live_blobs)

    async def stage(
        self, archive: Path, templates: Sequence[Template], report: Report
    ) -> builtins.list[ArchivedImage]:
        """Read an archive, check every digest, and store what its images need, not yet visible.

        Raises InvalidRequest for a corrupt, truncated or non-Windows archive,
        Unavailable for a full disk or when no template serves an image. Nothing
        is left behind when it raises.
        """
        loop = asyncio.get_running_loop()
        watch = Watch(lambda progress: loop.call_soon_threadsafe(report, progress))
        work = asyncio.create_task(
            asyncio.to_thread(stage_archive, archive, templates, self._blobs, self._scratch, watch)
        )
        try:
            drafts = await asyncio.shield(work)
        except BaseException:
            watch.interrupt()
            work.add_done_callback(_release_drafts)
            await asyncio.wait({work})
            await self._exclusively(self._collect)
            raise
        return [ArchivedImage(self, draft) for draft in drafts]

    async def list(self) -> builtins.list[Image]:
        """All images, newest first, the templates' base images included."""
        names = self._names()
        images = [self._image(image_id, names) for image_id in names.ids]
        return sorted(images, key=lambda image: (_moment(image.created), image.id), reverse=True)

    async def resolve(self, reference: str) -> Image:
        """Find an image by reference, alias, ``name@digest``, id or an id's unique beginning.

        Raises NotFound, or InvalidRequest for what cannot be a reference.
        """
        names = self._names()
        return self._image(names.find(reference).id, names)

    async def tag(self, source: str, target: str) -> None:
        """Point the reference ``target`` at the image that ``source`` names.

        Raises NotFound for the source, InvalidRequest for either.
        """
        name = str(references.parse_target(target))

        async def change() -> None:
            names = self._names()
            image_id = names.find(source).id
            if names.references.get(name) != image_id:
                await asyncio.to_thread(self._catalogue.point, name, image_id)

        await self._exclusively(change)

    async def remove(self, reference: str, *, force: bool, in_use: frozenset[str]) -> builtins.list[Removed]:
        """Untag, and delete the image when its last reference went.

        Raises NotFound, Conflict in docker's words for what must be forced, and
        Forbidden for what a template provides.
        """

        async def change() -> builtins.list[Removed]:
            names = self._names()
            found = names.find(reference)
            if found.id in self._bases:
                removal = self._untag_base(found)
            else:
                removal = plan_removal(
                    found, names.of(found.id), reference, force=force, used=found.id in in_use
                )
            deleted = removal.image_id if removal.deletes else None
            await asyncio.to_thread(self._catalogue.forget, removal.references, deleted)
            if deleted:
                await self._collect()
            return removal.report

        return await self._exclusively(change)

    async def adopt_base_images(self, templates: Sequence[Template]) -> None:
        """Make the base images that ``templates`` provide resolvable, and forget those of others.

        Of two templates that provide the same image, the earlier one is it. A
        user's own references to a base image wait for it while it is away.
        """
        bases: dict[str, Image] = {}
        configs: builtins.list[bytes] = []
        for template in templates:
            for base in template.provides:
                image = base_image(base, template)
                known = bases.get(image.id, image)
                names = sorted({*known.references, *image.references})
                bases[image.id] = replace(known, references=tuple(names))
                configs.append(base_config(base))

        async def change() -> None:
            self._bases = bases
            await asyncio.to_thread(self._store_configs, configs)
            await self._collect()

        await self._exclusively(change)

    async def _commit(self, draft: Draft) -> Image:
        image_id = draft.entry.record.id

        async def change() -> Image:
            names = dict.fromkeys(draft.references, image_id)
            await asyncio.to_thread(self._catalogue.put, draft.entry, names)
            draft.lease.release()
            await self._collect()
            return self._image(image_id, self._names())

        return await self._exclusively(change)

    async def _discard(self, draft: Draft) -> None:
        async def change() -> None:
            draft.lease.release()
            await self._collect()

        await self._exclusively(change)

    async def _collect(self) -> None:
        live = self._catalogue.contents.live_blobs | set(self._bases)
        await asyncio.to_thread(self._blobs.collect, live)

    async def _exclusively(self, change: Callable[[], Awaitable[_Result]]) -> _Result:
        """Run one change alone and to its end: a cancelled caller must not free the lock under a thread."""

        async def alone() -> _Result:
            async with self._lock:
                return await change()

        task = asyncio.create_task(alone())
        self._changes.add(task)
        task.add_done_callback(self._changes.discard)
        return await asyncio.shield(task)

    def _names(self) -> Names:
        contents, bases = self._catalogue.contents, self._bases
        ids = contents.entries.keys() | bases.keys()
        # Of two base images with one name the earlier is meant, so it is written last.
        provided = {name: image.id for image in reversed(list(bases.values())) for name in image.references}
        given = {name: target for name, target in contents.references.items() if target in ids}
        digests: defaultdict[str, set[str]] = defaultdict(set)
        for entry in contents.entries.values():
            for digest in entry.record.digests:
                digests[digest].add(entry.record.id)
        return Names(
            ids=frozenset(ids),
            references={**provided, **given},
            digests={digest: frozenset(found) for digest, found in digests.items()},
            aliases=self._aliases,
        )

    def _image(self, image_id: str, names: Names) -> Image:
        base = self._bases.get(image_id)
        if base is not None:
            return replace(base, references=names.of(image_id))
        entry = self._catalogue.contents.entries[image_id]
        return stored_image(entry, names.of(image_id), self._blobs)

    def _untag_base(self, found: Found) -> Removal:
        """Drop a user's own references to a base image; the rest belongs to the template."""
        base = self._bases[found.id]
        given = self._catalogue.contents.references
        own = frozenset(name for name in found.references if given.get(name) == found.id)
        if not own:
            name = references.familiar(min(found.references, default=base.references[0]))
            raise Forbidden(
                f"image {name} is provided by template {base.template} and cannot be removed",
                hint=f"Remove the template with: linwin template rm {base.template}",
            )
        return Removal(found.id, own, deletes=False)

    def _store_configs(self, configs: Sequence[bytes]) -> None:
        # The lease may end at once: collection knows the base images already.
        lease = self._blobs.lease()
        try:
            for data in configs:
                lease.add(data, "the config of a base image")
        finally:
            lease.release()


class ArchivedImage:
    """An image from an archive: checked, stored, and visible to nobody until committed."""

    def __init__(self, store: ImageStore, draft: Draft) -> None:
        self._store = store
        self._draft = draft
        self._settled = False

    @property
    def image(self) -> Image:
        return stored_image(self._draft.entry, self._draft.references, self._store._blobs)

    async def commit(self) -> Image:
        """Make the image and its references visible, atomically; references move to it from others."""
        image = await self._store._commit(self._draft)
        self._settled = True
        return image

    async def discard(self) -> None:
        """Drop what was staged and no other image uses. Idempotent, safe after commit."""
        if not self._settled:
            self._settled = True
            await self._store._discard(self._draft)


def _release_drafts(work: asyncio.Task[builtins.list[Draft]]) -> None:
    if work.cancelled() or work.exception() is not None:
        return  # the thread released them itself
    for draft in work.result():
        draft.lease.release()


def _moment(created: str) -> datetime:
    try:
        return created_at(created)
    except ValueError:  # a template's own record, which nobody checked
        return datetime.fromtimestamp(0, UTC)
