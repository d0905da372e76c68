"""Unix sockets work under paths longer than the kernel's limit."""

from __future__ import annotations

import errno
import os
import socket
import stat
from pathlib import Path

import pytest

from linwin.host.sockets import connect, listen


@pytest.fixture(params=["near", "far" * 50])
def path(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    folder = tmp_path / str(request.param)
    folder.mkdir()
    return folder / "monitor.sock"


def test_bytes_pass_and_only_the_owner_may_connect(path: Path) -> None:
    with listen(path) as server, connect(path) as client:
        client.sendall(b"hello")
        accepted, _ = server.accept()
        with accepted:
            assert accepted.recv(10) == b"hello"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_dead_owners_socket_is_replaced(path: Path) -> None:
    listen(path).close()
    with pytest.raises(ConnectionRefusedError):
        connect(path)
    with listen(path), connect(path):
        assert path.is_socket()


def test_a_full_queue_is_an_error_and_not_a_wait(path: Path) -> None:
    with listen(path) as server:
        server.listen(0)
        with connect(path), pytest.raises(BlockingIOError):
            connect(path)


def test_no_descriptor_is_left_behind(path: Path) -> None:
    before = set(os.listdir("/proc/self/fd"))
    listen(path).close()
    with pytest.raises(OSError) as caught:
        connect(path.with_name("nobody.sock"))
    assert caught.value.errno == errno.ENOENT
    assert set(os.listdir("/proc/self/fd")) == before


def test_the_listener_can_be_inherited_by_number(path: Path) -> None:
    with listen(path) as server, connect(path) as client:
        heir = socket.socket(fileno=os.dup(server.fileno()))
        server.close()
        with heir:
            accepted, _ = heir.accept()
            with accepted:
                accepted.sendall(b"x")
                client.setblocking(True)
                assert client.recv(1) == b"x"
