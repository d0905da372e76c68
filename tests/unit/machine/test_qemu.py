"""Real QEMU processes with tiny guests: started, plugged, adopted, killed, ended."""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from linwin import paths
from linwin.errors import Unavailable
from linwin.host.pidfd import find_working_in
from linwin.host.process import run
from linwin.host.sockets import connect
from linwin.machine import console, monitor, qemu, running
from linwin.machine.qemu import QemuMachines
from linwin.machine.running import QemuMachine
from linwin.model.machine import MachineSpec

GuestMaker = Callable[[str, str], MachineSpec]
pytestmark = pytest.mark.usefixtures("emulated")


def make_disk(path: Path, *, owner: int = 0) -> Path:
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", path, "16M"], check=True)
    if owner:
        os.chown(path, owner, owner)
    path.chmod(0o600)
    return path


@pytest.fixture
def disk(room: Path) -> Path:
    return make_disk(room / "c.qcow2")


async def console_says(machine: QemuMachine, word: str) -> None:
    """Wait for a word on the console. Only tests wait for one, so the machine has no event for it."""
    async with asyncio.timeout(20):
        while not any(word in line for line in await machine.console_tail()):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def block_nodes(machine: QemuMachine) -> list[dict[str, Any]]:
    """All that QEMU has of disks, with the file that each is about."""
    nodes: list[dict[str, Any]] = await machine._execute("query-named-block-nodes", {"flat": True})
    return nodes


async def test_a_guest_boots_writes_its_console_and_is_ended(
    machines: QemuMachines, spec: MachineSpec
) -> None:
    machine = await machines.boot(spec)
    await console_says(machine, "hello")
    assert not machine.exited.done()
    assert find_working_in(spec.run_dir) == [machine.pid]
    await machine.quit()
    exit_ = await machine.exited
    assert exit_.code == 0
    assert exit_.console[-1] == "hello"
    await machine.quit()


async def test_a_machine_is_halted_and_goes_on(machines: QemuMachines, spec: MachineSpec) -> None:
    machine = await machines.boot(spec)
    for _ in range(2):
        await machine.pause()
        assert (await machine._execute("query-status"))["status"] == "paused"
    for _ in range(2):
        await machine.resume()
        assert (await machine._execute("query-status"))["status"] == "running"
    await machine.pause()
    await machine.quit()
    assert (await machine.exited).code == 0


async def test_a_guest_that_gives_up_ends_its_machine(machines: QemuMachines, guest: GuestMaker) -> None:
    spec = guest("Kernel panic - not syncing\n", "fault")
    machine = await machines.boot(spec)
    async with asyncio.timeout(20):
        exit_ = await machine.exited
    assert exit_.code == 0
    assert exit_.console[-1] == "Kernel panic - not syncing"
    await machine.quit()


async def test_the_power_button_is_the_guests_to_hear(machines: QemuMachines, guest: GuestMaker) -> None:
    machine = await machines.boot(guest("listens", "power off"))
    await console_says(machine, "listens!")
    await machine.press_power_button()
    async with asyncio.timeout(20):
        assert (await machine.exited).code == 0
    await machine.quit()


async def test_a_killed_qemu_is_seen(machines: QemuMachines, spec: MachineSpec) -> None:
    machine = await machines.boot(spec)
    os.kill(machine.pid, signal.SIGKILL)
    async with asyncio.timeout(5):
        assert (await machine.exited).code == -signal.SIGKILL
    with pytest.raises(Unavailable, match=r"^the machine ended before it answered stop$"):
        await machine.pause()
    await machine.quit()


async def test_a_cancelled_waiter_leaves_the_exit_to_others(
    machines: QemuMachines, spec: MachineSpec
) -> None:
    machine = await machines.boot(spec)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(machine.exited, 0.01)
    await machine.quit()
    assert (await machine.exited).code == 0


