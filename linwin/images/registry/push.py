"""push: from an image in the store to a tag in a registry, through ``skopeo copy``."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, replace
from pathlib import Path

from linwin.errors import Conflict, LinwinError, NotFound, Unavailable
from linwin.images.aliases import Aliases
from linwin.images.blobs import BlobStore, Lease
from linwin.images.configs import parse_config
from linwin.images.contents import sha256
from linwin.images.durable import storing
from linwin.images.manifest_output import lost, own_manifest, read_blob
from linwin.images.names import Names
from linwin.images.records import Entry
from linwin.images.references import Reference
from linwin.images.registry import rebase
from linwin.images.registry.choice import Chosen
from linwin.images.registry.copying import Copy, Missing, SourceFailed, run_copy
from linwin.images.registry.limits import Limits
from linwin.images.registry.mounts import write_mount_hints
from linwin.images.registry.origins import OPEN_REGISTRIES, Outgoing, left_at
from linwin.images.registry.skopeo import Session, credentials_for, location, skopeo_session, subject_of
from linwin.images.registry.source import Source
from linwin.model.progress import Progress, Report
from linwin.model.registry import Credentials, Pushed
from linwin.paths import Paths

# A registry answers a large upload only when it has read it all once more.
_PATIENCE = 5


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a push ended. ``rebased`` is the image that takes the pushed one's place here, mostly none."""

    pushed: Pushed
    rebased: Entry | None = None


def pushable(target: Reference, names: Names) -> str:
    """The id of the image that goes by exactly this tag here. Raises NotFound in docker's words."""
    image_id = names.references.get(str(target))
    if image_id is not None:
        return image_id
    if any(name.startswith(f"{target.name}:") for name in names.references):
        raise NotFound(f"tag does not exist: {target.familiar}", hint="See the tags with: linwin images")
    raise NotFound(
        f"An image does not exist locally with the tag: {target.familiar_name}",
        hint=f"Name an image so with: linwin tag IMAGE {target.familiar}",
    )


class Pusher:
    """Pushes for one store."""

    def __init__(self, paths: Paths, blobs: BlobStore, aliases: Aliases, limits: Limits) -> None:
        self._paths = paths
        self._blobs = blobs
        self._aliases = aliases
        self._limits = limits

    async def push(
        self,
        target: Reference,
        entry: Entry,
        lease: Lease,
        report: Report,
        credentials: Credentials | None,
        *,
        is_base: bool,
    ) -> Outcome:
        """Copy an image to ``target``; see :meth:`linwin.engine.interfaces.Images.push`.

        ``lease`` holds the image's blobs, and those of a rebased one afterwards.
        ``is_base`` tells that the image is a template's base image.
        """
        report(Progress(f"The push refers to repository [{target.name}]"))
        outgoing = await self._outgoing(target, entry, lease, report, credentials, is_base=is_base)
        with skopeo_session(self._paths, target.domain, credentials) as session:
            work = _Push(self._paths, self._blobs, session, target, outgoing, report, self._limits)
            manifest = await work.run()
        pushed = Pushed(str(target), sha256(manifest), len(manifest))
        if is_base or outgoing.entry is entry:
            return Outcome(pushed)
        await asyncio.to_thread(lease.add, manifest, f"the manifest of image {target.familiar}")
        record = replace(outgoing.entry.record, manifest=pushed.digest)
        return Outcome(pushed, replace(outgoing.entry, record=record))

    async def _outgoing(
        self,
        target: Reference,
        entry: Entry,
        lease: Lease,
        report: Report,
        credentials: Credentials | None,
        *,
        is_base: bool,
    ) -> Outgoing:
        name = target.familiar
        if not rebase.stands_on_stand_in(entry.config):
            manifest = await asyncio.to_thread(own_manifest, entry.record, self._blobs)
            if manifest is not None:
                return Outgoing(entry, manifest, name)
        home = rebase.real_base(entry.config, self._aliases)
        if home is None:
            raise _homeless(name)
        base = await self._base(home, entry, name, credentials_for(credentials, target, home))
        report(Progress(f"Put on {home.familiar}, which is for Windows {base.config.platform.os_version}"))
        return await asyncio.to_thread(self._rebased, entry, base, home, name, lease, is_base)

    async def _base(
        self, home: Reference, entry: Entry, name: str, credentials: Credentials | None
    ) -> Chosen:
        subject = subject_of("pull", home, home.domain, self._paths)
        try:
            async with Source(self._paths, subject, home, credentials, self._limits) as source:
                return await rebase.fetch_base(source, entry.config.platform.os_version)
        except LinwinError as error:
            raise Conflict(
                f"image {name} cannot be pushed: a template stands in for its base image {home.familiar}, "
                f"and the real one cannot be had: {error.message}",
                hint=f"Connect this host to {home.domain}, or name another home for the base image "
                f"in {self._paths.aliases}, then push again.",
            ) from error

    def _rebased(
        self, entry: Entry, base: Chosen, home: Reference, name: str, lease: Lease, is_base: bool
    ) -> Outgoing:
        config = base.config_bytes
        if not is_base:
            own = read_blob(self._blobs, entry.record.id)
            config = rebase.rebased_config(own, entry.record.base_layers, base.config_bytes)
        record, manifest = rebase.rebased_record(entry.record, config, base, home)
        what = f"the config of image {name}"
        lease.add(config, what)
        return Outgoing(Entry(record, parse_config(config, what)), manifest, name)


