"""The peer of the start benches: QEMU, its monitor and the agent's port, and nothing else."""

from __future__ import annotations

import fcntl
import json
import os
import re
import socket
import struct
import subprocess
import time
from pathlib import Path
from typing import Any


class BareGuest:
    """A guest started with a copied command line; every call blocks. ``files`` it inherits."""

    def __init__(self, argv: list[str], overlay: Path, folder: Path, files: tuple[int, ...] = ()) -> None:
        self.folder = folder
        taps = [open_tap() for word in argv if word.startswith("tap,")]
        words = rewire(argv, folder, overlay)
        for tap in taps:
            words = [re.sub(r"^(tap,.*fd=)\d+", rf"\g<1>{tap}", word) for word in words]
        self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, pass_fds=(*files, *taps))
        for tap in taps:
            os.close(tap)
        self.monitor, self.agent = (self.connect(name) for name in ("monitor", "agent"))
        self.lines = self.monitor.makefile("r")
        self.qmp("qmp_capabilities")

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
        while not {"return", "error"} & (answer := json.loads(self.lines.readline())).keys():
            pass
        assert "return" in answer, answer

    def restore(self, state: int) -> None:
        """Go on from a state of the devices that QEMU has inherited."""
        names = ("x-ignore-shared", "events")
        self.qmp("migrate-set-capabilities", capabilities=[{"capability": n, "state": True} for n in names])
        self.qmp("migrate-incoming", uri=f"fd:{state}")
        while json.loads(self.lines.readline()).get("data", {}).get("status") != "completed":
            pass
        self.qmp("cont")

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

    def start(self, command: tuple[str, ...]) -> None:
        """Hello, prepare and exec."""
        self.agent.sendall(b"\xff" * 65536)
        self.send(1, 0, {"session": "bare", "version": 1})
        while json.loads(self.receive(1, 0)).get("session") != "bare":
            pass
        self.request(
            1, {"op": "prepare", "hostname": "bare", "c_serial": "linwin-c", "time_ns": time.time_ns()}
        )
        streams = {"stdin": 0, "stdout": 3, "stderr": 5, "window": 1 << 20}
        exec_ = {
            "op": "exec",
            "process": "p",
            "argv": command,
            "command_line": " ".join(command),
            "env": {},
            "cwd": "C:\\",
        }
        self.request(2, {**exec_, "user": "", "streams": streams})

    def first_byte(self) -> bytes:
        return self.receive(5, 3)[8:9]

    def wait(self) -> int:
        """The program's exit code."""
        return int(self.request(3, {"op": "wait", "process": "p"})["exit_code"])

    def request(self, number: int, message: dict[str, Any]) -> dict[str, Any]:
        self.send(2, number, message)
        answer = json.loads(self.receive(3, number))
        assert "error" not in answer, answer
        answered: dict[str, Any] = answer["ok"]
        return answered

    def end(self) -> None:
        self.qmp("quit")
        self.process.wait()
        self.lines.close()
        self.monitor.close()
        self.agent.close()


def open_tap() -> int:
    """A tap that is plugged in nowhere and goes with the guest, as linux/if_tun.h has it."""
    set_interface, tap, no_information, virtio_header = 0x400454CA, 0x0002, 0x1000, 0x4000
    file = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    fcntl.ioctl(file, set_interface, struct.pack("16sH22x", b"", tap | no_information | virtio_header))
    return file


def rewire(argv: list[str], folder: Path, disk: Path) -> list[str]:
    """The command line with sockets and files of its own instead of inherited descriptors."""
    words = []
    medium = {"driver": "qcow2", "file": {"driver": "file", "filename": str(disk)}}
    c_node = json.dumps({"driver": "raw", "node-name": "c", "file": medium})
    for word in argv:
        word = re.sub(r"socket,id=(\w+),fd=\d+", rf"socket,id=\1,path={folder}/\1", word)
        word = re.sub(r"file,id=console,path=[^,]+", f"file,id=console,path={folder}/console", word)
        words.append(c_node if '"node-name": "c"' in word else word)
    while "-add-fd" in words:
        at = words.index("-add-fd")
        del words[at : at + 2]
    return words
