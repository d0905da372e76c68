"""The rooms in memory: all of :mod:`linwin.engine.interfaces`, with no guest and no disk."""

from __future__ import annotations

from dataclasses import dataclass, field

from linwin.engine.interfaces import Rooms, Sources, State
from linwin.paths import Paths
from linwin.sources import BuildSources
from tests.scenario.fakes.disks import FakeDisks
from tests.scenario.fakes.guest import FakeGuests
from tests.scenario.fakes.images import FakeImages
from tests.scenario.fakes.machine import FakeMachines
from tests.scenario.fakes.network import FakeNetworks
from tests.scenario.fakes.shares import FakeShares
from tests.scenario.fakes.state import FakeState
from tests.scenario.fakes.templates import FakeTemplates

__all__ = ["Fakes"]


@dataclass
class Fakes:
    """A complete set of rooms that shares nothing with any other; ``state`` may be the real one.

    ``sources`` is the real one of the root that is served.
    """

    state: State = field(default_factory=FakeState)
    images: FakeImages = field(default_factory=FakeImages)
    disks: FakeDisks = field(default_factory=FakeDisks)
    machines: FakeMachines = field(default_factory=FakeMachines)
    guests: FakeGuests = field(default_factory=FakeGuests)
    networks: FakeNetworks = field(default_factory=FakeNetworks)
    shares: FakeShares = field(default_factory=FakeShares)
    templates: FakeTemplates = field(default_factory=FakeTemplates)
    sources: Sources | None = None

    def settle(self, paths: Paths) -> None:
        """Take a root for what is kept in files."""
        self.sources = BuildSources(paths)
        self.images.folder = paths.cache

    @property
    def rooms(self) -> Rooms:
        return Rooms(
            sources=self.sources,  # type: ignore[arg-type]  # those who build have settled
            images=self.images,
            disks=self.disks,
            machine=self.machines,
            guest=self.guests,
            network=self.networks,
            shares=self.shares,
            templates=self.templates,
            state=self.state,
        )