async def test_a_qemu_that_ignores_quit_is_killed(
    machines: QemuMachines, spec: MachineSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "QUIT_SECONDS", 0.3)
    machine = await machines.boot(spec)
    os.kill(machine.pid, signal.SIGSTOP)
    await machine.quit()
    assert (await machine.exited).code == -signal.SIGKILL


async def test_a_monitor_that_does_not_answer_is_not_waited_for_forever(
    machines: QemuMachines, spec: MachineSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitor, "ANSWER_SECONDS", 0.2)
    monkeypatch.setattr(running, "QUIT_SECONDS", 0.2)
    machine = await machines.boot(spec)
    os.kill(machine.pid, signal.SIGSTOP)
    with pytest.raises(Unavailable, match=r"^QEMU did not answer stop within 0.2 s$"):
        await machine.pause()
    await machine.quit()


async def test_c_is_writable_and_flushed(machines: QemuMachines, spec: MachineSpec, disk: Path) -> None:
    machine = await machines.boot(replace(spec, c_disk=disk))
    try:
        nodes = {node["file"]: node for node in await block_nodes(machine) if node["drv"] == "qcow2"}
        assert not nodes[str(disk)]["ro"]
        assert nodes[str(disk)]["cache"] == {"no-flush": False, "direct": False, "writeback": True}
        assert nodes[str(disk)]["detect_zeroes"] == "unmap"
    finally:
        await machine.quit()


async def test_the_disk_behind_c_is_exchanged(
    machines: QemuMachines, spec: MachineSpec, room: Path, disk: Path
) -> None:
    scratch = make_disk(room / "scratch.qcow2")
    machine = await machines.boot(replace(spec, c_disk=scratch))
    try:
        await machine.pause()
        await machine.insert_disk(disk)
        used = {node["file"] for node in await block_nodes(machine)}
        assert str(disk) in used
        assert str(scratch) not in used
        with pytest.raises(Unavailable, match="QEMU refused blockdev-add: Duplicate nodes"):
            await machine.insert_disk(disk)
    finally:
        await machine.quit()


async def test_a_refused_disk_leaves_the_one_before(
    machines: QemuMachines, spec: MachineSpec, room: Path, disk: Path
) -> None:
    scratch = make_disk(room / "scratch.qcow2")
    machine = await machines.boot(replace(spec, c_disk=scratch))
    try:
        await machine.pause()
        with pytest.raises(Unavailable) as caught:
            await machine.insert_disk(room / "none.qcow2")
        assert str(caught.value) == (
            f"QEMU refused blockdev-add: Could not open '{room}/none.qcow2': No such file or directory"
        )
        assert str(scratch) in {node["file"] for node in await block_nodes(machine)}
        await machine.insert_disk(disk)
    finally:
        await machine.quit()


async def test_the_agents_port_accepts_one_client_after_the_other(
    machines: QemuMachines, spec: MachineSpec
) -> None:
    machine = await machines.boot(spec)
    try:
        for _ in range(2):
            with connect(machine.agent_socket) as client:
                client.sendall(b"ping")
    finally:
        await machine.quit()
    with pytest.raises(FileNotFoundError):
        connect(machine.agent_socket)


async def test_a_long_run_folder_works(machines: QemuMachines, spec: MachineSpec) -> None:
    deep = spec.run_dir / ("very-long-name-" * 8) / ("of,a=folder" * 8)
    deep.mkdir(parents=True)
    machine = await machines.boot(replace(spec, run_dir=deep))
    await console_says(machine, "hello")
    with connect(machine.agent_socket):
        pass
    await machine.quit()
    assert sorted(os.listdir(deep)) == [paths.CONSOLE_LOG, paths.QEMU_LOG]


async def test_a_machine_survives_its_daemon_and_is_adopted(
    machines: QemuMachines, spec: MachineSpec, disk: Path
) -> None:
    spec = replace(spec, c_disk=disk)
    pid = boot_and_die(spec)
    machine = await machines.adopt(spec, pid)
    assert machine is not None
    assert machine.pid == pid
    await console_says(machine, "hello")
    await machine.release()
    again = await machines.adopt(spec, pid)
    assert again is not None
    try:
        assert str(disk) in {node["file"] for node in await block_nodes(again)}
    finally:
        await again.quit()
    assert (await again.exited).code == 0
    assert await machines.adopt(spec, pid) is None


