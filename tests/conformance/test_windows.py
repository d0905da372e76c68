"""What only the Windows build does. Each test names the Windows APIs that Wine ran for it."""

from __future__ import annotations

import asyncio
import socket
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from linwin.errors import Unavailable
from linwin.guest import AgentGuest

from .conftest import GO, GO_ENVIRONMENT
from .streams import collect, until
from .targets import AGENTS, ROOT, Target, forwarded, under_wine
from .wine import Wine

AGENT = str(AGENTS / "linwin-agent.exe")


@pytest.fixture
async def target(tmp_path: Path, shared_wine: Wine) -> AsyncIterator[Target]:
    async with under_wine(tmp_path, shared_wine) as made:
        yield made


@pytest.mark.wine_api("CreateJobObjectW", "TerminateJobObject", "UpdateProcThreadAttribute", "CreateProcessW")
async def test_a_job_ends_as_a_whole(target: Target, guest: AgentGuest) -> None:
    line = f"cmd /c {target.subject} stray & {target.subject} sleep"
    process = await guest.spawn("p", target.line((), line))
    output = process.output()
    stray = (await until(output, b"\n")).decode().split()[0]
    await until(output, b"ready")
    assert await collect(await guest.spawn("q", target.spec("alive", stray))) == (b"true\n", b"")
    await process.signal("KILL")
    assert await process.wait() == 137
    assert await collect(await guest.spawn("r", target.spec("alive", stray))) == (b"false\n", b"")


@pytest.mark.wine_api("SetInformationJobObject")
async def test_programs_end_with_a_killed_agent(tmp_path: Path, shared_wine: Wine) -> None:
    """JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE: the agent's handle was the job's last."""
    async with under_wine(tmp_path, shared_wine) as first:
        guest = await first.connect()
        process = await guest.spawn("p", first.spec("identify"))
        pid = (await until(process.output(), b"\n")).decode().split()[1]
        await guest.close()
    (tmp_path / "again").mkdir()
    async with under_wine(tmp_path / "again", shared_wine) as second:
        guest = await second.connect()
        assert await collect(await guest.spawn("p", second.spec("await", pid))) == (b"gone\n", b"")
        await guest.close()


@pytest.mark.wine_api("CreateEnvironmentBlock", "RegSetValueExW")
async def test_setx_reaches_the_next_exec(target: Target, guest: AgentGuest) -> None:
    keys = {
        "MACHINE": "HKLM\\SYSTEM\\CurrentControlSet\\Control\\Session Manager\\Environment",
        "USER": "HKCU\\Environment",
    }
    for name, key in keys.items():
        for kind, value in (("REG_SZ", "kept"), ("REG_EXPAND_SZ", "%SystemRoot%\\x")):
            line = f'reg add "{key}" /f /v {name}{kind} /t {kind} /d {value}'
            assert await (await guest.spawn(name + kind, target.line((), line))).wait() == 0
    names = [name + kind for name in keys for kind in ("REG_SZ", "REG_EXPAND_SZ")]
    stdout, _ = await collect(await guest.spawn("env", target.spec("env", *names)))
    kept, expanded = "kept", "C:\\windows\\x"
    assert stdout.decode().splitlines() == [kept, expanded, kept, expanded]


@pytest.mark.wine_api("AttachConsole", "GenerateConsoleCtrlEvent")
async def test_ctrl_c_reaches_all_programs_of_a_console(target: Target, guest: AgentGuest) -> None:
    process = await guest.spawn("p", target.spec("family"))
    output = process.output()
    await until(output, b"ready")
    await process.signal("INT")
    assert await until(output, b"5\n") == b"caught interrupt\nthe other one's code is 5\n"


@pytest.mark.wine_api("CreateRemoteThread", "SetConsoleCtrlHandler")
async def test_a_shutdown_event_reaches_the_program(target: Target, guest: AgentGuest) -> None:
    process = await guest.spawn("p", target.spec("trap", "9"))
    output = process.output()
    await until(output, b"ready")
    await process.signal("TERM")
    assert b"caught terminated" in await until(output, b"\n")


