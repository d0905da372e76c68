"""Programs beside a container's own, and terminals, in real guests."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.scenario.terminal import Terminal, at_terminal
from tests.vm.conftest import BIN, GUEST_TIMEOUT, NANOSERVER, Linwin
from tests.vm.test_lifecycle import FOREVER, until_started

PROMPT = b"C:\\>"


@pytest.fixture
def box(linwin: Linwin) -> Iterator[str]:
    linwin("run", "-d", "--name", "box", "-e", "FROM=container", NANOSERVER, *FOREVER)
    until_started(linwin, "box")
    yield "box"
    linwin("rm", "-f", "box")


async def says(terminal: Terminal, text: bytes) -> bytes:
    return await terminal.shows(text, timeout=GUEST_TIMEOUT)


def test_exec(linwin: Linwin, docker_client: str, box: str) -> None:
    done = linwin("exec", box, "cmd", "/c", "echo %FROM% & echo err>&2& exit 7", code=7)
    assert (done.stdout, done.stderr) == (b"container \r\n", b"err\r\n")
    assert linwin.text("exec", "-i", box, "sort", input=b"b\na\n") == "a\nb\n"
    words = ["exec", "-e", "FROM=exec", "-w", "C:\\Windows", box]
    assert linwin.text(*words, "cmd", "/c", "echo %FROM%& cd") == "exec\nC:\\Windows\n"
    missing = linwin("exec", box, "no-such-program", code=127)
    assert b'exec: "no-such-program": executable file not found in %PATH%' in missing.stdout
    docker = [docker_client, "-H", f"unix://{linwin.socket}", "exec", box, "cmd", "/c", "echo hi & exit 3"]
    done = subprocess.run(docker, capture_output=True, timeout=GUEST_TIMEOUT)
    assert (done.returncode, done.stdout, done.stderr) == (3, b"hi \r\n", b"")
    assert b"hi" not in linwin("logs", box).stdout


def test_an_environment_may_be_large(linwin: Linwin, box: str, tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_text("".join(f"BIG{n:02}={'x' * 20_000}\n" for n in range(20)))
    printed = linwin.text("exec", "--env-file", str(file), box, "cmd", "/c", "set BIG")
    assert [len(line) for line in printed.splitlines()] == [len("BIG00=") + 20_000] * 20
    words = ["run", "--rm", "--env-file", str(file), NANOSERVER, "cmd", "/c", "set BIG"]
    assert linwin.text(*words) == printed


def test_exec_in_a_container_that_a_new_daemon_adopted(own_daemon: Linwin) -> None:
    linwin = own_daemon
    linwin("run", "-d", "--name", "kept", NANOSERVER, *FOREVER)
    until_started(linwin, "kept")
    linwin.kill_daemon()
    linwin("exec", "kept", "cmd", "/c", "exit 5", code=5)
    linwin("rm", "-f", "kept")


async def test_an_interactive_cmd(linwin: Linwin, program: Callable[[str], str]) -> None:
    words = [str(BIN / "linwin"), "run", "--rm", "-it", program("node"), "cmd"]
    async with at_terminal(*words, env=linwin.environment, rows=30, columns=100) as terminal:
        await says(terminal, PROMPT)
        terminal.type(b"ver\r")
        await says(terminal, b"Microsoft Windows 10.0.")
        await says(terminal, PROMPT)
        await shows_its_width(terminal, 100)
        terminal.resize(40, 70)
        await shows_its_width(terminal, 70)
        terminal.type(b"exit 3\r")
        assert await terminal.ends(GUEST_TIMEOUT) == 3
        assert terminal.cooked


async def shows_its_width(terminal: Terminal, columns: int) -> None:
    """Ask until the guest has heard of it: nothing tells when that is."""
    seen = b""
    while seen != b"%d" % columns:
        terminal.type(b"node -p \"'['+process.stdout.columns+']'\"\r")
        await says(terminal, b"\n")  # of the echoed line
        await says(terminal, b"[")
        seen = (await says(terminal, b"]")).rpartition(b"[")[2]
        await says(terminal, PROMPT)


async def test_dockers_client_has_an_interactive_cmd(linwin: Linwin, docker_client: str, box: str) -> None:
    words = [docker_client, "-H", f"unix://{linwin.socket}", "exec", "-it", box, "cmd"]
    async with at_terminal(*words, env=linwin.environment) as terminal:
        await says(terminal, PROMPT)
        terminal.type(b"ping -n 1000 127.0.0.1\r")
        await says(terminal, b"Pinging")
        await says(terminal, b"127.0.0.1: ")
        terminal.type(b"\x03")
        await says(terminal, PROMPT)
        terminal.type(b"echo %OS%& exit 4\r")
        await says(terminal, b"Windows_NT")
        assert await terminal.ends(GUEST_TIMEOUT) == 4
        assert terminal.cooked
    assert linwin.inspect(box)["State"]["Status"] == "running"


async def test_detach_leaves_the_program_and_attach_finds_it(linwin: Linwin) -> None:
    words = [str(BIN / "linwin"), "run", "-it", "--name", "left", NANOSERVER, "cmd"]
    async with at_terminal(*words, env=linwin.environment) as terminal:
        await says(terminal, PROMPT)
        terminal.type(b"set MARK=kept\r")
        await says(terminal, PROMPT)
        terminal.type(b"\x10\x11")
        assert await terminal.ends() == 0
        assert terminal.cooked
    async with at_terminal(str(BIN / "linwin"), "attach", "left", env=linwin.environment) as terminal:
        await terminal.lent()
        terminal.type(b"echo [%MARK%]\r")
        await says(terminal, b"[kept]")
        terminal.type(b"exit\r")
        assert await terminal.ends(GUEST_TIMEOUT) == 0
    assert b"[kept]" in linwin("logs", "left").stdout
    linwin("rm", "left")
