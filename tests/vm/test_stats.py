"""What runs in a real guest, and what it takes."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import closing

import docker
import pytest

from tests.vm.conftest import GUEST_TIMEOUT, NANOSERVER, Linwin

BUSY = ("cmd", "/c", "echo begun& for /L %i in (1,1,2000000000) do @rem")


@pytest.fixture
def busy(linwin: Linwin) -> Iterator[str]:
    linwin("run", "-d", "--name", "busy", NANOSERVER, *BUSY)
    following = linwin.start("logs", "-f", "busy", stdout=subprocess.PIPE)
    assert following.stdout is not None
    assert following.stdout.readline() == b"begun\r\n"
    following.kill()
    following.communicate()
    yield "busy"
    linwin("rm", "-f", "busy")


def test_top_and_stats_of_a_busy_program(linwin: Linwin, docker_client: str, busy: str) -> None:
    def docker(*words: str) -> str:
        done = subprocess.run(
            [docker_client, "-H", f"unix://{linwin.socket}", *words],
            capture_output=True,
            timeout=GUEST_TIMEOUT,
        )
        assert (done.returncode, done.stderr) == (0, b"")
        return done.stdout.decode()

    def processes() -> dict[str, list[str]]:
        lines = [line.split() for line in docker("top", busy).splitlines()]
        assert lines[0] == ["Name", "PID", "CPU", "Private", "Working", "Set"]
        return {cells[0]: cells[1:] for cells in lines[1:]}

    first = processes()
    assert "linwin-launch.exe" not in first
    tasks = linwin.text("exec", busy, "tasklist", "/fo", "csv", "/nh")
    known = dict(line.replace('"', "").split(",")[:2] for line in tasks.splitlines() if line)
    for name, (pid, _, _) in first.items():
        assert known[name] == pid, "the ids are Windows' own"
    form = "{{.Name}} {{.CPUPerc}} {{.MemUsage}} {{.BlockIO}}"
    name, cpu, memory, read, *_ = docker("stats", "--no-stream", "--format", form, busy).split()
    assert name == busy
    assert 10 < float(cpu.removesuffix("%")) <= 110, "it does nothing but burn CPU"
    assert memory.endswith("MiB")
    assert not read.startswith("0B"), "cmd.exe was read from somewhere"
    assert processes()["cmd.exe"][1] > first["cmd.exe"][1], "its CPU time grows"


@pytest.mark.parametrize("start", [(), ("--cold",)])
def test_a_start_does_not_wait_for_every_page_of_the_map_of_clusters(
    linwin: Linwin, start: tuple[str, ...]
) -> None:
    """Its 320 pages are one request or two of the agent's, and ntfs3 finds them in memory."""
    linwin("run", "-d", "--name", "box", *start, NANOSERVER, "cmd", "/c", "ping -n 100000 127.0.0.1 >nul")
    with closing(docker.DockerClient(base_url=f"unix://{linwin.socket}")) as client:
        told = client.containers.get("box").stats(stream=False)
    linwin("rm", "-f", "box")
    assert 0 < told["storage_stats"]["read_count_normalized"] < 320
