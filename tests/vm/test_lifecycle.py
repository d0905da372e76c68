"""Containers that stay: detached, followed, stopped, started again, killed."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.vm.conftest import GUEST_TIMEOUT, Linwin

NANOSERVER = "microsoft/nanoserver"
FOREVER = ("cmd", "/c", "echo started & ping -n 100000 127.0.0.1 >nul")


def until_started(linwin: Linwin, name: str) -> None:
    """Return when the container's program has printed its first line."""
    with linwin.start("logs", "-f", name, stdout=subprocess.PIPE) as logs:
        assert logs.stdout is not None
        assert logs.stdout.readline().startswith(b"started")
        logs.terminate()


def test_a_file_survives_stop_and_start(linwin: Linwin) -> None:
    script = "if exist C:\\mark (type C:\\mark) else (echo kept> C:\\mark & echo first)"
    printed = linwin.text("run", "--name", "files", NANOSERVER, "cmd", "/c", script)
    assert printed.strip() == "first"
    assert linwin.inspect("files")["State"]["Status"] == "exited"
    linwin("start", "files")
    assert linwin.text("wait", "files") == "0\n"
    assert linwin.text("logs", "files").split() == ["first", "kept"]
    linwin("rm", "files")


def test_setx_survives_stop_and_start(linwin: Linwin) -> None:
    script = "if defined KEPT (echo %KEPT%) else (reg add HKCU\\Environment /v KEPT /d value /f >nul)"
    assert linwin.text("run", "--name", "registry", NANOSERVER, "cmd", "/c", script) == ""
    linwin("start", "registry")
    linwin("wait", "registry")
    assert linwin.text("logs", "registry") == "value\n"
    linwin("rm", "registry")


def test_a_detached_container_is_seen_followed_and_stopped(linwin: Linwin) -> None:
    identity = linwin.text("run", "-d", "--name", "service", NANOSERVER, *FOREVER).strip()
    assert len(identity) == 64
    until_started(linwin, "service")
    header, row = linwin.text("ps").splitlines()
    assert " ".join(header.split()) == "CONTAINER ID IMAGE COMMAND CREATED STATUS PORTS NAMES TEMPLATE"
    assert row.startswith(identity[:12])
    assert " Up " in row
    assert row.split()[-2:] == ["service", "wine"]
    assert len(linwin.guests()) == 1
    conflict = linwin("rm", "service", code=1)
    assert b'cannot remove container "/service": container is running' in conflict.stderr
    taken = linwin("run", "--name", "service", NANOSERVER, "cmd", code=125)
    assert b'The container name "/service" is already in use by container' in taken.stderr
    before = time.monotonic()
    assert linwin.text("stop", "service") == "service\n"
    assert time.monotonic() - before < 25, "TERM was ignored: stop had to kill after its 30 s"
    state = linwin.inspect("service")["State"]
    assert (state["Status"], state["Running"], state["ExitCode"]) == ("exited", False, 0xC000013A)
    assert linwin.guests() == {}
    linwin("rm", "service")


def test_kill_ends_at_once_and_wait_tells(linwin: Linwin) -> None:
    linwin("run", "-d", "--name", "victim", NANOSERVER, *FOREVER)
    until_started(linwin, "victim")
    with linwin.start("wait", "victim", stdout=subprocess.PIPE) as waiting:
        linwin("kill", "victim")
        out, _ = waiting.communicate(timeout=GUEST_TIMEOUT)
    assert out.strip() == str(linwin.inspect("victim")["State"]["ExitCode"]).encode()
    assert out.strip() != b"0"
    linwin("rm", "victim")


def test_two_starts_of_one_container_start_it_once(linwin: Linwin) -> None:
    linwin("create", "--name", "twice", NANOSERVER, *FOREVER)
    with ThreadPoolExecutor(2) as pool:
        for done in pool.map(lambda _: linwin("start", "twice"), range(2)):
            assert done.stdout == b"twice\n"
    assert len(linwin.guests()) == 1
    linwin("rm", "-f", "twice")


