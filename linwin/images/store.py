"""The image store: what the engine's :class:`~linwin.engine.interfaces.Images` is here.

Everything but the blobs is kept in memory as well as on disk. Changes happen
one at a time, in threads, and run to their end even when the caller is cancelled.
"""

from __future__ import annotations

import asyncio
import builtins
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from linwin.errors import Forbidden, NotFound
from linwin.host.turns import Turns
from linwin.images import references
from linwin.images.aliases import Aliases
from linwin.images.archive_output import SavedImage, select, stream_archive
from linwin.images.bases import base_config
from linwin.images.blobs import BlobStore, Lease
from linwin.images.catalogue import Catalogue
from linwin.images.check import Store, check_store
from linwin.images.compose import stage_composed
from linwin.images.configs import created_at
from linwin.images.names import Found, Names
from linwin.images.readings import read_blobs
from linwin.images.records import Entry
from linwin.images.registry.distribution import distribution
from linwin.images.registry.interrupted import InterruptedPulls
from linwin.images.registry.limits import Limits
from linwin.images.registry.login import login
from linwin.images.registry.pull import PulledDraft, Puller
from linwin.images.registry.push import Pusher, pushable
from linwin.images.registry.search import Search
from linwin.images.registry.web import Web
from linwin.images.removal import Removal, planned
from linwin.images.render import base_image, stored_image
from linwin.images.staged import ArchivedImage, PulledImage
from linwin.images.staging import Draft, Watch, stage_archive
from linwin.model.image import Image, ImageDraft, Layer, Removed
from linwin.model.progress import Report
from linwin.model.registry import Credentials, Distribution, Pushed, SearchResult
from linwin.model.template import Template
from linwin.model.upkeep import Finding
from linwin.paths import Paths

_Result = TypeVar("_Result")


