"""What the daemon logs of a container is found by the container's id, and nothing else is."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from linwin.daemon_log import handler
from linwin.engine.engine import Engine
from linwin.model.container import ContainerSpec
from linwin.model.pool import PoolPlan
from linwin.model.restart import RestartPolicy
from tests.scenario.fakes import Fakes
from tests.scenario.fakes.timing import FakeTiming
from tests.scenario.harness import IMAGE, Daemon, Docker, make_root, served
from tests.scenario.test_pool import filled


class Log:
    """All that linwin logs, as text."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    def lines(self) -> list[str]:
        return self.stream.getvalue().splitlines()

    def of(self, container_id: str) -> list[str]:
        return [line for line in self.lines() if f"container={container_id[:12]}" in line]

    def naming(self, container_id: str) -> list[str]:
        """Lines whose sentence names the container, wherever it stands."""
        return [line for line in self.lines() if container_id[:12] in line]


@pytest.fixture
def log() -> Iterator[Log]:
    log, root = Log(), logging.getLogger("linwin")
    written, before = handler("text", log.stream), root.level
    root.addHandler(written)
    root.setLevel(logging.DEBUG)
    yield log
    root.setLevel(before)
    root.removeHandler(written)
    written.close()


async def test_two_containers_do_not_mix(daemon: Daemon, docker: Docker, log: Log) -> None:
    await asyncio.gather(*(docker("run", "--name", name, IMAGE, "echo", name) for name in ("one", "two")))
    for name in ("one", "two"):
        container = await daemon.engine.inspect(name)
        assert any("started in" in line for line in log.of(container.id))
        assert log.of(container.id) == log.naming(container.id)


async def test_by_a_name_and_by_a_part_of_the_id(daemon: Daemon, log: Log) -> None:
    made = (await daemon.engine.create(ContainerSpec(IMAGE, cmd=("exit", "0")), "pet")).id
    for reference in ("pet", made[:5], made):
        waiter = await daemon.engine.wait(made, "next-exit")
        await asyncio.to_thread(daemon.client.post, f"/containers/{reference}/start")
        await asyncio.wait_for(waiter, 10)
        await daemon.settled()
    assert len([line for line in log.of(made) if "started in" in line]) == 3
    assert log.of(made) == log.naming(made)


async def test_a_defect_in_a_request_for_it(
    daemon: Daemon, docker: Docker, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = (await daemon.engine.create(ContainerSpec(IMAGE), "pet")).id

    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr("linwin.engine.stop.kill", broken)
    assert b"internal error" in (await docker("kill", "pet")).err
    assert any("RuntimeError: broken" in line for line in log.of(made))
    (head,) = (line for line in log.of(made) if "POST" in line)
    assert head.endswith("/containers/pet/kill failed")


async def test_a_restart_by_policy(daemon: Daemon, log: Log) -> None:
    """It is about the container, whatever began it."""
    daemon.engine.timing = timing = FakeTiming()
    spec = ContainerSpec(IMAGE, cmd=("hang",), restart=RestartPolicy("always"))
    made = (await daemon.engine.create(spec, "pet")).id
    await daemon.engine.start(made)
    daemon.fakes.machines.broken = "this host is full"
    await daemon.fakes.guests.last.signal("KILL")
    timing.advance(await timing.waits.get())
    await timing.waits.get()
    assert any("was not restarted: this host is full" in line for line in log.of(made))
    # Its hint is a line of its own, which names no container.
    assert any(line == f"    container={made[:12]} This is a fake." for line in log.of(made))
    await daemon.engine.stop(made, timeout=0)


async def test_of_a_daemon_that_finds_it(log: Log, short_folder: Path) -> None:
    fakes, paths = Fakes(), make_root(short_folder)
    first = Engine(fakes.rooms, paths)
    await first.open()
    made = (await first.create(ContainerSpec(IMAGE, cmd=("hang",)), "pet")).id
    await first.start(made)
    task = first.live(made).task
    assert task is not None
    task.cancel()  # as a daemon that is killed
    await asyncio.wait([task])
    async with served(fakes, paths) as daemon:
        assert any("its running guest was adopted" in line for line in log.of(made))
        await daemon.engine.remove(made, force=True)
    assert set(log.naming(made)) - set(log.of(made)) == {
        line for line in log.naming(made) if "started in" in line
    }, "only the start that no client asked for is about none"


async def test_work_of_the_pool_is_about_none(log: Log, short_folder: Path) -> None:
    fakes = Fakes()
    async with served(fakes, make_root(short_folder), pool=PoolPlan(size=1)) as daemon:
        await filled(daemon)
        fakes.machines.spoilt = "it is spoilt"
        made = (await daemon.engine.create(ContainerSpec(IMAGE, cmd=("exit", "0")), "pet")).id
        await asyncio.to_thread(daemon.client.post, f"/containers/{made}/start")
        await filled(daemon)
    (line,) = (line for line in log.lines() if "the pool is not full: it is spoilt" in line)
    assert "container=" not in line
    assert log.of(made)
