"""Processes are known by more than their pid, and awaited whether ours or not."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from linwin.host.pidfd import ProcessIdentity, WatchedProcess, find_working_in, spawn


@pytest.fixture
def stranger() -> Iterator[int]:
    """A process that is another's child: a shell's, which reaps it."""
    shell = subprocess.Popen(["sh", "-c", "sleep 60 & echo $!; wait"], stdout=subprocess.PIPE)
    assert shell.stdout is not None
    with shell, shell.stdout:
        pid = int(shell.stdout.readline())
        yield pid
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def start(folder: Path, *argv: str, uid: int = 0) -> WatchedProcess:
    with (folder / "out").open("ab") as output:
        return spawn(argv, output=output, cwd=folder, uid=uid)


async def test_a_child_is_reaped_with_its_exit_code(tmp_path: Path) -> None:
    process = start(tmp_path, "sh", "-c", "echo out; echo err >&2; exit 42")
    assert await process.wait() == 42
    process.close()
    assert ProcessIdentity.of(process.pid) is None
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)
    assert (tmp_path / "out").read_bytes() == b"out\nerr\n"


async def test_a_signal_is_a_negative_exit_code(tmp_path: Path) -> None:
    process = start(tmp_path, "sleep", "60")
    process.send_signal(signal.SIGKILL)
    assert await process.wait() == -signal.SIGKILL
    process.send_signal(signal.SIGKILL)  # too late, and harmless
    process.close()
    process.close()


async def test_a_spawned_program_has_a_session_of_its_own(tmp_path: Path) -> None:
    process = start(tmp_path, "sleep", "60")
    assert os.getsid(process.pid) == process.pid
    process.send_signal(signal.SIGKILL)
    await process.wait()
    process.close()


@pytest.mark.root
async def test_a_uid_is_dropped_to_with_its_group_and_no_others(tmp_path: Path) -> None:
    process = start(tmp_path, "sh", "-c", "id -u; id -g; id -G", uid=61234)
    assert await process.wait() == 0
    process.close()
    assert (tmp_path / "out").read_text().split() == ["61234"] * 3


async def test_the_end_of_a_stranger_is_seen_without_its_code(stranger: int) -> None:
    identity = ProcessIdentity.of(stranger)
    assert identity is not None
    process = WatchedProcess.open(identity)
    assert process is not None
    waiting = asyncio.create_task(process.wait())
    process.send_signal(signal.SIGKILL)
    assert await waiting is None
    process.close()
    assert WatchedProcess.open(identity) is None


async def test_a_reused_pid_is_not_taken_for_the_old_process(stranger: int) -> None:
    identity = ProcessIdentity.of(stranger)
    assert identity is not None
    older = ProcessIdentity(identity.pid, identity.start_time - 1, identity.boot_id)
    before_reboot = ProcessIdentity(identity.pid, identity.start_time, "another-boot")
    assert WatchedProcess.open(older) is None
    assert WatchedProcess.open(before_reboot) is None


def test_identities_survive_being_written_down() -> None:
    identity = ProcessIdentity.of(os.getpid())
    assert identity is not None
    assert ProcessIdentity.parse(f"{identity}\n") == identity
    assert ProcessIdentity.parse("12 x boot") is None
    assert ProcessIdentity.parse("") is None


def test_a_program_name_cannot_forge_the_identity(tmp_path: Path) -> None:
    disguise = tmp_path / "a) S 1 2 3"
    disguise.symlink_to("/bin/sleep")
    process = subprocess.Popen([disguise, "60"])
    try:
        identity = ProcessIdentity.of(process.pid)
        assert identity is not None
        assert identity.start_time > 10
    finally:
        process.kill()
        process.wait()


async def test_a_process_is_found_by_the_folder_it_works_in(tmp_path: Path) -> None:
    assert find_working_in(tmp_path) == []
    process = start(tmp_path, "sleep", "60")
    assert find_working_in(tmp_path) == [process.pid]
    process.send_signal(signal.SIGKILL)
    await process.wait()
    process.close()


async def test_several_wait_for_one_process(tmp_path: Path) -> None:
    process = start(tmp_path, "sleep", "60")
    waiting = [asyncio.create_task(process.wait()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.sleep(0)
    process.send_signal(signal.SIGKILL)
    assert sorted(map(str, await asyncio.gather(*waiting[1:]))) == ["-9", "None"]
    assert waiting[0].cancelled()
    process.close()


async def test_who_waits_is_told_of_the_end_of_a_process_that_was_let_go_of(tmp_path: Path) -> None:
    process = start(tmp_path, "sleep", "60")
    waiting = asyncio.create_task(process.wait())
    await asyncio.sleep(0)
    process.close()
    os.kill(process.pid, signal.SIGKILL)
    assert await waiting == -signal.SIGKILL


async def test_an_end_is_seen_without_waiting_for_it(tmp_path: Path) -> None:
    process = start(tmp_path, "sleep", "60")
    assert not process.has_ended()
    process.send_signal(signal.SIGKILL)
    while not process.has_ended():
        continue
    assert process.has_ended()
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)
    assert await process.wait() is None
    process.close()
