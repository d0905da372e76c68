"""The API by itself: a real daemon over real state and a real socket, whose guests are fakes.

A list of many containers, what clients cost that only wait, how fast output reaches a
client that is attached, and a command beside a Python that does nothing.

    scripts/bench api [--runs 15] [--containers 1000] [--seconds 10] [--bytes 1000000000]
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from cli import ps_beside_python
from daemon import DaemonProcess
from figures import Figure

from linwin.client import Client

LIST_SECONDS = 0.05
WAITS, FOLLOWERS = 200, 50
IDLE_CPU = 0.05
"""Seconds of CPU in ten that a daemon may take while clients only wait."""
ATTACH_RATE = 200.0
"""MB/s."""
BUFFER = 1 << 20
FEW = 10
"""Containers of the daemon that ``linwin ps`` asks: what the command costs, not the length of its table."""
HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True)
class Subject:
    """The daemon that is measured."""

    host: str
    process: DaemonProcess

    @property
    def client(self) -> Client:
        return Client(self.host, timeout=120)


@contextmanager
def fake_daemon(containers: int) -> Iterator[Subject]:
    """A daemon with so many containers that run; it ends with the context."""
    with tempfile.TemporaryDirectory(prefix="linwin-") as folder:
        script = Path(__file__).with_name("fake_daemon.py")
        with subprocess.Popen(
            [sys.executable, str(script), folder, str(containers)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                if process.stdout.readline() != "ready\n":
                    raise SystemExit("the daemon did not start")
                yield Subject(f"unix://{folder}/linwin.sock", DaemonProcess(Path(f"/proc/{process.pid}")))
            finally:
                process.stdin.close()


def environment(subject: Subject) -> dict[str, str]:
    """That of a client of the daemon."""
    return {**os.environ, "LINWIN_HOST": subject.host}


def listing(subject: Subject, containers: int, runs: int) -> Figure:
    """From the request to the last byte of the answer."""

    def once() -> float:
        start = time.monotonic()
        with subject.client.request("GET", "/containers/json", {"all": True}) as response:
            body = response.read()
        seconds = time.monotonic() - start
        assert len(json.loads(body)) == containers
        return seconds

    once()
    before = subject.process.cpu_seconds()
    median = statistics.median(once() for _ in range(runs))
    cpu = (subject.process.cpu_seconds() - before) / runs
    note = f"median of {runs}; each takes {cpu:.3f} s of the daemon's CPU"
    name = f"a list of {containers} containers"
    return Figure(name, round(median, 4), None, "s", {"max": LIST_SECONDS}, note)


def waiting(subject: Subject, seconds: float) -> Figure:
    """CPU of the daemon while clients wait for containers and follow events, and nothing happens."""
    (name,) = subject.client.get("/containers/json", limit=1)[0]["Names"]
    with ExitStack() as clients:
        for _ in range(WAITS):
            path = f"/containers{name}/wait"
            clients.enter_context(subject.client.request("POST", path, {"condition": "next-exit"}))
        for _ in range(FOLLOWERS):
            clients.enter_context(subject.client.request("GET", "/events"))
        before = subject.process.cpu_seconds()
        time.sleep(seconds)
        taken = subject.process.cpu_seconds() - before
    return Figure(
        f"CPU of the daemon with {WAITS} waits and {FOLLOWERS} event streams",
        round(taken / seconds * 10, 3),
        None,
        "s in 10 s",
        {"max": IDLE_CPU},
        f"over {seconds:g} s",
    )


def attached(subject: Subject, driver: str, count: int) -> float:
    """MB/s of a program's output through an attached connection."""
    client = subject.client
    config = {
        "Image": "microsoft/nanoserver",
        "Cmd": ["pour", str(count)],
        "HostConfig": {"LogConfig": {"Type": driver}},
    }
    container = client.post("/containers/create", body=config)["Id"]
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(120)
        connection.connect(subject.host.removeprefix("unix://"))
        path = f"/containers/{container}/attach?stdout=1&stream=1"
        head = f"POST {path} HTTP/1.1\r\nHost: linwin\r\nUser-Agent: linwin\r\n"
        connection.sendall(f"{head}Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n".encode())
        answer = b""
        while HEAD_END not in answer:
            answer += connection.recv(BUFFER)
        start = time.monotonic()
        client.post(f"/containers/{container}/start")
        received = len(answer.partition(HEAD_END)[2])
        buffer = bytearray(BUFFER)
        while taken := connection.recv_into(buffer):
            received += taken
        seconds = time.monotonic() - start
    assert received >= count
    client.delete(f"/containers/{container}", force=True)
    return count / seconds / 1e6


def attaching(subject: Subject, driver: str, count: int, runs: int, target: dict[str, float]) -> Figure:
    rates = [attached(subject, driver, count) for _ in range(runs)]
    note = f"median of {runs}; {count / 1e6:g} MB from the program's start to the end of the stream"
    name = f"attached output, log driver {driver}"
    return Figure(name, round(statistics.median(rates), 1), None, "MB/s", target, note)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--containers", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--bytes", type=int, default=1_000_000_000)
    options = parser.parse_args()
    with fake_daemon(options.containers) as subject:
        figures = [
            listing(subject, options.containers, options.runs),
            waiting(subject, options.seconds),
            attaching(subject, "none", options.bytes, 3, {"min": ATTACH_RATE}),
            attaching(subject, "json-file", options.bytes // 10, 3, {}),
            ps_beside_python(
                environment(subject),
                options.runs,
                name=f"linwin ps of {options.containers} containers",
                target=None,
            ),
        ]
    with fake_daemon(FEW) as subject:
        figures.append(ps_beside_python(environment(subject), options.runs))
    for figure in figures:
        print(figure.line())
    sys.exit(not all(figure.met for figure in figures))


if __name__ == "__main__":
    main()
