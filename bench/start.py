"""Cold boot of microsoft/nanoserver to its entrypoint's first byte.

Ours is the ``linwin run`` that a user types, from the start of the command. The
peer is the same QEMU command line, read from the process that linwin started,
started again by the bare script below, which says to the guest just what must
be said before a program runs. Both guests do the same work.

    scripts/bench start [--runs 3]
"""

from __future__ import annotations

import argparse
import json
import os
import re
import socket
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from figures import Figure, in_turn

IMAGE = "microsoft/nanoserver"
COMMAND = ("cmd", "/c", "echo", "first")
TARGET = 1.15


# The peer: QEMU, its monitor and the agent's port, and nothing else.


class BareGuest:
    """A guest started with a copied command line; every call blocks."""

    def __init__(self, argv: list[str], overlay: Path, folder: Path) -> None:
        self.folder, self.overlay = folder, overlay
        self.process = subprocess.Popen([*rewire(argv, folder)], stdin=subprocess.DEVNULL)
        self.monitor, self.agent = (self.connect(name) for name in ("monitor", "agent"))

    def connect(self, name: str) -> socket.socket:
        while True:
            try:
                connection = socket.socket(socket.AF_UNIX)
                connection.connect(str(self.folder / name))
                return connection
            except OSError:
                connection.close()
                time.sleep(0.005)  # QEMU binds these itself; there is no event to wait for

    def qmp(self, command: str, **arguments: Any) -> None:
        self.monitor.sendall(json.dumps({"execute": command, "arguments": arguments}).encode())
        lines = self.monitor.makefile("r")
        while not {"return", "error"} & (answer := json.loads(lines.readline())).keys():
            pass
        assert "return" in answer, answer

    def send(self, type: int, stream: int, message: dict[str, Any]) -> None:
        payload = json.dumps(message).encode()
        self.agent.sendall(struct.pack(">BBII", type, 0, stream, len(payload)) + payload + b"\x7e")

    def receive(self, type: int, stream: int) -> bytes:
        """The payload of the next frame of that type and stream."""
        while True:
            while (first := self.exactly(1)) == b"\xff":
                pass
            kind, _, number, length = struct.unpack(">BBII", first + self.exactly(9))
            payload = self.exactly(length + 1)[:-1]
            if (kind, number) == (type, stream):
                return payload

    def exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self.agent.recv(size - len(data))
            assert more, "the guest is gone"
            data += more
        return data

    def run(self) -> None:
        """Hello, plug C:, prepare, exec, and the first byte."""
        self.agent.sendall(b"\xff" * 65536)
        self.send(1, 0, {"session": "bare", "version": 1})
        while json.loads(self.receive(1, 0)).get("session") != "bare":
            pass
        self.qmp("qmp_capabilities")
        self.qmp(
            "blockdev-add",
            driver="qcow2",
            **{"node-name": "c"},
            file={"driver": "file", "filename": str(self.overlay)},
        )
        self.qmp(
            "device_add", driver="virtio-blk-pci", id="c-device", bus="port0", drive="c", serial="linwin-c"
        )
        self.request(
            1, {"op": "prepare", "hostname": "bare", "c_serial": "linwin-c", "time_ns": time.time_ns()}
        )
        streams = {"stdin": 0, "stdout": 3, "stderr": 5, "window": 1 << 20}
        exec_ = {
            "op": "exec",
            "process": "p",
            "argv": COMMAND,
            "command_line": " ".join(COMMAND),
            "env": {},
            "cwd": "C:\\",
        }
        self.request(2, {**exec_, "user": "", "streams": streams})
        assert self.receive(5, 3)[8:9] == b"f"

    def request(self, number: int, message: dict[str, Any]) -> None:
        self.send(2, number, message)
        answer = json.loads(self.receive(3, number))
        assert "error" not in answer, answer

    def end(self) -> None:
        self.qmp("quit")
        self.process.wait()
        self.monitor.close()
        self.agent.close()


def rewire(argv: list[str], folder: Path) -> list[str]:
    """The command line with sockets and files of its own instead of inherited descriptors."""
    words = []
    for word in argv:
        word = re.sub(r"socket,id=(\w+),fd=\d+", rf"socket,id=\1,path={folder}/\1", word)
        word = re.sub(r"file,id=console,path=[^,]+", f"file,id=console,path={folder}/console", word)
        words.append(word)
    while "-add-fd" in words:
        at = words.index("-add-fd")
        del words[at : at + 2]
    return words


# Both sides, measured.


def ours() -> float:
    start = time.monotonic()
    with subprocess.Popen(["linwin", "run", "--rm", IMAGE, *COMMAND], stdout=subprocess.PIPE) as run:
        assert run.stdout is not None
        assert run.stdout.read(1) == b"f"
        elapsed = time.monotonic() - start
        run.stdout.read()
    assert run.returncode == 0
    return elapsed


def peer(argv: list[str], backing: str) -> float:
    with tempfile.TemporaryDirectory() as name:
        folder, overlay = Path(name), Path(name) / "c.qcow2"
        start = time.monotonic()
        create = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", backing, "-F", "qcow2", str(overlay)]
        subprocess.run(create, check=True)
        guest = BareGuest(argv, overlay, folder)
        guest.run()
        elapsed = time.monotonic() - start
        guest.end()
        return elapsed


def learn() -> tuple[list[str], str]:
    """QEMU's command line and the disk behind C:, from a container that runs."""
    forever = ["cmd", "/c", "ping -n 100000 127.0.0.1 >nul"]
    started = subprocess.run(
        ["linwin", "run", "-d", IMAGE, *forever], check=True, stdout=subprocess.PIPE, text=True
    )
    identity = started.stdout.strip()
    try:
        shown = json.loads(subprocess.check_output(["linwin", "inspect", identity]))[0]
        argv = Path(f"/proc/{shown['State']['Pid']}/cmdline").read_text().split("\0")[:-1]
        overlay = Path(os.environ.get("LINWIN_ROOT", "/var/lib/linwin")) / "containers" / identity / "c.qcow2"
        info = json.loads(subprocess.check_output(["qemu-img", "info", "-U", "--output=json", str(overlay)]))
        return argv, str(Path(info["full-backing-filename"]).resolve())
    finally:
        subprocess.run(["linwin", "rm", "-f", identity], check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    runs = parser.parse_args().runs
    argv, backing = learn()
    mine, bare = in_turn(runs, ours, lambda: peer(argv, backing))
    figure = Figure(
        "cold start to first byte", round(mine, 3), round(bare, 3), "s", {"max": TARGET}, f"median of {runs}"
    )
    print(figure.line())
    sys.exit(not figure.met)


if __name__ == "__main__":
    main()
