"""A Windows service, installed in a container: it starts with the container and stops in order with it."""

from __future__ import annotations

from tests.vm.conftest import Linwin

SCRIPT = (
    "if not exist C:\\service.log (C:\\service.exe install & net start Diary) "
    "else (C:\\service.exe await & type C:\\service.log & sc query Diary)"
)


def test_a_service_starts_and_stops_with_its_container(linwin: Linwin, test_programs: str) -> None:
    printed = linwin.text("run", "--name", "diary", test_programs, "cmd", "/c", SCRIPT)
    assert printed == (
        "installed\nThe A diary service is starting.\nThe A diary service was started successfully.\n"
    )
    for _ in range(2):
        linwin("start", "diary")
        assert linwin.text("wait", "diary") == "0\n"
    logged = linwin.text("logs", "diary").removeprefix(printed).split("WAIT_HINT")
    once = ["start", "stop", "end"]
    first, second = (part.split("SERVICE_NAME: Diary")[0].split() for part in logged[:2])
    assert first == [*once, "start"]
    assert second[second.index("start") :] == [*once, *once, "start"]
    assert [part.count("RUNNING") for part in logged] == [1, 1, 0]
    linwin("rm", "diary")


def test_services_are_managed_as_on_windows(linwin: Linwin, test_programs: str) -> None:
    script = b"\r\n".join(
        [
            b'sc create Other binPath= "C:\\service.exe" start= demand displayname= "Another"',
            b"echo created %errorlevel%",
            b"sc create Other binPath= C:\\service.exe",
            b"echo created again %errorlevel%",
            b"sc start nothing",
            b"echo started nothing %errorlevel%",
            b"sc stop Other",
            b"echo stopped %errorlevel%",
            b"sc query Other",
            b"sc delete Other",
            b"echo deleted %errorlevel%",
            b"sc query Other",
            b"echo queried %errorlevel%",
            b"exit 0",
        ]
    )
    printed = linwin.text("run", "-i", "--rm", test_programs, "cmd", "/q", input=script)
    said = [line.strip() for line in printed.splitlines()]
    for line in (
        "created 0", "created again 1073", "started nothing 1060", "stopped 1062",
        "deleted 0", "queried 1060",
    ):  # fmt: skip
        assert line in said
    assert "STATE              : 1  STOPPED" in said
