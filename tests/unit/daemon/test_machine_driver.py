"""Which machine driver the daemon has, and what it makes of a pool under one that cannot have it."""

from __future__ import annotations

import logging
from pathlib import Path
from uuid import uuid4

import pytest

from linwin import daemon
from linwin.config import MachinePlan
from linwin.errors import Conflict, InvalidRequest, Unavailable
from linwin.machine import LibvirtMachines, QemuMachines
from linwin.model.pool import PoolPlan
from linwin.paths import DOMAIN_FILE, Paths
from tests.processes import waiting

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


@pytest.mark.root
async def test_guests_of_a_session_are_not_to_be_root(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await daemon.build_machines(
            Paths(tmp_path, tmp_path / "socket"), MachinePlan("libvirt", "qemu:///session")
        )
    assert caught.value.message == (
        "guests would run as root: qemu:///session is a session, and the daemon is root's"
    )


async def test_machines_of_libvirts_are_not_given_up_for_another_driver(tmp_path: Path) -> None:
    paths, uuid = Paths(tmp_path, tmp_path / "socket"), str(uuid4())
    for id, noted in (("1" * 64, uuid), ("2" * 64, str(uuid4())), ("3" * 64, "")):
        paths.machine(id).mkdir(parents=True)
        paths.overlay(id).touch()
        (paths.machine(id) / DOMAIN_FILE).write_text(noted)
    with waiting("-uuid", uuid), pytest.raises(Conflict) as caught:
        await daemon.build_machines(paths, MachinePlan())
    assert caught.value.message == f"libvirt still runs the machines of {'1' * 12}"
    assert isinstance(await daemon.build_machines(paths, MachinePlan()), QemuMachines)


def test_a_pool_that_cannot_be_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    machines = LibvirtMachines(Paths(tmp_path, tmp_path / "socket"), NOBODY)
    with caplog.at_level(logging.WARNING):
        assert daemon.possible_pool(PoolPlan(size=0, memory=512), machines) == PoolPlan(size=0, memory=512)
        assert caplog.messages == []
        assert daemon.possible_pool(PoolPlan(size=2, memory=512), machines) == PoolPlan(size=0, memory=512)
    assert caplog.messages == ["there is no pool: the machine driver does not exchange disks"]