@pytest.mark.wine_api("CreatePseudoConsole", "ClosePseudoConsole", "ResizePseudoConsole")
async def test_a_refused_resize_is_said_plainly(target: Target, guest: AgentGuest) -> None:
    process = await guest.spawn("p", target.spec("size", stdin=True, terminal=(24, 80)))
    await until(process.output(), b"size 24 80")
    with pytest.raises(Unavailable) as caught:
        await process.resize(50, 132)
    assert str(caught.value) == (
        "this Windows did not resize the terminal: ResizePseudoConsole: HRESULT 0x80004001"
    )
    await process.signal("KILL")


@pytest.mark.wine_api("CreateNamedPipeW", "ReadFile", "WriteFile", "GetOverlappedResult", "CancelIoEx")
async def test_a_stray_that_left_the_job_does_not_hold_up_the_end(target: Target, guest: AgentGuest) -> None:
    """A service of Wine's that the program started keeps its pipes: reads of them are given up."""
    process = await guest.spawn("p", target.line((), "cmd /c echo done"))
    assert await asyncio.wait_for(collect(process), 60) == (b"done\r\n", b"")


@pytest.mark.wine_api(
    "OpenSCManagerW", "CreateServiceW", "ChangeServiceConfig2W", "StartServiceW",
    "StartServiceCtrlDispatcherW", "RegisterServiceCtrlHandlerExW", "SetServiceStatus",
    "QueryServiceStatusEx", "ControlService", "DeleteService",
)  # fmt: skip
async def test_the_service_is_installed_runs_and_is_uninstalled(tmp_path: Path, shared_wine: Wine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    await asyncio.to_thread(shared_wine.run, AGENT, "service", "install", "-listen", f"127.0.0.1:{port}")
    try:
        async with forwarded(tmp_path / "service.sock", f"127.0.0.1:{port}") as machine:
            target = Target("service", "windows", "C:\\subject.exe", machine, "C:\\conformance\\")
            guest = await target.connect()
            stdout, _ = await collect(await guest.spawn("p", target.spec("print", "served")))
            assert stdout == b"served\n"
            await guest.close()
        refused = await asyncio.to_thread(shared_wine.run, AGENT, "service", "install", code=1)
        assert "make the service linwin-agent: " in refused  # it exists
    finally:
        await asyncio.to_thread(shared_wine.run, AGENT, "service", "uninstall")
    # Older Wines have another folder for %ProgramData% than Windows.
    places = [shared_wine.drive / "ProgramData", shared_wine.drive / "users" / "Public"]
    (log,) = [found for place in places for found in place.glob("linwin/agent.log")]
    assert f"listening on 127.0.0.1:{port}" in log.read_text()
    refused = await asyncio.to_thread(shared_wine.run, AGENT, "service", "uninstall", code=1)
    assert "open the service linwin-agent" in refused
    with pytest.raises(OSError):
        await asyncio.open_connection("127.0.0.1", port)


@pytest.mark.wine_api("StartServiceCtrlDispatcherW")
async def test_a_service_needs_windows_to_start_it(shared_wine: Wine) -> None:
    printed = await asyncio.to_thread(shared_wine.run, AGENT, "service", "run", code=1)
    assert "windows did not start this as a service" in printed


@pytest.mark.slow
@pytest.mark.wine_api(
    "CreateNamedPipeW",
    "CreateFileW",
    "ReadFile",
    "WriteFile",
    "GetOverlappedResult",
    "CancelIoEx",
    "RegNotifyChangeKeyValue",
)
def test_go_tests_of_the_windows_packages(shared_wine: Wine) -> None:
    """The agent's own, overlapped pipes and the port among them; tests/style runs those of Linux."""
    environment = {**shared_wine.environment, **GO_ENVIRONMENT, "GOOS": "windows"}
    listed = subprocess.run(
        [GO, "list", "./..."], cwd=ROOT / "agent", env=environment, capture_output=True, text=True, check=True
    )
    # The Windows build has no part in archive, and os.Root, on which it stands, needs what Wine lacks.
    packages = [package for package in listed.stdout.split() if package != "linwin/agent/archive"]
    done = subprocess.run(
        [GO, "test", "-exec", shared_wine.loader, *packages],
        cwd=ROOT / "agent", env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    for package in ("frame", "overlapped", "port", "program", "windows"):
        assert f"linwin/agent/{package}\t" in done.stdout