def test_a_guest_that_dies_fails_its_container_with_a_sentence(linwin: Linwin) -> None:
    linwin("run", "-d", "--name", "doomed", NANOSERVER, *FOREVER)
    until_started(linwin, "doomed")
    (pid,) = linwin.guests()
    os.kill(pid, signal.SIGKILL)
    assert linwin.text("wait", "doomed") == "255\n"
    state = linwin.inspect("doomed")["State"]
    assert state["Status"] == "exited"
    assert state["Error"].startswith("the container's machine ended by signal 9; last console lines: ")
    assert "wine is up" in state["Error"]
    linwin("start", "doomed")  # it has written nothing
    linwin("rm", "-f", "doomed")


def test_a_disk_that_was_not_closed_says_so(linwin: Linwin, tmp_path: Path) -> None:
    linwin("run", "--name", "torn", NANOSERVER, "cmd", "/c", "exit")
    disk = linwin.root / "containers" / linwin.inspect("torn")["Id"] / "c.qcow2"
    mark_dirty(disk, tmp_path)
    refused = linwin("start", "torn", code=1)
    assert b"C: was not closed when the container's machine ended last" in refused.stderr
    assert b"create another" in refused.stderr
    linwin("rm", "torn")


def mark_dirty(disk: Path, folder: Path) -> None:
    """Set the flag in $VOLUME_INFORMATION (0x70) of file record 3 that a volume has while it is written."""
    beginning, sector = folder / "beginning", folder / "sector"
    dump = [
        "qemu-img",
        "dd",
        "-f",
        "qcow2",
        "-O",
        "raw",
        "bs=64k",
        "count=2",
        f"if={disk}",
        f"of={beginning}",
    ]
    subprocess.run(dump, check=True)
    content = bytearray(beginning.read_bytes())
    record = int.from_bytes(content[0x30:0x38], "little") * 4096 + 3 * 1024
    assert content[record : record + 4] == b"FILE"
    at = record + int.from_bytes(content[record + 0x14 : record + 0x16], "little")
    while content[at] != 0x70:
        at += int.from_bytes(content[at + 4 : at + 8], "little")
    flags = at + int.from_bytes(content[at + 0x14 : at + 0x16], "little") + 10
    assert content[flags] & 1 == 0, "the container left its disk unclosed"
    content[flags] |= 1
    begin = flags // 512 * 512
    sector.write_bytes(content[begin : begin + 512])
    subprocess.run(["qemu-io", "-f", "qcow2", "-c", f"write -q -s {sector} {begin} 512", disk], check=True)


def test_a_daemon_that_is_killed_loses_no_container_and_no_line(own_daemon: Linwin) -> None:
    linwin = own_daemon
    count = "for /l %i in (1,1,100000) do @(echo line %i & ping -n 2 127.0.0.1 >nul)"
    rotated = ("--log-opt", "max-size=200", "--log-opt", "max-file=99")
    linwin("run", "-d", "--name", "counter", *rotated, NANOSERVER, "cmd", "/c", f"echo started & {count}")
    until_started(linwin, "counter")
    qemus = linwin.guests()
    linwin.kill_daemon()
    with linwin.start("logs", "-f", "counter", stdout=subprocess.PIPE) as logs:
        assert logs.stdout is not None
        lines = [logs.stdout.readline().decode().strip() for _ in range(8)]
        logs.terminate()
    assert lines == ["started", *(f"line {i}" for i in range(1, 8))]
    assert linwin.guests().keys() == qemus.keys()
    linwin("stop", "-t", "5", "counter")
    linwin("rm", "counter")
    assert linwin.folders() == []


def test_rm_force_of_a_running_container_leaves_nothing(linwin: Linwin) -> None:
    linwin("run", "-d", "--name", "gone", NANOSERVER, *FOREVER)
    assert linwin.text("rm", "-f", "gone") == "gone\n"
    assert linwin.folders() == []
    assert linwin.guests() == {}
    missing = linwin("inspect", "gone", code=1)
    assert b"gone" in missing.stderr
