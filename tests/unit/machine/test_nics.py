"""Real QEMU processes and taps: NICs plugged, refused, taken out, and found by a later daemon."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from linwin.errors import Conflict, InvalidRequest, Unavailable
from linwin.machine import monitor
from linwin.machine.qemu import QemuMachines
from linwin.machine.running import QemuMachine
from linwin.model.machine import FIRST_MAC, FIRST_NIC, MachineSpec
from linwin.model.network import Attachment, PortBinding
from tests.unit.machine.test_qemu import GuestMaker, boot_and_die, console_says

pytestmark = [pytest.mark.usefixtures("emulated"), pytest.mark.root]

MAC = "02:42:ac:14:00:02"
NAME = f"lwt{os.getpid() % 1_000_000}"
_TUNSETIFF = 0x400454CA
_IFF_TAP, _IFF_NO_PI, _IFF_VNET_HDR = 0x0002, 0x1000, 0x4000


@contextmanager
def tap(name: str = NAME) -> Iterator[int]:
    """An open tap, which exists as long as somebody has it open."""
    file = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.ioctl(
            file, _TUNSETIFF, struct.pack("16sH", name.encode(), _IFF_TAP | _IFF_NO_PI | _IFF_VNET_HDR)
        )
        yield file
    finally:
        os.close(file)


@contextmanager
def no_tap() -> Iterator[int]:
    """An open file that is none."""
    with open(os.devnull, "rb") as file:
        yield file.fileno()


def tap_exists(name: str = NAME) -> bool:
    return Path("/sys/class/net", name).exists()


def wait_for_no_tap() -> None:
    """Only tests wait for a tap to go. A thread's, so that the event loop goes on."""
    deadline = time.monotonic() + 20
    while tap_exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def open_files(pid: int, path: str) -> int:
    """How often a process has a file open."""
    return [os.readlink(file) for file in Path(f"/proc/{pid}/fd").iterdir()].count(path)


async def nics(machine: QemuMachine) -> dict[str, str]:
    """The MAC addresses of a machine's NICs, by the names of their devices."""
    return {nic["name"]: nic["main-mac"] for nic in await machine._execute("query-rx-filter")}


async def test_a_plugged_nic_is_on_the_tap_and_goes_when_its_guest_lets_go(
    machines: QemuMachines, guest: GuestMaker
) -> None:
    machine = await machines.boot(guest("hello\n", "let go"))
    try:
        await console_says(machine, "hello")
        with tap() as file:
            await machine.plug_nic(file, "endpoint", MAC)
        assert tap_exists()  # QEMU has it open
        assert await nics(machine) == {"nic-endpoint": MAC}
        await machine.unplug_nic("endpoint")
        assert await nics(machine) == {}
        assert not tap_exists()
        await machine.unplug_nic("endpoint")
    finally:
        await machine.quit()


def user_attachment(port: int) -> Attachment:
    binding = PortBinding(80, "tcp", "127.0.0.1", port)
    return Attachment("e" * 64, "n" * 64, "c" * 64, MAC, "10.0.2.16", ports=(binding,))


