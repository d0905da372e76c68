"""pull: from a reference to an image in the store that only its draft knows of yet."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from linwin.errors import InvalidRequest
from linwin.images import references
from linwin.images.aliases import Aliases
from linwin.images.bases import count_base_layers
from linwin.images.blobs import BlobStore, Lease
from linwin.images.contents import sha256
from linwin.images.layer_copy import declared_compression
from linwin.images.platforms import require_windows, serving
from linwin.images.records import Entry, Record, StoredLayer
from linwin.images.references import Reference
from linwin.images.registry.choice import Chosen, choose
from linwin.images.registry.download import LayerDownloads, WantedLayer
from linwin.images.registry.foreign import ForeignLayers
from linwin.images.registry.interrupted import InterruptedPulls
from linwin.images.registry.limits import Limits
from linwin.images.registry.skopeo import credentials_for, subject_of
from linwin.images.registry.source import Source
from linwin.images.registry.transfers import Content, Transfers
from linwin.images.registry.web import Web
from linwin.images.staging import Draft
from linwin.model.progress import Progress, Report
from linwin.model.registry import Credentials
from linwin.model.template import Template
from linwin.paths import Paths


@dataclass(frozen=True, slots=True)
class PulledDraft(Draft):
    """A draft that a registry gave.

    ``manifest`` is the digest of the image's own manifest, ``digest`` that of
    what the reference named; ``saved`` counts the bytes of its base layers.
    """

    manifest: str
    digest: str
    saved: int


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a pull has to bring: the layers above the base."""

    chosen: Chosen
    base: int
    template: str
    wanted: tuple[WantedLayer, ...]

    @property
    def blobs(self) -> list[str]:
        manifest = self.chosen.manifest
        return [manifest.digest, manifest.config.digest, *(layer.descriptor.digest for layer in self.wanted)]

    @property
    def saved(self) -> int:
        return sum(layer.size for layer in self.chosen.manifest.layers[: self.base])


class Puller:
    """Pulls for one store.

    ``layers`` gives the layers of the images that are here, ``change`` runs a
    change of the store alone, and ``collect`` deletes the blobs that nothing
    needs.
    """

    def __init__(
        self,
        paths: Paths,
        blobs: BlobStore,
        aliases: Aliases,
        interrupted: InterruptedPulls,
        *,
        layers: Callable[[], Iterable[StoredLayer]],
        change: Callable[[Callable[[], Awaitable[object]]], Awaitable[object]],
        collect: Callable[[], Awaitable[object]],
        limits: Limits,
        web: Web,
    ) -> None:
        self._paths = paths
        self._blobs = blobs
        self._aliases = aliases
        self._interrupted = interrupted
        self._layers = layers
        self._change = change
        self._collect = collect
        self._limits = limits
        self._foreign = ForeignLayers(web)
        self._transfers = Transfers()

    async def pull(
        self, text: str, templates: Sequence[Template], report: Report, credentials: Credentials | None
    ) -> PulledDraft:
        """Fetch what ``text`` names; see :meth:`linwin.engine.interfaces.Images.pull`."""
        named = pullable(text)
        home = self._aliases.home(named)
        source = Source(
            self._paths,
            subject_of("pull", named, home.domain, self._paths),
            home,
            credentials_for(credentials, named, home),
            self._limits,
        )
        for layer in self._layers():  # all were verified when they came
            self._transfers.contents[layer.digest] = Content(
                layer.diff_id, declared_compression(layer.media_type)
            )
        async with source:
            top = await source.manifest()
            report(Progress(f"Pulling from {home.path}", home.tag or sha256(top), heading=True))
            if home.name != named.name:
                report(Progress(f"{named.familiar_name} moved to {home.name}"))
            plan = _plan(await choose(source, top, templates), source.subject.name, templates)
            return await self._bring(plan, source, named, sha256(top), report)

    async def _bring(
        self, plan: _Plan, source: Source, named: Reference, digest: str, report: Report
    ) -> PulledDraft:
        """Have all blobs in the store, leased, and written down as those of this pull until it is done."""
        lease, manifest = self._blobs.lease(), plan.chosen.manifest.digest

        async def begin() -> None:
            await asyncio.to_thread(self._interrupted.begin, manifest, str(named), plan.blobs)

        try:
            for blob in plan.blobs:
                lease.claim(blob)
            with self._interrupted.running(manifest):
                await self._change(begin)
                record = await self._record(plan, source, lease, digest, report)
        except BaseException:
            lease.release()
            await self._change(self._collect)
            raise
        entry = Entry(record, plan.chosen.config)
        return PulledDraft(entry, (str(named),), lease, manifest, digest, plan.saved)

    async def _record(self, plan: _Plan, source: Source, lease: Lease, digest: str, report: Report) -> Record:
        manifest, name = plan.chosen.manifest, source.subject.name
        await asyncio.to_thread(lease.add, plan.chosen.config_bytes, f"the config of image {name}")
        await asyncio.to_thread(lease.add, manifest.data, f"the manifest of image {name}")
        _announce(plan, source.limits.layers_at_once, report)
        downloads = LayerDownloads(
            source, manifest.digest, self._blobs, lease, self._transfers, self._foreign, report
        )
        return Record(
            id=manifest.config.digest,
            base_layers=plan.base,
            layers=await _all_layers(downloads, plan.wanted),
            manifest=manifest.digest,
            index_digest=digest,
            home=f"{source.home.name}@{manifest.digest}",
        )


async def _all_layers(downloads: LayerDownloads, wanted: Sequence[WantedLayer]) -> tuple[StoredLayer, ...]:
    """Bring all layers at once; the first failure ends the others."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(downloads.bring(layer)) for layer in wanted]
    except ExceptionGroup as failed:
        first = failed.exceptions[0]
        raise first from first.__cause__
    return tuple(task.result() for task in tasks)


def _plan(chosen: Chosen, name: str, templates: Sequence[Template]) -> _Plan:
    """Decide which layers are to be fetched.

    Raises InvalidRequest for another system's image, Unavailable when no
    template serves it.
    """
    config, layers = chosen.config, chosen.manifest.layers
    require_windows(config.platform, name)
    fitting = serving(config.platform.os_version, name, templates)
    base = count_base_layers(config, [layer.media_type for layer in layers], fitting)
    wanted = tuple(
        WantedLayer(layers[number], diff_id, f"layer {number + 1} of image {name} ({diff_id})")
        for number, diff_id in enumerate(config.diff_ids)
        if number >= base
    )
    return _Plan(chosen, base, fitting[0].name, wanted)


def _announce(plan: _Plan, at_once: int, report: Report) -> None:
    """List the layers as docker does before it begins to fetch them."""
    for blob in plan.chosen.manifest.layers[: plan.base]:
        report(Progress(f"Provided by template {plan.template}", blob.short))
    for layer in plan.wanted:
        report(Progress("Pulling fs layer", layer.descriptor.short))
    for layer in plan.wanted[at_once:]:
        report(Progress("Waiting", layer.descriptor.short))


def pullable(text: str) -> Reference:
    """What a pull fetches: a tag, or a digest, which makes a tag beside it mean nothing."""
    reference = references.parse(text)
    if reference.digest is None:
        return references.parse_target(text)
    if not references.is_digest(reference.digest):
        raise InvalidRequest(f"cannot pull {text}: linwin knows images by sha256 digests only")
    return replace(reference, tag=None)
