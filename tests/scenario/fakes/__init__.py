"""The rooms in memory: all of :mod:`linwin.engine.interfaces`, with no guest and no disk."""

from __future__ import annotations

from dataclasses import dataclass, field

from linwin.engine.interfaces import Rooms, State
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
    """A complete set of rooms that shares nothing with any other; ``state`` may be the real one."""

    state: State = field(default_factory=FakeState)
    images: FakeImages = field(default_factory=FakeImages)
    disks: FakeDisks = field(default_factory=FakeDisks)
    machines: FakeMachines = field(default_factory=FakeMachines)
    guests: FakeGuests = field(default_factory=FakeGuests)
    networks: FakeNetworks = field(default_factory=FakeNetworks)
    shares: FakeShares = field(default_factory=FakeShares)
    templates: FakeTemplates = field(default_factory=FakeTemplates)

    @property
    def rooms(self) -> Rooms:
        return Rooms(
            images=self.images,
            disks=self.disks,
            machine=self.machines,
            guest=self.guests,
            network=self.networks,
            shares=self.shares,
            templates=self.templates,
            state=self.state,
        )
