"""A libvirt that is not there, or says no, told in sentences; what its events reach."""

from __future__ import annotations

import asyncio
import sys
import threading
import weakref
from pathlib import Path
from uuid import UUID

import pytest

from linwin.errors import NotFound, Unavailable
from linwin.machine.libvirt import LibvirtMachines
from linwin.machine.libvirt.host import Event, LibvirtHost, Removed, Stopped
from linwin.model.machine import LinuxBoot, MachineSpec
from linwin.paths import Paths

UUID_ = UUID(int=7)
NOBODY = "qemu+unix:///system?socket=/nonexistent/libvirt-sock"


async def test_a_missing_module_is_told_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "libvirt", None)
    with pytest.raises(Unavailable) as caught:
        await LibvirtHost(NOBODY).call("do it", lambda connection: None)
    assert "libvirt's Python module, which is not installed" in caught.value.message
    assert "pip install 'linwin[libvirt]'" in (caught.value.hint or "")


async def test_a_libvirtd_that_does_not_run_is_told(tmp_path: Path) -> None:
    pytest.importorskip("libvirt")
    machines = LibvirtMachines(Paths(tmp_path, tmp_path / "linwin.sock"), NOBODY)
    with pytest.raises(Unavailable) as caught:
        await machines.version()
    assert caught.value.message.startswith(f"libvirt at {NOBODY} does not answer: ")
    assert "systemctl start libvirtd" in (caught.value.hint or "")
    await machines.close()
    await machines.close()


async def test_libvirts_errors_become_ours() -> None:
    libvirt = pytest.importorskip("libvirt")
    host = LibvirtHost("test:///default")  # libvirt's own driver of domains that are nothing
    with pytest.raises(NotFound):
        await host.domain_call(UUID_, "halt the machine", lambda domain: domain.suspend())
    with pytest.raises(Unavailable, match="libvirt did not read it: "):
        await host.call("read it", lambda connection: connection.createXML("<domain/>", 0))
    name = await host.call("look", lambda connection: connection.lookupByID(1).name())
    assert name == "test"
    await host.close()
    assert libvirt.virGetLastError() is None


async def test_the_end_of_a_domain_is_told_to_who_listens() -> None:
    pytest.importorskip("libvirt")
    host, told, ended = LibvirtHost("test:///default"), list[Event](), asyncio.Event()

    def note(event: Event) -> None:
        told.append(event)
        ended.set()

    uuid = UUID(await host.call("look", lambda connection: connection.lookupByID(1).UUIDString()))
    with host.events(uuid, note):
        await host.domain_call(uuid, "end it", lambda domain: domain.destroy())
        async with asyncio.timeout(20):
            await ended.wait()
    assert told == [Stopped()]
    host._dispatch(str(uuid), Removed("x"))
    assert told == [Stopped()]
    await host.close()


async def test_what_was_begun_is_awaited_by_one_that_is_cancelled() -> None:
    pytest.importorskip("libvirt")
    host, begun, go_on = LibvirtHost("test:///default"), asyncio.Event(), threading.Event()
    loop, undone = asyncio.get_running_loop(), list[str]()

    def work(_connection: object) -> str:
        loop.call_soon_threadsafe(begun.set)
        go_on.wait(20)
        return "what was opened"

    task = asyncio.create_task(host.call("work", work, undo=undone.append))
    async with asyncio.timeout(20):
        await begun.wait()
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert undone == ["what was opened"]
    assert await host.call("work", work, undo=undone.append) == "what was opened"
    assert len(undone) == 1
    await host.close()


async def test_a_connection_that_is_closed_is_gone() -> None:
    """libvirt keeps one open as long as somebody listens on it."""
    pytest.importorskip("libvirt")
    host, gone, loop = LibvirtHost("test:///default"), asyncio.Event(), asyncio.get_running_loop()
    await host.call("look", lambda connection: connection.getLibVersion())
    held = weakref.ref(host._connection, lambda _: loop.call_soon_threadsafe(gone.set))
    await host.close()
    async with asyncio.timeout(20):
        await gone.wait()  # libvirt's own thread lets go of it last
    assert held() is None


async def test_no_machine_starts_with_a_nic(tmp_path: Path) -> None:
    machines = LibvirtMachines(Paths(tmp_path, tmp_path / "linwin.sock"), NOBODY)
    nowhere = Path("/nonexistent")
    boot = LinuxBoot(nowhere, nowhere, "", nowhere)
    spec = MachineSpec("1", boot, memory=64, cpus=1, run_dir=tmp_path, nic=True)
    assert not machines.abilities.first_nic
    with pytest.raises(ValueError):
        await machines.boot(spec, 0)
