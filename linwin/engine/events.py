"""Events: told to whoever follows, and kept for a while for those who come late.

They live in memory only, as docker's do: state is asked of ``inspect``, which
survives a daemon; a scheduler that reconnects looks there first.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable

from linwin.errors import Unavailable
from linwin.model.container import Container
from linwin.model.event import Event, EventKind
from linwin.model.image import Image, Removed
from linwin.model.mount import VOLUME_DRIVER
from linwin.model.network import NETWORK_DRIVER, Network

KEPT = 256
"""How many past events can be asked for; docker keeps as many."""
BACKLOG = 4096
"""Events that may wait for one follower, before it is let go."""


class Events:
    """All events of one daemon."""

    def __init__(self) -> None:
        self._past: deque[Event] = deque(maxlen=KEPT)
        self._followers: set[Follower] = set()
        self._last_ns = 0

    @property
    def followers(self) -> int:
        """How many follow now."""
        return len(self._followers)

    def publish(self, kind: EventKind, action: str, identity: str, **attributes: str) -> None:
        """Tell it. Never waits for anybody."""
        # By this time clients ask for what they have missed: it must tell two events apart.
        self._last_ns = max(time.time_ns(), self._last_ns + 1)
        event = Event(kind, action, identity, self._last_ns, attributes)
        self._past.append(event)
        for follower in tuple(self._followers):
            follower.take(event)

    def container(self, container: Container, action: str, **attributes: str) -> None:
        """Something happened to a container; its labels, image and name are told too."""
        known = {**container.labels, "image": container.spec.image, "name": container.name}
        self.publish("container", action, container.id, **{**known, **attributes})

    def image(self, image: Image, action: str, name: str, *, id: str = "") -> None:
        """Something happened to an image; ``id`` is its own, unless docker names the event by another."""
        self.publish("image", action, id or image.id, **{**image.config.labels, "name": name})

    def removed(self, image: Image, removed: Iterable[Removed]) -> None:
        """What removing an image did."""
        for item in removed:
            if item.untagged:
                self.image(image, "untag", item.untagged)
            if item.deleted:
                self.image(image, "delete", item.deleted)

    def network(self, network: Network, action: str, **attributes: str) -> None:
        """Something happened to a network."""
        known = {**network.labels, "name": network.name, "type": NETWORK_DRIVER}
        self.publish("network", action, network.id, **{**known, **attributes})

    def connection(self, network: Network, container: Container, action: str) -> None:
        """A container came into a network or left it."""
        self.network(network, action, container=container.id)

    def volume(self, name: str, action: str, **attributes: str) -> None:
        """Something happened to a volume."""
        self.publish("volume", action, name, **{"driver": VOLUME_DRIVER, **attributes})

    def pruned(self, kind: EventKind, freed: int) -> None:
        """What nothing used is gone, and ``freed`` bytes with it."""
        self.publish(kind, "prune", "", reclaimed=str(freed))

    def follow(self, *, since: int | None, until: int | None) -> Follower:
        """Those to come until a time, and where one is given, those between the two that are known still.

        Times are nanoseconds since the epoch, both included.
        """
        bounded = since is not None or until is not None
        past = [event for event in self._past if bounded and event.time_ns >= (since or 0)]
        follower = Follower(past, until, self._followers)
        self._followers.add(follower)
        return follower


class Follower:
    """One client's view of the events, from the moment at which it was made."""

    def __init__(self, past: list[Event], until: int | None, others: set[Follower]) -> None:
        self._waiting = deque(past)
        self._until = until
        self._others = others
        self._arrived = asyncio.Event()
        self._lost = False
        self._over = False

    def take(self, event: Event) -> None:
        """Called by :class:`Events`."""
        if len(self._waiting) >= BACKLOG:
            self._lost = True
        else:
            self._waiting.append(event)
        self._arrived.set()

    def close(self) -> None:
        """Follow no longer. Idempotent."""
        self._others.discard(self)
        self._end()

    async def __aiter__(self) -> AsyncIterator[Event]:
        """The events, in their order. Raises Unavailable for a follower that is too slow to see them all."""
        timer = None
        if self._until is not None:
            delay = (self._until - time.time_ns()) / 1e9
            timer = asyncio.get_running_loop().call_later(max(delay, 0.0), self._end)
        try:
            while True:
                while self._waiting:
                    event = self._waiting.popleft()
                    if self._until is None or event.time_ns <= self._until:
                        yield event
                if self._lost:
                    raise Unavailable(
                        f"more than {BACKLOG} events waited for a client, and some were lost",
                        hint="Ask again from the time of the last one that came.",
                    )
                if self._over:
                    return
                self._arrived.clear()
                await self._arrived.wait()
        finally:
            if timer is not None:
                timer.cancel()
            self.close()

    def _end(self) -> None:
        self._over = True
        self._arrived.set()
