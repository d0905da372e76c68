"""Which machine driver the daemon has, and what it makes of a pool under one that cannot have it."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from linwin import daemon
from linwin.config import MachinePlan
from linwin.errors import Unavailable
from linwin.machine import LibvirtMachines, QemuMachines
from linwin.model.pool import PoolPlan
from linwin.paths import Paths

NOBODY = "qemu+unix:///system?socket=/nonexistent/libvirt-sock"


async def test_the_direct_driver_is_asked_nothing(tmp_path: Path) -> None:
    """A daemon starts where QEMU is missing still, to say so to who runs a container."""
    machines = await daemon.build_machines(Paths(tmp_path, tmp_path / "socket"), MachinePlan())
    assert isinstance(machines, QemuMachines)
    assert daemon.possible_pool(PoolPlan(size=2), machines) == PoolPlan(size=2)


async def test_a_daemon_needs_an_answer_of_libvirts(tmp_path: Path) -> None:
    """Or it would give up machines that run."""
    with pytest.raises(Unavailable):
        await daemon.build_machines(Paths(tmp_path, tmp_path / "socket"), MachinePlan("libvirt", NOBODY))


def test_a_pool_that_cannot_be_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    machines = LibvirtMachines(Paths(tmp_path, tmp_path / "socket"), NOBODY)
    with caplog.at_level(logging.WARNING):
        assert daemon.possible_pool(PoolPlan(size=0, memory=512), machines) == PoolPlan(size=0, memory=512)
        assert caplog.messages == []
        assert daemon.possible_pool(PoolPlan(size=2, memory=512), machines) == PoolPlan(size=0, memory=512)
    assert caplog.messages == ["there is no pool: the machine driver does not exchange disks"]
