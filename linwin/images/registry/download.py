"""One layer's way from a registry into the store."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from linwin.errors import InvalidRequest
from linwin.images.bases import is_foreign
from linwin.images.blobs import BlobStore, Lease
from linwin.images.compression import Reader
from linwin.images.layer_copy import Advance, HashSink, Sink, copy_layer, media_type_of, meter
from linwin.images.records import StoredLayer
from linwin.images.registry.failures import Absent, Cut
from linwin.images.registry.foreign import ForeignLayers
from linwin.images.registry.manifests import Descriptor
from linwin.images.registry.source import Source
from linwin.images.registry.transfers import Content, Transfers
from linwin.images.staging import Watch
from linwin.model.progress import Progress, Report


@dataclass(frozen=True, slots=True)
class WantedLayer:
    """A layer above the base: what its manifest and its config say, and what errors call it."""

    descriptor: Descriptor
    diff_id: str
    what: str


class LayerDownloads:
    """Brings the layers of one pull into the store, each under ``lease``."""

    def __init__(
        self,
        source: Source,
        manifest: str,
        blobs: BlobStore,
        lease: Lease,
        transfers: Transfers,
        foreign: ForeignLayers,
        report: Report,
    ) -> None:
        self._source = source
        self._manifest = manifest
        self._blobs = blobs
        self._lease = lease
        self._transfers = transfers
        self._foreign = foreign
        self._report = report

    async def bring(self, layer: WantedLayer) -> StoredLayer:
        """Have a layer in the store, verified, whether it is found there or fetched.

        Raises Unavailable when no source gives it whole, InvalidRequest when
        what they give is not what the manifest and the config say.
        """
        blob = layer.descriptor
        if self._transfers.is_taken(blob.digest):
            self._tell(layer, "Waiting")
        async with self._transfers.alone(blob.digest):
            content = await self._found(layer)
            if content is None:
                content = await self._fetched(layer)
                self._tell(layer, "Download complete")
            else:
                self._tell(layer, "Already exists")
            self._transfers.contents[blob.digest] = content
        media_type = media_type_of(blob.media_type, content.compression)
        return StoredLayer(layer.diff_id, blob.digest, media_type, blob.size)

    async def _found(self, layer: WantedLayer) -> Content | None:
        """What is in the blob that the store has; None when it has none, or a corrupt one."""
        if not self._blobs.holds(layer.descriptor.digest, layer.descriptor.size):
            return None
        content = self._transfers.contents.get(layer.descriptor.digest)
        if content is None:
            return await self._looked_into(layer)
        if content.diff_id != layer.diff_id:
            raise InvalidRequest(f"{layer.what} is corrupt: its content has the diff id {content.diff_id}")
        return content

    async def _looked_into(self, layer: WantedLayer) -> Content | None:
        """Read a blob that an interrupted pull left, or that another image names with another diff id."""
        self._tell(layer, "Verifying Checksum")
        watch = self._watch()
        sink = HashSink()

        def work() -> Content:
            with self._blobs.path(layer.descriptor.digest).open("rb") as file:
                return self._copied(layer, file, sink, lambda _: watch.breathe())

        try:
            return await self._source.in_thread(work, watch.interrupt)
        except (InvalidRequest, OSError):
            if sink.digest == layer.descriptor.digest:
                raise
            return None  # the disk damaged it: what comes next takes its place

    async def _fetched(self, layer: WantedLayer) -> Content:
        attempts = self._source.limits.attempts
        for attempt in range(1, attempts + 1):
            try:
                return await self._attempt(layer)
            except Cut as cut:
                if attempt == attempts:
                    raise self._source.broke_off(layer.what, cut) from cut
                self._tell(layer, f"Retrying ({cut})")
        raise AssertionError("a pull makes at least one attempt")

    async def _attempt(self, layer: WantedLayer) -> Content:
        watch = self._watch()

        def take_in(reader: Reader) -> Content:
            with self._lease.receive(layer.what) as intake:
                content = self._copied(layer, reader, intake, self._meter(layer, watch))
                watch.report(Progress("Verifying Checksum", layer.descriptor.short))
                intake.finish(layer.descriptor.digest)
            return content

        try:
            return await self._source.receive(
                self._manifest, layer.descriptor, layer.what, take_in, watch.interrupt
            )
        except Absent as absent:
            if not is_foreign(layer.descriptor.media_type):
                raise self._source.lacks(layer.what) from absent
        return await self._foreign.receive(
            layer.descriptor, layer.what, take_in, self._source, watch.interrupt
        )

    def _copied(self, layer: WantedLayer, source: Reader, sink: Sink, advance: Advance) -> Content:
        compression = copy_layer(
            source,
            sink,
            advance,
            what=layer.what,
            diff_id=layer.diff_id,
            digest=layer.descriptor.digest,
        )
        return Content(layer.diff_id, compression)

    def _meter(self, layer: WantedLayer, watch: Watch) -> Advance:
        def tell(current: int) -> None:
            watch.report(Progress("Downloading", layer.descriptor.short, current, layer.descriptor.size))

        return meter(tell, watch.breathe, layer.descriptor.size)

    def _watch(self) -> Watch:
        loop = asyncio.get_running_loop()
        return Watch(lambda progress: loop.call_soon_threadsafe(self._report, progress))

    def _tell(self, layer: WantedLayer, status: str) -> None:
        self._report(Progress(status, layer.descriptor.short))
