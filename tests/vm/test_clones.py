"""Restored containers: as good as booted ones, strangers to each other, and nothing left of them."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.vm.conftest import Linwin, daemon

NANOSERVER = "microsoft/nanoserver"


def boot_of(linwin: Linwin, name: str) -> str:
    boot = linwin.inspect(name)["Linwin"]["Boot"]
    assert isinstance(boot, str)
    return boot


def test_a_run_is_restored_and_says_nothing_of_it(linwin: Linwin) -> None:
    for name in ("one", "two"):
        done = linwin("run", "--name", name, NANOSERVER, "cmd", "/c", "hostname")
        identity = linwin.inspect(name)["Id"]
        assert done.stdout.decode().strip() == identity[:12]
        assert b"cold" not in done.stderr
        assert boot_of(linwin, name) == "restored"
    linwin("rm", "one", "two")


def test_two_clones_share_no_secret(linwin: Linwin, program: Callable[[str], str]) -> None:
    script = (
        "const c=require('crypto'),o=require('os');console.log(JSON.stringify({"
        "bytes:c.randomBytes(16).toString('hex'),uuid:c.randomUUID(),math:Math.random(),"
        "key:c.createECDH('prime256v1').generateKeys('hex'),"
        "host:o.hostname(),name:process.env.COMPUTERNAME,domain:process.env.USERDOMAIN,time:Date.now()}))"
    )

    def run(_: int) -> dict[str, Any]:
        told = json.loads(linwin.text("run", "--rm", program("node"), "node", "-e", script))
        assert isinstance(told, dict)
        return told

    program("node")
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(run, range(2))
    for secret in ("bytes", "uuid", "math", "key", "host", "name"):
        assert first[secret] != second[secret], secret
    for told in (first, second):
        assert told["host"].upper() == told["name"]
        assert told["domain"] == "User Manager"
        assert abs(told["time"] / 1000 - time.time()) < 120


def test_windows_is_the_same_restored_and_cold(linwin: Linwin, program: Callable[[str], str]) -> None:
    """Registry, environment and processes: nothing of the frozen guest may show."""
    script = (
        "const r=require('child_process'),f=require('fs');"
        "for(const k of ['HKLM','HKCU','HKU']){r.execSync('reg export '+k+' C:\\\\x.reg /y');"
        "console.log(f.readFileSync('C:\\\\x.reg','utf16le'))}"
        "console.log(process.env);console.log(f.readdirSync('C:\\\\'));"
        "console.log(r.execSync('tasklist /fo csv /nh').toString().replace(/,.*/g,''))"
    )
    words = ("-h", "same-name", program("node"), "node", "-e", script)
    restored = linwin.text("run", "--rm", *words)
    cold = linwin.text("run", "--rm", "--cold", *words)
    assert restored.count("\n") > 40_000
    assert "SAME-NAME" in restored
    differing = [
        (mine, other)
        for mine, other in zip(restored.splitlines(), cold.splitlines(), strict=True)
        # A kernel measures its clock at each boot, and a busy host shows in the last digits.
        if mine != other and not (mine.startswith('"~MHz"=') and other.startswith('"~MHz"='))
    ]
    assert differing == []


def test_a_registry_of_its_own_reaches_a_restored_container(linwin: Linwin) -> None:
    script = "if defined KEPT (echo %KEPT%) else (reg add HKCU\\Environment /v KEPT /d value /f >nul)"
    linwin("run", "--name", "registry", NANOSERVER, "cmd", "/c", script)
    linwin("start", "registry")
    linwin("wait", "registry")
    assert linwin.text("logs", "registry") == "value\n"
    assert boot_of(linwin, "registry") == "restored"
    linwin("rm", "registry")


def test_a_cold_guest_is_a_choice(linwin: Linwin) -> None:
    done = linwin("run", "--cold", "--name", "chosen", NANOSERVER, "cmd", "/c", "exit 3", code=3)
    assert b"cold" not in done.stderr
    assert boot_of(linwin, "chosen") == "cold"
    linwin("rm", "chosen")


def test_a_clone_survives_the_daemon(own_daemon: Linwin) -> None:
    linwin = own_daemon
    script = "echo started & for /l %i in (1,1,100000) do @(echo line %i & ping -n 2 127.0.0.1 >nul)"
    linwin("run", "-d", "--name", "counter", NANOSERVER, "cmd", "/c", script)
    assert boot_of(linwin, "counter") == "restored"
    qemus = linwin.guests()
    linwin.kill_daemon()
    with linwin.start("logs", "-f", "counter", stdout=subprocess.PIPE) as logs:
        assert logs.stdout is not None
        lines = [logs.stdout.readline().decode().strip() for _ in range(5)]
        logs.terminate()
    assert lines == ["started", *(f"line {i}" for i in range(1, 5))]
    assert linwin.guests().keys() == qemus.keys()
    linwin("rm", "-f", "counter")


def test_a_truncated_checkpoint_is_told_replaced_and_harms_nobody(own_daemon: Linwin) -> None:
    linwin = own_daemon
    linwin("daemon", "stop")
    (ram,) = (linwin.root / "checkpoints").glob("*/ram")
    os.truncate(ram, ram.stat().st_size // 2)
    done = linwin("run", "--rm", NANOSERVER, "cmd", "/c", "exit 4", code=4)
    assert (
        b"linwin: the guest booted cold: the checkpoint was damaged (its ram has another size than it had) "
        b"and is discarded; it is being made\n"
    ) in done.stderr
    assert linwin.text("checkpoint", "create") == ""  # returns when the one in the background is made
    again = linwin("run", "--rm", NANOSERVER, "cmd", "/c", "exit 5", code=5)
    assert b"cold" not in again.stderr


def test_the_budget_evicts_and_a_killed_daemon_leaves_no_machine_half_frozen() -> None:
    os.environ["LINWIN_CHECKPOINT_BUDGET"] = "150"
    try:
        with daemon() as linwin:
            assert len(linwin.text("checkpoint", "ls", "-q").split()) == 1
            (made,) = linwin.text("checkpoint", "create", "--memory", "400m").split()
            assert linwin.text("checkpoint", "ls", "-q", "--no-trunc").split() == [made]
            with linwin.start("checkpoint", "create", stderr=subprocess.PIPE) as making:
                assert making.stderr is not None
                while b"Warming" not in making.stderr.readline():
                    assert making.poll() is None
                linwin.kill_daemon()
                making.communicate()
            assert len(linwin.qemus()) == 1
            assert linwin.text("checkpoint", "ls", "-q", "--no-trunc").split() == [made]
            assert linwin.qemus() == {}
            assert sorted(os.listdir(linwin.root / "checkpoints")) == [made]
    finally:
        del os.environ["LINWIN_CHECKPOINT_BUDGET"]
