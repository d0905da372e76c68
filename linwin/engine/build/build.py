"""One build, from a Dockerfile to an image. :meth:`Build.run` is the table of contents."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from linwin.engine import commit, load
from linwin.engine.build import cache, stages
from linwin.engine.build.arguments import PLATFORM, Arguments
from linwin.engine.build.clock import rfc3339
from linwin.engine.build.config import check_platform, expanded
from linwin.engine.build.listener import Listener
from linwin.engine.build.run import RunTurns
from linwin.engine.build.stage import StageBuild, short
from linwin.engine.interfaces import Source
from linwin.engine.pull import repository
from linwin.errors import NotFound
from linwin.model.build import BuildOutput, BuildRequest, Dockerfile, Packed
from linwin.model.image import HistoryEntry, Image, ImageDraft, Layer, RunConfig
from linwin.model.registry import Credentials

if TYPE_CHECKING:
    from linwin.engine.engine import Engine

WORK = "build-"
HUB = "https://index.docker.io/v1/"
"""How docker's clients call Docker Hub where they name credentials."""


async def build(
    engine: Engine,
    context: Path | None,
    remote: str,
    request: BuildRequest,
    tell: Listener,
    credentials: Mapping[str, Credentials],
) -> Image:
    """Build an image. Whatever ends it, nothing of it is left but images of the steps that were done."""
    sources = engine.rooms.sources
    opened = sources.open(context) if context is not None else sources.open_remote(remote)
    async with opened as source:
        dockerfile = await source.dockerfile(request.dockerfile)
        async with commit.work_folder(engine, WORK) as folder:
            running = Build(engine, source, dockerfile, request, tell, credentials, folder)
            try:
                return await running.run()
            finally:
                await running.release()


