"""What the agent and the launcher add to Wine, so that programs meet what Windows would give them."""

from __future__ import annotations

import hashlib
import subprocess
import time
from collections.abc import Callable

from tests.vm.conftest import GUEST_TIMEOUT, Linwin

NANOSERVER = "microsoft/nanoserver"


def test_cmd_runs_every_line_of_a_script_from_stdin(linwin: Linwin) -> None:
    script = (
        "@echo off",
        "echo %COMPUTERNAME% %USERNAME%",
        "echo kept> %USERPROFILE%\\note.txt",
        "type %USERPROFILE%\\note.txt",
        "set /p answer=",
        "forty-two",
        "echo the answer is %answer%",
        "if exist %TEMP% echo TEMP exists",
        "exit /b 77",
        "echo never reached",
    )
    done = linwin(
        "run", "-i", "--rm", "-h", "builder", NANOSERVER, "cmd", "/q",
        input="\r\n".join(script).encode(), code=77,
    )  # fmt: skip
    printed = [line.strip() for line in done.stdout.decode().splitlines() if line.strip()]
    assert printed[1:] == [
        "BUILDER ContainerUser", "kept", "the answer is forty-two", "TEMP exists"
    ]  # fmt: skip


def test_cmd_waits_for_the_end_of_a_line(linwin: Linwin) -> None:
    command = linwin.start(
        "run", "-i", "--rm", NANOSERVER, "cmd", "/q", stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert command.stdin is not None
    assert command.stdout is not None
    command.stdin.write(b"echo started\r\nec")
    command.stdin.flush()
    while b"started" not in command.stdout.readline():
        assert command.poll() is None
    # cmd is idle now and would take the fragment for a command.
    time.sleep(0.5)
    rest, _ = command.communicate(b"ho whole\r\nexit /b 5\r\n", timeout=GUEST_TIMEOUT)
    assert command.returncode == 5
    assert b"whole" in rest.split()
    assert b"ec" not in rest.split()


def test_what_cmd_leaves_of_stdin_reaches_its_programs_at_full_speed(
    linwin: Linwin, program: Callable[[str], str]
) -> None:
    # Line by line, each waited for, this would take longer than a guest may.
    rest = b"".join(b"line %06d\r\n" % number for number in range(150_000))
    # No spaces, quotes or arrows: cmd reads this before node does.
    digest = "h=require('crypto').createHash('sha256');process.stdin.on('data',function(d){h.update(d)})"
    digest += ".on('end',function(){console.log(h.digest('hex'))})"
    commands = f"set /p a= & set /p b= & echo !a!-!b!& node -e {digest}"
    script = program("node"), "cmd", "/v:on", "/c", *commands.split(" ")
    printed = linwin.text("run", "-i", "--rm", *script, input=b"one\r\ntwo\r\n" + rest)
    assert printed.split() == ["one-two", hashlib.sha256(rest).hexdigest()]


def test_a_missing_working_directory_is_made(linwin: Linwin) -> None:
    words = ["run", "--rm", "-w", "c:/new folder/sub", NANOSERVER, "cmd", "/c"]
    printed = linwin.text(*words, "cd & echo made> f.txt & dir /b \\new*")
    assert [line.strip().lower() for line in printed.splitlines()] == ["c:\\new folder\\sub", "new folder"]


def test_a_working_directory_that_cannot_be_is_refused(linwin: Linwin) -> None:
    for folder, sentence in {
        "C:\\Windows\\win.ini": 'the working directory "C:\\\\Windows\\\\win.ini" is invalid: '
        "The directory name is invalid.",
        "work": "the working directory 'work' is invalid, it needs to be an absolute path",
    }.items():
        done = linwin("run", "--rm", "-w", folder, NANOSERVER, "cmd", "/c", "cd", code=125)
        assert sentence in done.stderr.decode()


def test_a_command_line_as_long_as_windows_takes(linwin: Linwin, program: Callable[[str], str]) -> None:
    words = ["run", "--rm", "-e", f"LONG={'e' * 20_000}", program("node"), "node", "-p"]
    printed = linwin.text(*words, "process.argv[1].length + process.env.LONG.length", "z" * 32_600)
    assert printed == "52600\n"