async def test_a_user_nic_listens_at_its_ports_until_it_goes(
    machines: QemuMachines, guest: GuestMaker
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        machine = await machines.boot(guest("hello\n", "let go"))
        try:
            await console_says(machine, "hello")
            with pytest.raises(Unavailable, match=f"'tcp:127.0.0.1:{taken}-10.0.2.16:80'"):
                await machine.plug_user_nic("endpoint", user_attachment(taken))
            assert await nics(machine) == {}
            await machine.plug_user_nic("endpoint", user_attachment(port))
            assert await nics(machine) == {"nic-endpoint": MAC}
            with socket.create_connection(("127.0.0.1", port), timeout=5):
                pass
            await machine.unplug_nic("endpoint")
            assert await nics(machine) == {}
            with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
                pass
        finally:
            await machine.quit()


async def test_a_nic_from_the_start_is_taken_out_like_any(machines: QemuMachines, guest: GuestMaker) -> None:
    spec = replace(guest("hello\n", "let go"), spare_ports=1, nic=True)
    with tap() as file:
        machine = await machines.boot(spec, file)
    try:
        await console_says(machine, "hello")
        assert tap_exists()
        assert await nics(machine) == {"nic-first": FIRST_MAC}
        for connected in (True, True, False):
            await machine.connect_nic(connected=connected)
        with tap(f"{NAME}x") as file, pytest.raises(Conflict):
            await machine.plug_nic(file, "endpoint", MAC)
        await machine.unplug_nic(FIRST_NIC)
        assert not tap_exists()
        with tap() as file:
            await machine.plug_nic(file, "endpoint", MAC)
        assert await nics(machine) == {"nic-endpoint": MAC}
    finally:
        await machine.quit()


async def test_clones_have_their_nic_on_taps_of_their_own(
    machines: QemuMachines, spec: MachineSpec, room: Path
) -> None:
    (room / "freezing").mkdir()
    with tap() as file:
        frozen = replace(spec, id="checkpoint", run_dir=room / "freezing", nic=True)
        mold = await machines.mold(frozen, file)
    await mold.freeze()
    await mold.quit()
    assert not tap_exists()
    assert await machines.restore(spec) is None  # which has no NIC
    with tap() as file:
        clone = await machines.restore(replace(spec, nic=True, uid=61234), file)
    assert clone is not None
    try:
        assert tap_exists()
        await clone.connect_nic(connected=True)
        assert await nics(clone) == {"nic-first": FIRST_MAC}
    finally:
        await clone.quit()
        machines.store.close()
    assert not tap_exists()


async def test_a_machine_has_a_tap_for_its_nic_and_no_other(
    machines: QemuMachines, spec: MachineSpec
) -> None:
    for described, given in ((replace(spec, nic=True), None), (spec, 0)):
        with pytest.raises(ValueError, match=r"^a machine has a tap if it has a NIC, and only then$"):
            await machines.boot(described, given)


async def test_ports_are_taken_until_none_is_left_and_are_free_again(
    machines: QemuMachines, guest: GuestMaker
) -> None:
    machine = await machines.boot(replace(guest("hello\n", "let go"), spare_ports=1))
    try:
        await console_says(machine, "hello")
        for _ in range(2):
            with tap() as file:
                await machine.plug_nic(file, "first", MAC)
            with (
                tap(f"{NAME}x") as file,
                pytest.raises(Conflict, match=r"^all 1 hot-plug ports of the container's machine are taken$"),
            ):
                await machine.plug_nic(file, "second", MAC)
            assert not tap_exists(f"{NAME}x")
            await machine.unplug_nic("first")
        assert await nics(machine) == {}
    finally:
        await machine.quit()


async def test_a_refused_nic_leaves_nothing(machines: QemuMachines, spec: MachineSpec) -> None:
    machine = await machines.boot(spec)
    before = open_files(machine.pid, "/dev/null")
    try:
        with pytest.raises(
            InvalidRequest, match=r"^'a=b' is no id of a NIC: 1 to 64 letters, digits and dashes are$"
        ):
            await machine.plug_nic(0, "a=b", MAC)
        with tap() as file, pytest.raises(Unavailable, match=r"^QEMU refused device_add: .*mac"):
            await machine.plug_nic(file, "endpoint", "no address")
        assert not tap_exists()
        with (
            no_tap() as file,
            pytest.raises(Unavailable, match=r"^QEMU refused netdev_add: "),
        ):
            await machine.plug_nic(file, "endpoint", MAC)
        assert open_files(machine.pid, "/dev/null") == before
        with tap() as file:
            await machine.plug_nic(file, "endpoint", MAC)
        twice = r"^QEMU refused netdev_add: Duplicate ID 'net-endpoint'"
        with tap(f"{NAME}x") as file, pytest.raises(Unavailable, match=twice):
            await machine.plug_nic(file, "endpoint", MAC)
        assert not tap_exists(f"{NAME}x")
        assert await nics(machine) == {"nic-endpoint": MAC}
    finally:
        await machine.quit()
    assert not tap_exists()


async def test_a_guest_that_keeps_its_nic_loses_the_tap(
    machines: QemuMachines, spec: MachineSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitor, "UNPLUG_SECONDS", 0.3)
    machine = await machines.boot(spec)
    try:
        with tap() as file:
            await machine.plug_nic(file, "endpoint", MAC)
        with pytest.raises(Unavailable, match=r"^the guest did not let go of nic-endpoint within 0.3 s$"):
            await machine.unplug_nic("endpoint")
        assert not tap_exists()
    finally:
        await machine.quit()


async def test_a_machine_that_ends_while_it_unplugs_is_not_waited_for(
    machines: QemuMachines, spec: MachineSpec
) -> None:
    machine = await machines.boot(spec)
    with tap() as file:
        await machine.plug_nic(file, "endpoint", MAC)
    unplugging = asyncio.create_task(machine.unplug_nic("endpoint"))
    await asyncio.to_thread(wait_for_no_tap)
    os.kill(machine.pid, signal.SIGKILL)
    with pytest.raises(Unavailable, match=r"^the machine ended before it "):
        await unplugging
    await machine.quit()


async def test_a_later_daemon_takes_out_what_an_earlier_one_plugged(
    machines: QemuMachines, guest: GuestMaker
) -> None:
    spec = guest("hello\n", "let go")
    pid = boot_and_die(spec)
    machine = await machines.adopt(spec, pid)
    assert machine is not None
    with tap() as file:
        await machine.plug_nic(file, "endpoint", MAC)
    await machine.release()
    again = await machines.adopt(spec, pid)
    assert again is not None
    try:
        await again.unplug_nic("endpoint")
        assert await nics(again) == {}
        assert not tap_exists()
    finally:
        await again.quit()


async def test_qemu_as_its_own_user_takes_a_tap_that_it_could_not_open(
    machines: QemuMachines, spec: MachineSpec
) -> None:
    machine = await machines.boot(replace(spec, uid=61234))
    try:
        with tap() as file:
            await machine.plug_nic(file, "endpoint", MAC)
        assert await nics(machine) == {"nic-endpoint": MAC}
    finally:
        await machine.quit()
