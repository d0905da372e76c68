"""Where a template is verified: its containers, made when a check asks for them, and all gone at the end."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from linwin.engine import stop, watch
from linwin.engine.checkpoints import DEFAULT_MEMORY
from linwin.engine.commit import work_folder
from linwin.engine.power import HELLO_TIMEOUT, WINDOWS_TIMEOUT
from linwin.engine.verify.box import Box
from linwin.engine.verify.boxes import BOXES, CALLED, LABEL, STAND_INS, Place, is_ours
from linwin.engine.verify.check import Check, Unchecked
from linwin.errors import LinwinError, NotFound, Unavailable, Unsupported
from linwin.model.container import ContainerSpec
from linwin.model.image import Image
from linwin.model.machine import Checkpoint
from linwin.model.network import NetworkSpec
from linwin.model.template import Template

if TYPE_CHECKING:
    from linwin.engine.engine import Engine

logger = logging.getLogger(__name__)

MORE_MEMORY = 61
"""MiB above the default: nobody else's guests have that size, so that its checkpoint is ours to remake."""
PATIENCE = {"kvm": 1.0, "tcg": 6.0}
"""How often the limits of checks, which are for KVM, a guest may take."""
PREPARATION_LIMIT = 180.0
"""Seconds with KVM for what a start takes beside those in which an agent has to say hello."""
REMOVAL_LIMIT = 60.0
"""Seconds for what a removal takes beside the end of a guest."""
MOST_LOST = 3
"""Guests that may be lost before no more are started."""
LOOK_AGAIN = 5.0
"""Seconds between two looks at a guest that comes up."""
LOOK_LIMIT = 30.0
"""Seconds for one look: a machine may hang as its guest does."""
CONSOLE_LINES = 40


@dataclass(frozen=True, slots=True)
class Sight:
    """What was seen of a guest: the last lines of its console, and its screen, a PNG."""

    console: str = ""
    picture: bytes = b""


class Bench:
    """The place of one verification. Made by :func:`opened`."""

    def __init__(
        self, engine: Engine, template: Template, image: Image, folder: Path, name: str, accelerator: str
    ) -> None:
        self.engine = engine
        self.template = template
        self.image = image
        self.folder = folder
        self.accelerator = accelerator
        self.patience = PATIENCE[accelerator]
        memory = max(DEFAULT_MEMORY, template.minimum_memory) + MORE_MEMORY
        shared = folder / "shared"
        self.place = Place(template.name, image.id, memory, shared, name, name, {LABEL: template.name})
        self.boots: dict[str, float] = {}
        """Seconds that the first start of each box took."""
        self.why_lost: list[str] = []
        """Why guests were given up, or did not start, in a sentence each."""
        self.last_sight = Sight()
        """What the last of them showed."""
        self._sight = Sight()
        self._boxes: dict[str, Box] = {}
        self._stand_ins = {} if template.boots_before_c else STAND_INS
        self._why_not: dict[str, str] = {}
        self._lost = 0
        self._has_network = False

    @property
    def is_wine(self) -> bool:
        return self.template.kind == "wine"

    @property
    def start_limit(self) -> float:
        """Seconds in which a guest of the template starts, or is given up."""
        hello = HELLO_TIMEOUT if self.template.boots_before_c else WINDOWS_TIMEOUT
        return hello[self.accelerator] + PREPARATION_LIMIT * self.patience

    def limit(self, check: Check) -> float:
        """Seconds in which a check is made."""
        return check.limit * self.patience + check.starts * self.start_limit + check.ends * end_limit()

    # Containers

    async def box(self, name: str) -> Box:
        """The running container of a name, made and started where there is none.

        Raises why it does not start, to the first who asks, and Unchecked to the others.
        """
        name = self.called(name)
        if (box := self._boxes.get(name)) is not None:
            if self.engine.live(box.id).run is not None:
                return box
            await self.lose(name, "its guest ended between two checks")
        self._check_hope(name)
        return await self.start(name, BOXES[name](self.place, name))

    def called(self, name: str) -> str:
        """The name of the box that stands for another here."""
        return self._stand_ins.get(name, name)

    def _check_hope(self, name: str) -> None:
        if name in self._why_not:
            raise Unchecked(f"its container did not start: {self._why_not[name]}")
        if len(self._why_not) > 1 and not self.boots:
            raise Unchecked(f"no guest starts: {next(iter(self._why_not.values()))}")
        if self._lost >= MOST_LOST:
            raise Unchecked(f"no more guests are started, since {MOST_LOST} were lost: {self.why_lost[-1]}")

    def made(self, name: str) -> Box:
        """The container of a name, running or not. Raises Unchecked where there is none."""
        name = self.called(name)
        if name not in self._boxes:
            raise Unchecked(f"its container is not there: {self._why_not.get(name, 'it was not started')}")
        return self._boxes[name]

    async def start(self, name: str, spec: ContainerSpec) -> Box:
        """Make a container on the template, and start it."""
        if spec.endpoints:
            await self._need_network()
        called = f"{self.place.network}-{name}-{secrets.token_hex(2)}"
        try:
            created = await self.engine.create(spec, called)
        except Unsupported as error:
            raise Unchecked(error.message) from error
        box = self._boxes[name] = Box(self.engine, created.id, self.folder)
        began = time.monotonic()
        try:
            await self.up(box)
        except LinwinError as error:
            self._why_not[name] = error.message
            self._remember(name, error.message)
            await self.discard(name)
            if called in (error.hint or ""):  # it tells where to look at what is gone now
                raise Unavailable(error.message) from error
            raise
        self.boots.setdefault(name, time.monotonic() - began)
        return box

    async def up(self, box: Box) -> None:
        """Start a container at rest; what its guest shows meanwhile is kept where it does not come up.

        Raises Unavailable also where it takes too long.
        """
        limit = self.start_limit
        self._sight = Sight()
        looking = asyncio.create_task(self._look_on(box), name="looking at a guest that comes up")
        try:
            async with asyncio.timeout(limit):
                await self.engine.start(box.id)
        except TimeoutError as error:
            raise Unavailable(f"the container did not start within {limit:.0f} s") from error
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)

    async def _look_on(self, box: Box) -> None:
        """Look again and again: nothing tells when a screen has changed for the last time."""
        while True:
            await self._look(box)
            await self.engine.timing.elapsed(LOOK_AGAIN, asyncio.Event())

    async def _look(self, box: Box) -> None:
        """See what can be seen of a guest."""
        try:
            async with asyncio.timeout(LOOK_LIMIT):
                console = await self.engine.console(box.id)
                pieces = [piece async for piece in console.read(last=CONSOLE_LINES, follow=False)]
                picture = await console.screenshot() if self.template.has_screen else b""
                self._sight = Sight("".join(pieces), picture)
        except (LinwinError, TimeoutError) as error:  # there is no machine yet, or none any more, or it hangs
            logger.debug("verification: nothing is seen of %s: %r", box.id[:12], error)

    def _remember(self, name: str, why: str) -> None:
        self.why_lost.append(f"{name}: {why}")
        self.last_sight = self._sight

    async def lose(self, name: str, why: str) -> None:
        """Give up a container whose guest does no more what it is asked; the next check gets another."""
        name = self.called(name)
        if (box := self._boxes.get(name)) is None:
            return
        self._lost += 1
        self._sight = Sight()
        await self._look(box)
        self._remember(name, why)
        await self.discard(name)

    async def discard(self, name: str) -> None:
        """Remove a container, where it was made."""
        if (box := self._boxes.pop(self.called(name), None)) is not None:
            await _gone(self.engine.remove(box.id, force=True), f"container {box.id[:12]}")

    async def keep_only(self, names: frozenset[str]) -> None:
        """Remove the containers that no check asks for any more: each takes a guest's memory."""
        kept = {self.called(name) for name in names}
        for name in [name for name in self._boxes if name not in kept]:
            await self.discard(name)

    # Networks, mounts, checkpoints

    async def _need_network(self) -> None:
        if why := await self.engine.rooms.network.unavailable():
            raise Unchecked(f"this host has no networks: {why}")
        if not self._has_network:
            self._has_network = True
            await self.engine.networks.create(NetworkSpec(self.place.network, labels=dict(self.place.labels)))

    async def own_checkpoints(self) -> list[Checkpoint]:
        """Those of the template in the size of this bench's guests."""
        kept = await self.engine.checkpoints.kept()
        digest, memory = self.template.digest, self.place.memory
        return [one for one in kept if one.template == digest and one.memory == memory]

    # The end

    async def close(self) -> None:
        """Remove all that this bench made."""
        for name in list(self._boxes):
            await self.discard(name)
        await sweep(self.engine)
        for checkpoint in await self.own_checkpoints():
            await _gone(self.engine.checkpoints.remove(checkpoint.key), "the checkpoint")


