"""A scripted daemon, and the CLI to be run against it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from linwin.cli.main import main
from tests.unit.cli.fake_daemon import FakeDaemon

REPOSITORY = Path(__file__).parents[3]


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty LINWIN_ROOT and home, and a socket path short enough for an address."""
    with tempfile.TemporaryDirectory(prefix="linwin-cli-") as folder:
        monkeypatch.setenv("LINWIN_ROOT", str(tmp_path / "root"))
        monkeypatch.setenv("LINWIN_HOST", f"unix://{folder}/s")
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
        monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
        monkeypatch.setenv("TZ", "UTC")
        monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
        yield Path(folder)


@pytest.fixture
def docker_folder(place: Path) -> Path:
    """The user's folder of docker's configuration, empty."""
    folder = Path(os.environ["DOCKER_CONFIG"])
    folder.mkdir()
    return folder


@pytest.fixture
def config(docker_folder: Path) -> Path:
    """Where docker's configuration file is looked for; it is not there yet."""
    return docker_folder / "config.json"


@pytest.fixture
def daemon(place: Path) -> Iterator[FakeDaemon]:
    with FakeDaemon(place / "s") as fake:
        yield fake


@pytest.fixture
def linwin(place: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Run a command line in this process."""

    def run(*arguments: str) -> Result:
        capfd.readouterr()
        code = main(arguments)
        return Result(code, *capfd.readouterr())

    return run


@pytest.fixture
def spawn(place: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Run a command line in a process of its own, with pipes; it is killed at the end if it still runs."""
    processes: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str, **more: object) -> subprocess.Popen[bytes]:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
        process = subprocess.Popen(
            [sys.executable, "-m", "linwin", *arguments], env=dict(os.environ), **pipes
        )  # type: ignore[call-overload]
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.wait(10)
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