async def test_a_machine_is_found_whose_daemon_died_before_it_noted_the_pid(
    machines: QemuMachines, spec: MachineSpec, caplog: pytest.LogCaptureFixture
) -> None:
    pid = boot_and_die(spec)
    (spec.run_dir / paths.PID_FILE).unlink()
    machine = await machines.adopt(spec, 0)
    assert machine is not None
    assert machine.pid == pid
    assert f"runs as {pid}, not as 0" in caplog.text
    await machine.quit()


async def test_another_process_with_the_pid_is_not_adopted(machines: QemuMachines, spec: MachineSpec) -> None:
    (spec.run_dir / paths.PID_FILE).write_text(f"{os.getpid()} 1 another-boot\n")
    assert await machines.adopt(spec, os.getpid()) is None


async def test_a_machine_whose_monitor_is_mute_is_ended(
    machines: QemuMachines,
    spec: MachineSpec,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(qemu, "START_SECONDS", 0.3)
    pid = boot_and_die(spec)
    os.kill(pid, signal.SIGSTOP)
    monkeypatch.setattr(running, "QUIT_SECONDS", 0.3)
    assert await machines.adopt(spec, pid) is None
    assert "whose monitor does not answer" in caplog.text


@pytest.mark.root
async def test_qemu_runs_as_its_own_user(machines: QemuMachines, spec: MachineSpec, room: Path) -> None:
    disk = make_disk(room / "c.qcow2", owner=61234)
    machine = await machines.boot(replace(spec, uid=61234, c_disk=disk))
    try:
        fields = process_status(machine.pid)
        assert fields["Uid"] == fields["Gid"] == "61234\t61234\t61234\t61234"
        assert fields["Groups"].strip() == ""
        assert fields["CapEff"] == "0" * 16
        assert fields["Seccomp"] == "2"
        assert fields["NoNewPrivs"] == "1"
    finally:
        await machine.quit()


@pytest.mark.root
async def test_one_users_machine_cannot_open_anothers_disk(
    machines: QemuMachines, spec: MachineSpec, room: Path
) -> None:
    disk = make_disk(room / "c.qcow2", owner=61235)
    with pytest.raises(Unavailable, match="Permission denied"):
        await machines.boot(replace(spec, uid=61234, c_disk=disk))


async def test_a_flooding_console_stays_bounded(
    machines: QemuMachines, guest: GuestMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "_TRIM_SECONDS", 0.1)
    monkeypatch.setattr(console, "LIMIT", 100_000)
    spec = guest("flood " * 20 + "\n", "again")
    machine = await machines.boot(spec)
    log = spec.run_dir / paths.CONSOLE_LOG
    sizes = [0]
    try:
        async with asyncio.timeout(20):
            while sizes[-1] >= max(sizes):  # until it shrank
                await asyncio.sleep(0.02)
                sizes.append(os.stat(log).st_size)
        whole = [line == "flood " * 19 + "flood" for line in (await machine.console_tail(8))[:-1]]
        # Where the log was cut, the guest's next bytes may go on in the middle of a line.
        assert whole.count(False) <= 1
    finally:
        await machine.quit()


async def test_the_version_is_the_binarys_own(machines: QemuMachines) -> None:
    said = await run([qemu.BINARY, "--version"])
    name, version = (await machines.version()).split()
    assert name == "QEMU"
    assert f"emulator version {version} ".encode() in said.stdout


def process_status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def boot_and_die(spec: MachineSpec) -> int:
    """Boot a machine in another process that dies at once, as a killed daemon does."""
    script = Path(__file__).with_name("boot_and_die.py")
    done = subprocess.run([sys.executable, script], input=pickle.dumps(spec), stdout=subprocess.PIPE)
    assert done.returncode == -signal.SIGKILL
    return int(done.stdout)