@asynccontextmanager
async def opened(engine: Engine, template: Template) -> AsyncIterator[Bench]:
    """A bench for a template, of which nothing is left when the context ends."""
    image = await _image(engine, template)
    name = f"{CALLED}{secrets.token_hex(4)}"
    accelerator = await engine.rooms.machine.accelerator()
    async with work_folder(engine, "verify-") as folder:
        bench = Bench(engine, template, image, folder, name, accelerator)
        await asyncio.to_thread(bench.place.shared.mkdir)
        try:
            yield bench
        finally:
            await bench.close()


async def _image(engine: Engine, template: Template) -> Image:
    """The base image that the template is, or one that it shares with another template."""
    for image in await engine.images():
        if image.template == template.name:
            return image
    for base in template.provides:
        for reference in base.references:
            try:
                return await engine.image(reference)
            except NotFound:
                continue
    raise Unavailable(
        f"the template {template.name} provides no base image, and so nothing to run",
        hint=f"See what it is with: linwin template inspect {template.name}",
    )


def end_limit() -> float:
    """Seconds in which a guest ends, also one whose agent or system does not hear that it is to."""
    return stop.FORCE_TIMEOUT + watch.SHUTDOWN_TIMEOUT + watch.SWITCH_OFF_TIMEOUT


async def sweep(engine: Engine) -> None:
    """Remove what verifications made: containers, images, networks, volumes."""
    for container in await engine.list():
        if is_ours(container.name, container.labels):
            await _gone(engine.remove(container.id, force=True, volumes=True), f"container {container.name}")
    for image in await engine.images():
        if is_ours(image.author, image.config.labels):
            await _gone(engine.remove_image(image.id, force=True), f"image {image.id}")
    for network in await engine.networks.list():
        if is_ours(network.name, network.labels):
            await _gone(engine.networks.remove(network.id), f"network {network.name}")
    for volume in await engine.volumes.list():
        if is_ours(volume.name, volume.labels):
            await _gone(engine.volumes.remove(volume.name, force=True), f"volume {volume.name}")


async def _gone(removal: Awaitable[object], what: str) -> None:
    """Carry a removal out; what fails is logged, and told by the check of what is left."""
    try:
        async with asyncio.timeout(end_limit() + REMOVAL_LIMIT):
            await removal
    except (LinwinError, TimeoutError) as error:
        logger.error("verification: %s was not removed: %s", what, error or "it took too long")