class ImageStore:
    """Images, their references and their blobs, under one root. One store a root at a time."""

    def __init__(self, paths: Paths, *, limits: Limits | None = None, web: Web | None = None) -> None:
        """Read a root's store and clear away what an interrupted daemon left unfinished.

        Does I/O, a little for each image. What is damaged is set aside (see
        :mod:`linwin.images.catalogue`); Internal is raised, naming the file,
        for a store that another version of linwin wrote.
        """
        self._paths = paths
        self._scratch = paths.scratch
        self.blobs = BlobStore(paths.blobs, paths.scratch, paths.images_aside)
        self._catalogue = Catalogue(paths, self.blobs)
        self._interrupted = InterruptedPulls(paths.pulls)
        self._aliases = Aliases(paths.aliases)
        self._bases: Mapping[str, Image] = {}
        self._turns = Turns()
        self._limits = limits or Limits()
        self._search = Search(paths.registries_conf, self._aliases, web or Web())
        self._puller = Puller(
            paths,
            self.blobs,
            self._aliases,
            self._interrupted,
            layers=lambda: self._catalogue.contents.layers,
            change=self._exclusively,
            collect=self._collect,
            limits=self._limits,
            web=web or Web(),
        )
        self._pusher = Pusher(paths, self.blobs, self._aliases, self._limits)
        self._interrupted.forget(self._catalogue.contents.manifests)
        self._collect_now()

    async def stage(
        self, archive: Path, templates: Sequence[Template], report: Report
    ) -> builtins.list[ArchivedImage]:
        """Read an archive, check every digest, and store what its images need, not yet visible.

        Raises InvalidRequest for a corrupt, truncated or non-Windows archive,
        Unavailable for a full disk or when no template serves an image. Nothing
        is left behind when it raises.
        """

        def work(watch: Watch) -> builtins.list[Draft]:
            return stage_archive(archive, templates, self.blobs, self._scratch, watch)

        return await self._staged(work, report)

    async def _staged(
        self, stage: Callable[[Watch], builtins.list[Draft]], report: Report
    ) -> builtins.list[ArchivedImage]:
        """Do the work in a thread, which is told to stop when nobody waits for it any more."""
        loop = asyncio.get_running_loop()
        watch = Watch(lambda progress: loop.call_soon_threadsafe(report, progress))
        work = asyncio.create_task(asyncio.to_thread(stage, watch))
        try:
            drafts = await asyncio.shield(work)
        except BaseException:
            watch.interrupt()
            work.add_done_callback(_release_drafts)
            await asyncio.wait({work})
            await self._exclusively(self._collect)
            raise
        return [ArchivedImage(self, draft) for draft in drafts]

    async def compose(
        self, parent: Image, draft: ImageDraft, layer: Path | Layer | None, references: Sequence[str]
    ) -> ArchivedImage:
        """Stage an image made here. See :meth:`linwin.engine.interfaces.Images.compose`."""
        entry = self._entry(parent.id)

        def work(watch: Watch) -> builtins.list[Draft]:
            return [stage_composed(entry, draft, layer, references, self.blobs, watch.breathe)]

        (composed,) = await self._staged(work, lambda _: None)
        return composed

    async def list(self) -> builtins.list[Image]:
        """All images, newest first, the templates' base images included."""
        names, damaged = self._names(), self._catalogue.contents.damaged
        images = [self._image(image_id, names) for image_id in names.ids - damaged.keys()]
        return sorted(images, key=lambda image: (_moment(image.created), image.id), reverse=True)

    async def resolve(self, reference: str) -> Image:
        """Find an image by reference, alias, ``name@digest``, id or an id's unique beginning.

        Raises NotFound, for a damaged image too, or InvalidRequest for what
        cannot be a reference.
        """
        names = self._names()
        return self._image(names.find(reference).id, names)

    async def tags(self, repository: str) -> builtins.list[str]:
        """The canonical references of all tags of a repository, sorted."""
        return self._names().tags_of(references.parse(repository).name)

    async def tag(self, source: str, target: str) -> None:
        """Point the reference ``target`` at the image that ``source`` names.

        Raises NotFound for the source, InvalidRequest for either.
        """
        name = str(references.parse_target(target))

        async def change() -> None:
            names = self._names()
            image_id = self._image(names.find(source).id, names).id
            if names.references.get(name) != image_id:
                await asyncio.to_thread(self._catalogue.point, name, image_id)

        await self._exclusively(change)

    async def remove(
        self, reference: str, *, force: bool, in_use: frozenset[str], leave_children: bool = False
    ) -> builtins.list[Removed]:
        """Untag, and delete the image when its last reference went.

        Raises NotFound, Conflict in docker's words for what must be forced, and
        Forbidden for what a template provides.
        """

        async def change() -> builtins.list[Removed]:
            names = self._names()
            found = self._find_gone(reference) or names.find(reference)
            if found.id not in names.ids:
                removal = Removal(found.id, found.references, deletes=False)
            elif found.id in self._bases:
                removal = self._untag_base(found)
            else:
                parents = {} if leave_children else self._catalogue.contents.parents
                removal = planned(found, names, parents, reference, force=force, in_use=in_use)
            await asyncio.to_thread(self._catalogue.forget, removal.references, removal.deleted)
            if removal.deletes:
                await self._collect()
            return removal.report

        return await self._exclusively(change)

    async def pull(
        self,
        reference: str,
        templates: Sequence[Template],
        report: Report,
        credentials: Credentials | None = None,
    ) -> PulledImage:
        """Fetch an image's manifest, config and the layers that no template provides.

        See :meth:`linwin.engine.interfaces.Images.pull`. When it raises, what
        arrived whole is kept for the next attempt.
        """
        return PulledImage(self, await self._puller.pull(reference, templates, report, credentials))

    async def login(self, credentials: Credentials) -> str:
        """Ask a registry whether it accepts ``credentials``; return its status in docker's words."""
        return await login(self._paths, credentials)

    async def distribution(self, reference: str, credentials: Credentials | None = None) -> Distribution:
        """What the reference's registry has under it; nothing is fetched but its documents."""
        return await distribution(self._paths, self._aliases, self._limits, reference, credentials)

    async def search(self, term: str, *, limit: int) -> builtins.list[SearchResult]:
        """Repositories whose name or description holds ``term``."""
        return await self._search.find(term, limit=limit)

    async def push(self, reference: str, report: Report, credentials: Credentials | None = None) -> Pushed:
        """Copy an image to the registry that its reference names.

        Base layers that are not stored here are mounted there from the
        repository that has them, named as foreign, or copied. An image that
        stands on a template's stand-in is put on the real base image first, and
        takes its own place here afterwards. Raises NotFound for an image that is
        not here, Conflict when its real base cannot be had, Unauthorized in
        docker's words, Unavailable.
        """
        target = references.parse_target(reference)
        async with self._leased(lambda names: {pushable(target, names): frozenset()}) as (images, lease):
            image_id, entry = images[0].entry.record.id, images[0].entry
            is_base = image_id in self._bases
            outcome = await self._pusher.push(target, entry, lease, report, credentials, is_base=is_base)
            if outcome.rebased is not None:
                await self._replace(image_id, outcome.rebased)
            return outcome.pushed

    async def save(self, references: Sequence[str]) -> AsyncIterator[bytes]:
        """A tar archive of images, in the OCI layout and docker's at once; the same bytes each time.

        Raises NotFound, before the first bytes, for a reference that is not here.
        """
        async with (
            self._leased(lambda names: select(references, names)) as (images, _),
            aclosing(stream_archive(images, self.blobs)) as pieces,
        ):
            async for piece in pieces:
                yield piece

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

    async def usage(self) -> tuple[int, int]:
        """Bytes of all blobs, and of those among them that only interrupted pulls keep."""
        needed = self._catalogue.contents.live_blobs | self._bases.keys()
        interrupted = self._interrupted.live_blobs() - needed
        return await asyncio.to_thread(lambda: (self.blobs.usage(), self.blobs.usage(interrupted)))

    async def discard_interrupted(self) -> int:
        """Give up what interrupted pulls have kept; return bytes freed."""

        async def change() -> int:
            await asyncio.to_thread(self._interrupted.discard)
            return await self._collect()

        return await self._exclusively(change)

    async def check(self, report: Report, *, repair: bool) -> builtins.list[Finding]:
        """Read every blob and record and compare them with their digests and each other.

        Loads, pulls and removals go on while the blobs are read.
        """
        layers = {layer.digest for layer in self._catalogue.contents.layers}
        readings = await read_blobs(self.blobs, layers, report)

        async def change() -> builtins.list[Finding]:
            kept = self._interrupted.live_blobs()
            store = Store(self._catalogue, self.blobs, frozenset(self._bases), kept, self._paths.pulls)
            return await asyncio.to_thread(check_store, store, readings, repair=repair)

        return await self._exclusively(change)

    async def commit_all(self, staged: Sequence[Any]) -> builtins.list[Image]:
        """Make staged images, this store's own, and their references visible, all or none."""
        images: builtins.list[ArchivedImage] = [*staged]
        drafts = [image.draft for image in images]

        async def change() -> builtins.list[Image]:
            await asyncio.to_thread(
                self._catalogue.put, [(draft.entry, draft.references) for draft in drafts]
            )
            pulled = {draft.manifest for draft in drafts if isinstance(draft, PulledDraft)}
            await asyncio.to_thread(self._interrupted.forget, pulled)
            for image in images:
                image.settle()
            await self._collect()
            names = self._names()
            return [self._image(draft.entry.record.id, names) for draft in drafts]

        return await self._exclusively(change)

    async def discard(self, draft: Draft) -> None:
        """Drop what only ``draft`` keeps of the blobs."""

        async def change() -> None:
            draft.lease.release()
            await self._collect()

        await self._exclusively(change)

    async def _collect(self) -> int:
        return await asyncio.to_thread(self._collect_now)

    def _collect_now(self) -> int:
        """Delete the blobs that nothing needs, unless a damaged record hides what is needed."""
        contents = self._catalogue.contents
        if not contents.names_all_blobs:
            return 0
        return self.blobs.collect(contents.live_blobs | self._bases.keys() | self._interrupted.live_blobs())

    async def _exclusively(self, change: Callable[[], Awaitable[_Result]]) -> _Result:
        """Run one change alone and to its end: a cancelled caller must not free the lock under a thread."""
        return await self._turns.take(change())

    def _names(self) -> Names:
        contents, bases = self._catalogue.contents, self._bases
        ids = contents.entries.keys() | contents.damaged.keys() | bases.keys()
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
        return stored_image(self._entry(image_id), names.of(image_id), self.blobs)

    @asynccontextmanager
    async def _leased(
        self, choose: Callable[[Names], Mapping[str, frozenset[str]]]
    ) -> AsyncIterator[tuple[builtins.list[SavedImage], Lease]]:
        """Images, under the references given with their ids, whose blobs stay until the context ends."""
        lease = self.blobs.lease()
        try:
            async with self._turns.lock:  # nothing is collected between the look-up and the claims
                chosen = choose(self._names())
                images = [SavedImage(self._entry(key), tuple(sorted(chosen[key]))) for key in chosen]
                for digest in {digest for image in images for digest in image.entry.record.blobs}:
                    lease.claim(digest)
            yield images, lease
        finally:
            lease.release()
            await self._exclusively(self._collect)

    async def _replace(self, image_id: str, entry: Entry) -> None:
        """Let every reference to an image name another instead; containers keep the one they have."""

        async def change() -> None:
            names = self._catalogue.contents.references.items()
            own = [name for name, target in names if target == image_id]
            await asyncio.to_thread(self._catalogue.put, [(entry, own)])

        await self._exclusively(change)

    def _entry(self, image_id: str) -> Entry:
        """Raises NotFound for a damaged image, which waits for a pull or a load to mend it."""
        base, contents = self._bases.get(image_id), self._catalogue.contents
        if base is not None:
            return Entry.of_base(base)
        if image_id in contents.damaged:
            name = next(iter(contents.names_of(image_id)), image_id[7:19])
            raise NotFound(
                f"image {name} is damaged: {contents.damaged[image_id].reason}",
                hint=f"Bring it back with: linwin pull {name}, or linwin load -i FILE",
            )
        return contents.entries[image_id]

    def _find_gone(self, text: str) -> Found | None:
        """What ``text`` names when that image is not here, as a base image without its template."""
        contents = self._catalogue.contents
        name = "" if references.as_id(text) else str(references.parse(text).with_default_tag())
        target = contents.references.get(name)
        if target is None or target in (*contents.entries, *contents.damaged, *self._bases):
            return None
        return Found(target, frozenset({name}))

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
        lease = self.blobs.lease()
        try:
            for data in configs:
                lease.add(data, "the config of a base image")
        finally:
            lease.release()


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