class Build:
    """What the stages of one build share."""

    def __init__(
        self,
        engine: Engine,
        source: Source,
        dockerfile: Dockerfile,
        request: BuildRequest,
        tell: Listener,
        credentials: Mapping[str, Credentials],
        folder: Path,
    ) -> None:
        self.engine = engine
        self.source = source
        self.dockerfile = dockerfile
        self.request = request
        self.tell = tell
        self.run_turns = RunTurns()
        self._credentials = credentials
        self._folder = folder
        self._names = itertools.count()
        self._held: list[str] = []
        self._pulled: dict[str, asyncio.Task[Image]] = {}
        self._cache_from: list[Image] = []
        self._results: dict[int, asyncio.Future[Image]] = {}
        self.given = dict(request.arguments)
        self.outer = Arguments(self.given, PLATFORM)

    async def run(self) -> Image:
        """Build the stages that the target needs, those at once that do not wait for each other."""
        check_platform(self.request.platform)
        for tag in self.request.tags:  # what cannot be a name is refused before the work
            await self.engine.rooms.images.tags(tag)
        target = stages.target_of(self.dockerfile, self.request.target)
        self._declare_outer()
        await self._find_cache()
        image = await self._build_stages(target)
        self._warn_of_unused_arguments()
        self.say(f"Successfully built {short(image)}\n")
        for tag in self.request.tags:
            await self.engine.tag(image.id, tag)
            self.say(f"Successfully tagged {tag if ':' in tag.rpartition('/')[2] else f'{tag}:latest'}\n")
        return await self.engine.image(image.id)

    def say(self, text: str) -> None:
        self.tell(BuildOutput(text))

    # ---- stages ---------------------------------------------------------------

    async def _build_stages(self, target: int) -> Image:
        numbers = stages.needed(self.dockerfile, target)
        labels = 1 if self.request.labels else 0
        steps = sum(1 + len(self.dockerfile.stages[number].instructions) for number in numbers) + labels
        self._results = {number: asyncio.get_running_loop().create_future() for number in numbers}
        first, tasks = 1, []
        for number in numbers:
            stage = StageBuild(self, number, first_step=first, steps=steps, is_target=number == target)
            tasks.append(asyncio.create_task(self._build_stage(stage), name=f"stage {number}"))
            first += 1 + len(self.dockerfile.stages[number].instructions)
        try:
            await asyncio.gather(*tasks)
        finally:  # where one failed the others are of no use
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return self._results[target].result()

    async def _build_stage(self, stage: StageBuild) -> None:
        self._results[stage.number].set_result(await stage.run())

    async def stage_image(self, number: int) -> Image:
        """What a stage comes to; waits for it."""
        return await asyncio.shield(self._results[number])

    def stage_before(self, name: str, number: int) -> int | None:
        """The stage before ``number`` that goes by ``name``."""
        return stages.earlier_stage(self.dockerfile.stages, name, number)

    # ---- images ---------------------------------------------------------------

    async def base_image(self, reference: str) -> Image:
        """An image that the Dockerfile names. It is pulled, once, if it is not here or the client wants."""
        if reference not in self._pulled:
            self._pulled[reference] = asyncio.create_task(self._fetch(reference), name=f"base {reference}")
        image = await asyncio.shield(self._pulled[reference])
        self.hold(image)
        return image

    async def _fetch(self, reference: str) -> Image:
        if not self.request.pull:
            try:
                return await self.engine.image(reference)
            except NotFound:
                pass  # it is pulled
        pulled = await self.engine.pull(reference, self.tell, self._credentials_for(reference))
        return pulled.image

    def _credentials_for(self, reference: str) -> Credentials | None:
        first, slash, _ = repository(reference).partition("/")
        named = slash and ("." in first or ":" in first or first == "localhost")
        if named and first != "docker.io":
            return self._credentials.get(first)
        return self._credentials.get(HUB) or self._credentials.get("docker.io")

    def hold(self, image: Image) -> None:
        """Keep an image from being pruned until the build is over."""
        self.engine.building[image.id] += 1
        self._held.append(image.id)

    async def release(self) -> None:
        """Let go of what is only the build's."""
        for task in self._pulled.values():
            task.cancel()
        await asyncio.gather(*self._pulled.values(), return_exceptions=True)
        self.engine.building.subtract(self._held)
        self.engine.building += Counter()  # drops those that are at zero

    # ---- steps ----------------------------------------------------------------

    async def cached(self, parent: Image, step: str) -> Image | None:
        """What the step made of ``parent`` before, here or in an image of ``--cache-from``."""
        if not self.request.cache:
            return None
        found = cache.built(await self.engine.rooms.images.list(), parent, step)
        if found is not None:
            self.hold(found)
        return found

    def adopted(self, parent: Image, created_by: str) -> cache.Adopted | None:
        return cache.adopted(self._cache_from, parent, created_by) if self.request.cache else None

    async def compose(
        self,
        parent: Image,
        config: RunConfig,
        created_by: str,
        step: str,
        layer: Path | Layer | None,
        author: str,
    ) -> Image:
        """The image that a step makes of ``parent``."""
        created = rfc3339(time.time_ns() if self.request.timestamp is None else self.request.timestamp)
        draft = ImageDraft(
            config=config,
            entry=HistoryEntry(created, created_by, empty_layer=layer is None),
            created=created,
            author=author,
            step=step,
        )
        images = self.engine.rooms.images
        staged = await images.compose(parent, draft, layer, ())
        self.hold(staged.image)
        (image,) = await load.take_in(self.engine, [staged], self.engine.unreported)
        return image

    def new_path(self, suffix: str) -> Path:
        """A path for a file of a step, which goes with the build at the latest."""
        return self._folder / f"{next(self._names)}{suffix}"

    async def written(self, image: Image, items: Sequence[Packed]) -> Path | None:
        """The layer of an image's C: with ``items`` on it; None where they were there."""
        overlay, archive = self.new_path(".qcow2"), self.new_path(".tar")
        template = await commit.make_overlay(self.engine, image, overlay)
        await self.source.pack(items, archive)
        await self.engine.rooms.disks.files(overlay).write(commit.ROOT, archive, keep_kinds=False)
        await self.discard(archive)
        target, latest = self.new_path(".layer"), self.request.timestamp
        layer = await commit.layer_of(self.engine, overlay, template, target, latest)
        await self.discard(overlay)
        return layer

    async def discard(self, path: Path) -> None:
        """Delete a file, which may be large, before the build ends."""
        await asyncio.to_thread(path.unlink)

    # ---- what the client gave -------------------------------------------------

    def _declare_outer(self) -> None:
        for name, value in PLATFORM.items():
            self.outer.declare(name, value)
        for instruction in self.dockerfile.arguments:
            for word in expanded(instruction, self.outer.variables(()), self.dockerfile.escape):
                name, equals, value = word.partition("=")
                self.outer.declare(name, value if equals else None)

    async def _find_cache(self) -> None:
        for reference in self.request.cache_from:
            try:
                self._cache_from.append(await self.engine.image(reference))
            except NotFound:
                self.say(f"[Warning] {reference} is not here, and no cache: pull it first\n")

    def _warn_of_unused_arguments(self) -> None:
        declared = set(self.outer.values)
        for stage in self.dockerfile.stages:
            for instruction in stage.instructions:
                if instruction.name == "ARG":
                    declared |= {word.partition("=")[0] for word in instruction.words}
        known = declared | set(Arguments(self.given, {}).proxies) | {"SOURCE_DATE_EPOCH"}
        if unused := sorted(self.given.keys() - known):
            self.say(f"[Warning] One or more build-args [{' '.join(unused)}] were not consumed\n")
