"""The engine: docker's verbs over the rooms. The API calls nothing else.

Each verb lives in the module of its name; this class is their index and holds
what they share. ``engine/start.py`` is where a reader of one run goes next.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

from linwin.engine import (
    archive,
    attachments,
    changes,
    check,
    commit,
    console,
    disk,
    health,
    load,
    pause,
    prune,
    pull,
    push,
    recover,
    remove,
    rename,
    restart,
    restarts,
    start,
    stop,
    templates,
    terminal,
    top,
    update,
    usage,
    verify,
)
from linwin.engine import exec as execs
from linwin.engine.admission import Admission
from linwin.engine.build import Listener, build
from linwin.engine.chains import ChainUse
from linwin.engine.checkpoints import Checkpoints
from linwin.engine.create import choose_template, create
from linwin.engine.events import Events
from linwin.engine.exec import Exec, Execs
from linwin.engine.host_info import HostInfo, host_info
from linwin.engine.install import Installations
from linwin.engine.interfaces import Rooms
from linwin.engine.live import Exit, Live
from linwin.engine.metrics import Metrics
from linwin.engine.networks import Networks
from linwin.engine.pool import Pool
from linwin.engine.stats import Watch
from linwin.engine.streams import Attachment
from linwin.engine.timing import Timing
from linwin.engine.volumes import Volumes
from linwin.errors import Conflict, NotFound
from linwin.model.build import BuildRequest, CommitRequest
from linwin.model.builds import best_first
from linwin.model.container import Container, ContainerSpec, LogQuery, LogRecord, Update, WaitCondition
from linwin.model.exec import ExecSpec
from linwin.model.files import Change, FileStat
from linwin.model.guest import StreamName
from linwin.model.health import HealthReport, HealthStatus
from linwin.model.image import Image, Removed, RunConfig
from linwin.model.log_config import STANDARD, LogConfig
from linwin.model.pool import PoolPlan
from linwin.model.progress import Progress, Report
from linwin.model.registry import Credentials, Distribution, Pulled, Pushed, SearchResult
from linwin.model.template import Media, Template, Unusable
from linwin.model.upkeep import DiskUse, Finding, Pruned
from linwin.model.usage import ProcessInfo
from linwin.model.verification import Listener as CheckListener
from linwin.model.verification import Surroundings
from linwin.paths import Paths

__all__ = ["Attachment", "Created", "Engine", "Exec", "Exit", "HostInfo"]


@dataclass(frozen=True, slots=True)
class Created:
    """Answer to create."""

    id: str
    warnings: tuple[str, ...] = ()


class Engine:
    """All verbs, for one ``LINWIN_ROOT``."""

    def __init__(
        self,
        rooms: Rooms,
        paths: Paths,
        *,
        checkpoints: bool = True,
        pool: PoolPlan | None = None,
        log_default: LogConfig = STANDARD,
        timing: Timing | None = None,
    ) -> None:
        """``log_default`` is for containers that ask for no log driver, or for options of this one."""
        self.rooms = rooms
        self.paths = paths
        self.log_default = log_default
        self.checkpoints = Checkpoints(self, enabled=checkpoints)
        self.installations = Installations(self)
        self.admission = Admission(rooms.machine, spare=lambda: self.pool.drop())
        self.pool = Pool(self, pool or PoolPlan())
        self.creating = asyncio.Lock()
        """Held while a container is created, while references move, and while what no container uses goes."""
        self.chains = ChainUse()
        self.execs = Execs()
        self.networks = Networks(self)
        self.volumes = Volumes(self)
        self.events = Events()
        self.metrics = Metrics()
        self.timing = timing or Timing()
        self.closing = False
        """The daemon is on its way out: what it stops now, the next one starts again."""
        self.building: Counter[str] = Counter()
        """Images that builds under way use."""
        self.verifying = asyncio.Lock()
        """Held while a template is verified: one at a time, as each takes several guests."""
        self.restarting_slots = asyncio.Semaphore(restarts.AT_ONCE)
        self._live: dict[str, Live] = {}

    # What the verbs share

    def live(self, container_id: str) -> Live:
        return self._live.setdefault(container_id, Live())

    def forget(self, container_id: str) -> Live:
        return self._live.pop(container_id, None) or Live()

    def lives(self) -> list[Live]:
        return list(self._live.values())

    async def follow_restart(self, container_id: str) -> None:
        """Carry out the restart by policy that the state announces."""
        try:
            container = await self.rooms.state.get(container_id)
        except NotFound:  # it was removed before its wait began
            return
        await restarts.follow(self, container)

    async def health_changed(self, container: Container, status: HealthStatus) -> None:
        """Note what the health of a container that runs has become."""
        amended = await self.rooms.state.amend(container.id, health=status)
        self.events.container(amended, f"health_status: {status}")

    def health(self, container: Container) -> HealthReport:
        """Its status and the last results, an empty status where it has no health check."""
        return health.report(self, container)

    def watching(self) -> list[asyncio.Task[None]]:
        return [live.task for live in self._live.values() if live.task is not None]

    def unreported(self, progress: Progress) -> None:
        """A Report for work that nobody watches."""

    # Life of the daemon

    async def open(self) -> None:
        """Make this root usable: networks, base images, then containers left by an earlier daemon."""
        await self.networks.recover()  # running containers are in need of theirs
        await self.rooms.images.adopt_base_images(best_first(await self.rooms.templates.list()))
        await self.checkpoints.recover()
        await self.installations.recover()
        await self.pool.recover()
        await recover.recover(self)
        await verify.sweep(self)
        self.pool.refill()

    async def close(self) -> None:
        """Stop all containers and wait until they are at rest."""
        await self.checkpoints.close()
        await self.pool.close()
        await recover.release(self)
        await self.rooms.shares.close()
        await self.rooms.network.close()

    # Containers

    async def create(self, spec: ContainerSpec, name: str | None) -> Created:
        return Created(*await create(self, spec, name))

    async def start(self, reference: str, tell: Callable[[str], None] = lambda _: None) -> bool:
        """False when it was running already (docker's 304). ``tell`` hears what its user should know."""
        return await start.by_hand(self, reference, tell)

    async def attach(
        self, reference: str, *, stdin: bool, stdout: bool, stderr: bool, logs: bool, stream: bool
    ) -> Attachment:
        """A client's end of the container's streams; with ``logs``, what was logged comes first."""
        wanted: tuple[StreamName, ...] = (*(("stdout",) if stdout else ()), *(("stderr",) if stderr else ()))
        return await attachments.attach(
            self, reference, frozenset(wanted), stdin=stdin, logs=logs, stream=stream
        )

    async def resize(self, reference: str, rows: int, columns: int) -> None:
        """Change the size of its terminal, now or for its next start; without effect where it has none."""
        await terminal.resize(self, reference, (rows, columns))

    async def wait(self, reference: str, condition: WaitCondition) -> asyncio.Future[Exit]:
        """Registers at once; the future resolves when the condition comes true."""
        container = await self.rooms.state.get(reference)
        waiter = self.live(container.id).waiters.register(condition)
        if condition == "not-running" and container.status in ("created", "exited", "dead"):
            waiter.set_result(Exit(container.exit_code, container.error))
        return waiter

    async def stop(self, reference: str, *, timeout: int | None, signal: str = "") -> bool:
        """False when it was not running (docker's 304).

        ``timeout`` in seconds, -1 for ever, None for the container's own.
        """
        return await stop.stop(self, reference, timeout, signal)

    async def kill(self, reference: str, signal: str) -> None:
        await stop.kill(self, reference, signal)

    async def restart(self, reference: str, *, timeout: int | None, signal: str = "") -> None:
        """Stop it, as :meth:`stop` does, where it runs; then start it."""
        await restart.restart(self, reference, timeout, signal)

    async def pause(self, reference: str) -> None:
        await pause.pause(self, reference)

    async def unpause(self, reference: str) -> None:
        await pause.unpause(self, reference)

    async def rename(self, reference: str, name: str) -> None:
        await rename.rename(self, reference, name)

    async def update(self, reference: str, wanted: Update) -> None:
        """Raises Conflict for what cannot be changed while the container runs."""
        await update.update(self, reference, wanted)

    async def remove(self, reference: str, *, force: bool = False, volumes: bool = False) -> None:
        """``volumes`` (docker's -v) takes those with it that it was given without a name."""
        await remove.remove(self, reference, force=force, volumes=volumes)

    async def logs(self, reference: str, query: LogQuery) -> AsyncIterator[LogRecord]:
        """Look the container up at once; the records come as they are iterated.

        Raises Conflict, in docker's words, for one that is going, and its log with it.
        """
        container = await self.rooms.state.get(reference)
        if container.status in ("removing", "dead") and not container.unreadable:
            raise Conflict("can not get logs from container which is dead or marked for removal")
        return self.rooms.state.log(container).read(query)

    async def top(self, reference: str) -> Sequence[ProcessInfo]:
        """What runs in the container. Conflict for one that does not run, or is paused."""
        return await top.top(self, reference)

    async def console(self, reference: str) -> console.Console:
        """The console and the screen of a container that runs, or is coming up. Conflict for another."""
        return await console.console(self, reference)

    async def stats(self, reference: str) -> Watch:
        """A watch over what the container takes, to be entered as a context."""
        container = await self.rooms.state.get(reference)
        return self.live(container.id).sampler.watch()

    async def inspect(self, reference: str) -> Container:
        return await self.rooms.state.get(reference)

    async def list(self) -> list[Container]:
        """All, newest first. Filters are the API's business."""
        return await self.rooms.state.list()

    # Files

    async def changes(self, reference: str) -> Sequence[Change]:
        """What a container at rest changed of its image's files."""
        return await changes.changes(self, reference)

    async def archive_stat(self, reference: str, path: str) -> FileStat:
        """What lies at a path on its C:. Raises NotFound in docker's words."""
        return await archive.stat(self, reference, path)

    def archive_read(self, reference: str, path: str) -> AbstractAsyncContextManager[archive.Archive]:
        """A tar of what lies at a path. A container at rest cannot start until the context ends."""
        return archive.read(self, reference, path)

    async def archive_write(self, reference: str, path: str, source: Path, *, keep_kinds: bool) -> None:
        """Unpack an archive in the folder at a path; beside ``source`` is room for a copy of it."""
        await archive.write(self, reference, path, source, keep_kinds=keep_kinds)

    # Execs

    async def exec_create(self, reference: str, spec: ExecSpec) -> Exec:
        """An exec in a running container, to be started by its id."""
        return await execs.create(self, reference, spec)

    async def exec_startable(self, exec_id: str) -> Exec:
        """Raises NotFound, or Conflict for one that was started before or whose container does not run."""
        return await execs.check_startable(self, exec_id)

    async def exec_start(self, exec_: Exec, console_size: tuple[int, int]) -> None:
        """``console_size`` is (rows, columns), (0, 0) for what create said. Raises why it did not start."""
        await execs.start(self, exec_, console_size)

    async def exec_inspect(self, exec_id: str) -> Exec:
        """Also of one that has ended, for some minutes."""
        return self.execs.get(exec_id)

    async def exec_resize(self, exec_id: str, rows: int, columns: int) -> None:
        await terminal.resize_exec(self, exec_id, (rows, columns))

    # Images

    async def load(self, archive: Path, report: Report) -> Sequence[Image]:
        return await load.load(self, archive, report)

    async def images(self) -> Sequence[Image]:
        return await self.rooms.images.list()

    async def image(self, reference: str) -> Image:
        return await self.rooms.images.resolve(reference)

    async def tag(self, source: str, target: str) -> None:
        async with self.creating:  # a prune must not delete what is being given a name
            await self.rooms.images.tag(source, target)
            tagged = await self.rooms.images.resolve(target)
        self.events.image(tagged, "tag", target)

    async def remove_image(self, reference: str, *, force: bool) -> Sequence[Removed]:
        return await load.remove_image(self, reference, force=force)

    async def pull(self, reference: str, report: Report, credentials: Credentials | None = None) -> Pulled:
        return await pull.pull(self, reference, report, credentials)

    async def push(
        self,
        reference: str,
        report: Report,
        credentials: Credentials | None = None,
        *,
        all_tags: bool = False,
    ) -> Sequence[Pushed]:
        """With ``all_tags``, everything that the repository ``reference`` has here."""
        return await push.push(self, reference, report, credentials, all_tags=all_tags)

    async def login(self, credentials: Credentials) -> str:
        """The registry's status in docker's words; Unauthorized when it does not accept them."""
        return await self.rooms.images.login(credentials)

    async def distribution(self, reference: str, credentials: Credentials | None = None) -> Distribution:
        return await self.rooms.images.distribution(reference, credentials)

    async def search(self, term: str, limit: int) -> Sequence[SearchResult]:
        return await self.rooms.images.search(term, limit=limit)

    async def save(self, references: Sequence[str]) -> AsyncGenerator[bytes, None]:
        """An archive of images, in pieces. NotFound comes before the first of them."""
        pieces = self.rooms.images.save(references)
        try:
            async for piece in pieces:
                yield piece
                self.metrics.image_bytes.labels("saved").inc(len(piece))
        finally:
            if isinstance(pieces, AsyncGenerator):
                await pieces.aclose()

    async def disk(self, reference: str, target: Path, report: Report) -> None:
        """Write the flattened C: of an image to ``target``, which is whole or absent afterwards."""
        await disk.disk(self, reference, target, report)

    # Images that are made here

    async def build(
        self,
        context: Path | None,
        remote: str,
        request: BuildRequest,
        tell: Listener,
        credentials: Mapping[str, Credentials],
    ) -> Image:
        """Build an image of a context, a tar or a Dockerfile, or where there is none of one at ``remote``.

        ``credentials`` are by a registry's host. Raises BuildFailed for a command that fails.
        """
        return await build(self, context, remote, request, tell, credentials)

    async def commit(self, reference: str, request: CommitRequest, config: RunConfig | None = None) -> Image:
        """An image of a container's files; what ``config`` says comes before what the container was told."""
        return await commit.commit(self, reference, request, config)

    def export(self, reference: str) -> AbstractAsyncContextManager[archive.Archive]:
        """A tar of a container's whole C:."""
        return commit.export(self, reference)

    async def import_image(self, source: Path, request: CommitRequest, platform: str) -> Image:
        """An image with an archive's files on a template's base image."""
        return await commit.import_image(self, source, request, platform)

    async def prune_builds(self, *, everything: bool, keep: Callable[[Image], bool]) -> Pruned:
        """Delete what builds have left for the next; with ``everything`` also what named images stand on."""
        return await prune.prune_builds(self, everything=everything, keep=keep)

    # Upkeep

    async def prune_images(self, *, dangling_only: bool, keep: Callable[[Image], bool]) -> Pruned:
        return await prune.prune_images(self, dangling_only=dangling_only, keep=keep)

    async def prune_containers(self, keep: Callable[[Container], bool]) -> Pruned:
        return await prune.prune_containers(self, keep)

    async def usage(self) -> DiskUse:
        return await usage.usage(self)

    async def check(self, report: Report, *, repair: bool) -> Sequence[Finding]:
        return await check.check(self, report, repair=repair)

    # Templates and the host

    async def templates(self) -> Sequence[Template]:
        return await self.rooms.templates.list()

    async def unusable_templates(self) -> Sequence[Unusable]:
        return await self.rooms.templates.unusable()

    async def template(self, name: str) -> Template:
        return await self.rooms.templates.get(name)

    async def template_of(self, image: Image) -> Template | None:
        """The template that the image's containers boot from, None when none that is installed serves it."""
        return choose_template(image, await self.templates())

    async def build_template(self, name: str, report: Report, media: Media) -> Template:
        return await templates.build(self, name, report, media)

    async def import_template(self, name: str, report: Report, disk: Path, virtio: Path | None) -> Template:
        return await templates.import_disk(self, name, report, disk, virtio)

    async def verify_template(self, name: str, only: Sequence[str], tell: CheckListener) -> Surroundings:
        """Check all that its guests are to do, or the groups in ``only``; ``tell`` hears of each check."""
        return await verify.verify(self, name, only, tell)

    async def remove_template(self, name: str) -> None:
        """Conflict while a container uses it."""
        await templates.remove(self, name)

    async def info(self) -> HostInfo:
        return await host_info(self)