class _Push:
    """One image to one tag. Blobs travel from a folder of links to the store's."""

    def __init__(
        self,
        paths: Paths,
        blobs: BlobStore,
        session: Session,
        target: Reference,
        outgoing: Outgoing,
        report: Report,
        limits: Limits,
    ) -> None:
        self._blobs = blobs
        self._session = session
        self._target = target
        self._outgoing = outgoing
        self._report = report
        self._patience = limits.idle * _PATIENCE
        self._subject = subject_of("push", target, target.domain, paths)
        self._meter = _Meter(outgoing, report)

    async def run(self) -> bytes:
        """Push; return the manifest that went, which names base layers in the way that the target needs."""
        outgoing, home = self._outgoing, self._outgoing.home
        await asyncio.to_thread(self._lay_out)
        if home is not None and home.domain == self._target.domain and home.name != self._target.name:
            await asyncio.to_thread(self._hint, home)
        try:
            await self._send(outgoing.manifest)
        except Missing as missing:
            if missing.digest not in outgoing.absent:
                raise lost(missing.digest, "its file is gone") from missing
            manifest = await self._supply(home)
            try:
                await self._send(manifest)
            except Missing as still:
                raise Unavailable(
                    f"registry {self._target.domain} took blob {still.digest} and does not have it",
                    hint="Push again; the registry's own log says more.",
                ) from still
        else:
            manifest = outgoing.manifest
        self._meter.finish()
        return manifest

    async def _supply(self, home: Reference | None) -> bytes:
        """Do something about base layers that the target lacks; return the manifest to push then."""
        outgoing = self._outgoing
        if home is None:
            raise _homeless(outgoing.name)
        if home.domain in OPEN_REGISTRIES:
            self._report(Progress(f"The base layers stay at {home.name}, and the manifest names them there"))
            return left_at(outgoing.manifest, outgoing.absent, home)
        self._report(Progress(f"The base layers are not stored here: copying them from {home.familiar_name}"))
        # Under its digest alone: the tag is not to be seen before its image is whole.
        copy = Copy(location(home), location(replace(self._target, tag=None, digest=home.digest)))
        try:
            await run_copy(copy, self._session, self._subject, self._meter, patience=self._patience)
        except SourceFailed as error:
            raise Conflict(
                f"image {outgoing.name} cannot be pushed: its base layers are not stored here, "
                f"and {home.familiar_name}, which had them, does not give them: {error}",
                hint="Pull the image again from where its base layers are now, then push it.",
            ) from error
        return outgoing.manifest

    async def _send(self, manifest: bytes) -> None:
        folder = self._folder
        with storing(f"the manifest of image {self._outgoing.name}"):
            (folder / "manifest.json").write_bytes(manifest)
        copy = Copy(f"dir:{folder}", location(self._target), folder)
        await run_copy(copy, self._session, self._subject, self._meter, patience=self._patience)

    @property
    def _folder(self) -> Path:
        return self._session.folder / "image"

    def _lay_out(self) -> None:
        """Make a ``dir:`` image of links to blobs. Source: containers-transports(5)."""
        folder, record = self._folder, self._outgoing.entry.record
        with storing(f"image {self._outgoing.name} for skopeo"):
            folder.mkdir()
            (folder / "version").write_text("Directory Transport Version: 1.1\n")
            for digest in {record.id, *(layer.digest for layer in record.layers)}:
                self._link(digest, folder / digest.removeprefix("sha256:"))

    def _link(self, digest: str, target: Path) -> None:
        try:
            os.link(self._blobs.path(digest), target)
        except FileNotFoundError as error:
            raise lost(digest, error.strerror) from error

    def _hint(self, home: Reference) -> None:
        data_home = self._session.folder / "data"
        write_mount_hints(data_home, home, self._outgoing.at(home))
        environment = {**self._session.environment, "XDG_DATA_HOME": os.fspath(data_home)}
        self._session = replace(self._session, environment=environment)


class _Meter:
    """A push's layers in docker's words; what became of one is said once."""

    def __init__(self, outgoing: Outgoing, report: Report) -> None:
        self._report = report
        self._open: dict[str, list[str]] = {}
        self._sizes: dict[str, int] = {}
        for layer, diff_id in zip(outgoing.layers, outgoing.entry.config.diff_ids, strict=True):
            short = diff_id.removeprefix("sha256:")[:12]
            self._open.setdefault(layer["digest"], []).append(short)
            self._sizes[layer["digest"]] = layer["size"]
            report(Progress("Preparing", short))
        self._positions: dict[str, int] = {}

    def present(self, digest: str) -> None:
        self._settle(digest, "Layer already exists")

    def mounted(self, digest: str, repository: str) -> None:
        self._settle(digest, f"Mounted from {repository}")

    def foreign(self, digest: str) -> None:
        self._settle(digest, "Skipped foreign layer")

    def uploaded(self, digest: str) -> None:
        self._settle(digest, "Pushed")

    def uploading(self, digest: str, current: int) -> None:
        if digest in self._open and self._positions.get(digest) != current:
            self._positions[digest] = current
            for short in self._open[digest]:
                self._report(Progress("Pushing", short, current, self._sizes[digest]))

    def finish(self) -> None:
        """All went well, also with those of which nothing was heard."""
        for digest in list(self._open):
            self.uploaded(digest)

    def _settle(self, digest: str, words: str) -> None:
        for short in self._open.pop(digest, ()):
            self._report(Progress(words, short))


def _homeless(name: str) -> Conflict:
    return Conflict(
        f"image {name} cannot be pushed: its base layers are not stored here, "
        "and nothing says which registry has them",
        hint="Pull the image from the registry that it came from, then push it.",
    )
