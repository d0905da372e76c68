"""The command line itself: what a mistake is answered with, help, and the reference made from it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from linwin import __version__
from linwin.cli import main
from linwin.cli.reference import reference

DOCUMENT = Path(__file__).parents[3] / "docs" / "cli.md"


@pytest.mark.parametrize(
    ("arguments", "code", "sentence", "path"),
    [
        (["ps", "--foo"], 125, "unknown flag: --foo", "linwin ps"),
        (["run", "--foo", "x"], 125, "unknown flag: --foo", "linwin run"),
        (["run", "-y", "x"], 125, "unknown flag: -y", "linwin run"),
        (["run", "x", "-y"], None, "", ""),
        (["run"], 1, "'linwin run' requires at least 1 argument", "linwin run"),
        (["rm"], 1, "'linwin rm' requires at least 1 argument", "linwin rm"),
        (["tag", "a"], 1, "'linwin tag' requires 2 arguments", "linwin tag"),
        (["logs"], 1, "'linwin logs' requires 1 argument", "linwin logs"),
        (["logs", "a", "b"], 1, "'linwin logs' requires 1 argument", "linwin logs"),
        (["ps", "x"], 1, "'linwin ps' accepts no arguments", "linwin ps"),
        (["images", "x", "y"], 1, "'linwin images' requires at most 1 argument", "linwin images"),
        (["frob"], 1, "unknown command: linwin frob", "linwin"),
        (["template", "frob"], 1, "unknown command: linwin template frob", "linwin template"),
        (["image", "frob"], 1, "unknown command: linwin image frob", "linwin image"),
        (["system", "ps"], 1, "unknown command: linwin system ps", "linwin system"),
        (["pull"], 1, "'linwin pull' requires 1 argument", "linwin pull"),
        (["container", "rm"], 1, "'linwin container rm' requires at least 1 argument", "linwin container rm"),
        (["logout", "a", "b"], 1, "'linwin logout' requires at most 1 argument", "linwin logout"),
        (
            ["run", "-m", "abc", "x"],
            125,
            'invalid argument for -m: invalid size: "abc" (write a number and b, k, m or g, such as 512m)',
            "linwin run",
        ),
        (
            ["run", "-a", "foo", "x"],
            125,
            'invalid argument for -a: "foo" is none of stdin, stdout and stderr',
            "linwin run",
        ),
        (
            ["run", "-d", "-a", "stdout", "x"],
            125,
            "conflicting options: cannot specify both --attach and --detach",
            "linwin run",
        ),
        (["ps", "-f", "foo"], 125, 'invalid argument for -f: "foo" is not NAME=VALUE', "linwin ps"),
    ],
)
def test_mistakes(
    daemon: Any, linwin: Any, arguments: list[str], code: int | None, sentence: str, path: str
) -> None:
    result = linwin(*arguments)
    if code is None:  # what follows the image belongs to the command
        assert "unknown flag" not in result.err
        return
    assert result.err == f"linwin: {sentence}\nRun '{path} --help' for more information.\n"
    assert (result.code, result.out) == (code, "")
    assert daemon.requests == []


def test_help_of_everything(linwin: Any) -> None:
    result = linwin()
    assert result.code == 0
    assert all(f"\n  {name} " in result.out for name in main.COMMANDS)
    assert linwin("--help").out == result.out
    for group in ("container", "image", "system", "template"):
        assert linwin(group).out == linwin(group, "--help").out
    for name in main.COMMANDS:
        assert linwin(name, "--help").out.startswith(f"Usage: linwin {name} ")


def test_version_option(linwin: Any) -> None:
    assert linwin("--version").out == f"linwin version {__version__}\n" == linwin("-v").out


def test_host_option_chooses_the_daemon(daemon: Any, linwin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    daemon.on("GET /containers/json", [])
    address = os.environ["LINWIN_HOST"]
    monkeypatch.setenv("LINWIN_HOST", "tcp://127.0.0.1:1")
    assert linwin("-H", address, "ps").code == 0


def test_the_reference_is_what_the_commands_say() -> None:
    assert DOCUMENT.read_text() == reference(), "run: python -m linwin.cli.reference > docs/cli.md"


def test_a_quick_command_does_not_import_what_costs_time(daemon: Any) -> None:
    daemon.on("GET /containers/json", [])
    script = "import sys; from linwin.cli.main import main; main(['ps']); print(*sys.modules)"
    environment = {**os.environ}
    shown = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    heavy = {
        "asyncio",
        "aiohttp",
        "rich",
        "yaml",
        "http.client",
        "ssl",
        "email",
        "subprocess",
        "linwin.paths",
        "base64",
        "tempfile",
        "linwin.cli.credentials",
        "linwin.cli.progress",
    }
    assert heavy.isdisjoint(shown.stdout.split())


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_hangs_up_is_no_traceback(
    daemon: Any, spawn: Any, monkeypatch: pytest.MonkeyPatch, unbuffered: str
) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    daemon.on("GET /containers/json", [])
    reader, writer = os.pipe()
    os.close(reader)
    process = spawn("ps", stdout=writer)
    os.close(writer)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (1, b"")
