"""Daemons that are reached from elsewhere: TLS, ssh's stdio, and sockets that come with the process."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import docker as docker_py
import pytest

from linwin.api import TlsAddress
from linwin.api import tls as tls_module
from linwin.api.unix import FIRST_PASSED
from linwin.errors import InvalidRequest
from linwin.tls import TlsStream
from tests.scenario.certificates import encrypt, issue, make_authority
from tests.scenario.fakes import Fakes
from tests.scenario.harness import IMAGE, Docker, Finished, make_root, served, told_of_wine


@dataclass(frozen=True)
class Remote:
    """A daemon that serves TLS, and what its clients show."""

    address: TlsAddress
    folder: Path
    docker: str

    @property
    def host(self) -> str:
        return f"tcp://127.0.0.1:{self.address.port}"

    def client(self, certificates: Path) -> Docker:
        return Docker(self.docker, self.host, self.folder, tls=certificates)

    async def linwin(self, *words: str, stdin: bytes = b"") -> Finished:
        environment = {
            **os.environ,
            "LINWIN_CERT_PATH": str(self.folder / "client"),
            "XDG_STATE_HOME": str(self.folder / "state"),
        }
        process = await asyncio.create_subprocess_exec(
            *("linwin", "--tlsverify", "--host", self.host, *words),
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env=environment,
        )
        out, err = await asyncio.wait_for(process.communicate(stdin), 30)
        assert process.returncode is not None
        return Finished(process.returncode, out, err)


@pytest.fixture
async def remote(short_folder: Path, docker_client: str) -> AsyncIterator[Remote]:
    make_authority(short_folder / "authority")
    for name in ("server", "client"):
        issue(short_folder / "authority", short_folder / name)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    files = (short_folder / "server" / name for name in ("ca.pem", "cert.pem", "key.pem"))
    address = TlsAddress("127.0.0.1", port, *files)
    told_of_wine(short_folder / "state")
    async with served(Fakes(), make_root(short_folder), address):
        yield Remote(address, short_folder, docker_client)


async def test_docker_over_tls(remote: Remote) -> None:
    docker = remote.client(remote.folder / "client")
    assert await docker("run", "--rm", IMAGE, "echo", "hello") == Finished(0, b"hello\n", b"")
    assert (await docker("run", "--rm", IMAGE, "exit", "7")).code == 7


async def test_a_half_close_gets_through(remote: Remote) -> None:
    docker = remote.client(remote.folder / "client")
    text = b"a line\n" * 50_000
    assert await docker("run", "--rm", "-i", IMAGE, "cat", stdin=text) == Finished(0, text, b"")
    assert await remote.linwin("run", "--rm", "-i", IMAGE, "cat", stdin=text) == Finished(0, text, b"")


async def test_linwin_over_tls(remote: Remote) -> None:
    assert await remote.linwin("run", "--rm", IMAGE, "echo", "hello") == Finished(0, b"hello\n", b"")
    missing = await remote.linwin("inspect", "nobody")
    assert missing.code == 1
    assert b"nobody" in missing.err


async def test_docker_py_over_tls(remote: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):  # requests puts them before what it is told
        monkeypatch.delenv(variable, raising=False)
    files = [str(remote.folder / "client" / name) for name in ("cert.pem", "key.pem", "ca.pem")]

    def ask() -> bytes:
        tls = docker_py.tls.TLSConfig(client_cert=(files[0], files[1]), ca_cert=files[2], verify=True)
        client = docker_py.DockerClient(remote.host.replace("tcp", "https"), tls=tls)
        try:
            output: bytes = client.containers.run(IMAGE, ["echo", "hello"], remove=True)
            return output
        finally:
            client.close()

    assert await asyncio.to_thread(ask) == b"hello\n"


async def test_a_client_without_our_authority_is_refused(remote: Remote) -> None:
    make_authority(remote.folder / "other")
    stranger = issue(remote.folder / "other", remote.folder / "stranger")
    (stranger / "ca.pem").write_bytes((remote.folder / "client" / "ca.pem").read_bytes())
    refused = await remote.client(stranger)("ps")
    assert refused.code == 1
    assert b"tls" in refused.err.lower()


async def test_a_stranger_that_sends_at_once_hears_why_it_is_refused(remote: Remote) -> None:
    make_authority(remote.folder / "other")
    stranger = issue(remote.folder / "other", remote.folder / "stranger")
    context = ssl.create_default_context(cafile=remote.folder / "client" / "ca.pem")
    context.load_cert_chain(stranger / "cert.pem", stranger / "key.pem")

    def ask() -> bytes:
        with (
            socket.create_connection(("127.0.0.1", remote.address.port)) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as tls,
        ):
            for _ in range(20):
                tls.sendall(bytes(16 << 10))
            return tls.recv(1)

    for _ in range(10):  # unread, what it sends resets the connection and takes the alert with it
        with pytest.raises(ssl.SSLError, match="unknown ca"):
            await asyncio.to_thread(ask)


async def test_a_slow_client_gets_the_last_byte(remote: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits in the daemon's memory when the answer is over takes longer than LINGER."""
    monkeypatch.setattr(tls_module, "LINGER", 0.01)
    answer = b"z" * 40_000
    finished = asyncio.Event()

    async def accept(sock: socket.socket) -> None:
        _, writer = await asyncio.open_connection(sock=sock)
        writer.write(answer)
        writer.close()
        await writer.wait_closed()
        asyncio.get_running_loop().call_later(0.1, finished.set)

    ours, theirs = socket.socketpair()
    for end in (ours, theirs):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
    front = tls_module._Front(remote.address.context(), accept)
    serving = asyncio.create_task(front.serve(*await asyncio.open_connection(sock=theirs)))
    context = ssl.create_default_context(cafile=remote.folder / "client" / "ca.pem")
    context.load_cert_chain(remote.folder / "client" / "cert.pem", remote.folder / "client" / "key.pem")
    client = TlsStream(context, hostname="127.0.0.1")
    client.begin()
    loop = asyncio.get_running_loop()
    ours.setblocking(False)
    while not client.established:
        await loop.sock_sendall(ours, client.outgoing())
        received = client.feed(await loop.sock_recv(ours, 1 << 10))
    await loop.sock_sendall(ours, client.outgoing())
    await finished.wait()
    while data := await loop.sock_recv(ours, 1 << 10):
        received += client.feed(data)
    ours.close()
    await serving
    assert client.ended
    assert received == answer


async def test_a_daemon_that_ends_lets_its_clients_go_without_a_word(
    remote: Remote, caplog: pytest.LogCaptureFixture
) -> None:
    accepted = asyncio.get_running_loop().create_future()

    async def accept(sock: socket.socket) -> None:
        accepted.set_result(sock)

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    context = ssl.create_default_context(cafile=remote.folder / "client" / "ca.pem")
    context.load_cert_chain(remote.folder / "client" / "cert.pem", remote.folder / "client" / "key.pem")
    async with tls_module.listening(replace(remote.address, port=port), accept):
        attached, attached_writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        greeting, greeting_writer = await asyncio.open_connection("127.0.0.1", port)
        inner = await accepted
    assert await greeting.read() == b""
    with suppress(ConnectionError):
        assert await attached.read() == b""
    for writer in (attached_writer, greeting_writer):
        writer.close()
    inner.close()
    assert [record.message for record in caplog.records if record.name == "asyncio"] == []


async def test_a_client_whose_host_vanished_is_noticed(remote: Remote) -> None:
    """One that follows a silent container would else be served for ever."""
    _, writer = await asyncio.open_connection("127.0.0.1", remote.address.port)
    client, server = (
        f"0100007F:{port:04X}" for port in (writer.get_extra_info("sockname")[1], remote.address.port)
    )
    table = await asyncio.to_thread(Path("/proc/net/tcp").read_text)
    rows = [line.split() for line in table.splitlines()]
    [timer] = [row[5] for row in rows if row[1:3] == [server, client]]
    assert timer.startswith("02:"), "no keepalive timer runs"
    writer.close()


async def test_a_client_without_certificate_is_refused(remote: Remote) -> None:
    context = ssl.create_default_context(cafile=remote.folder / "client" / "ca.pem")
    # In TLS 1.3 a client learns of its refusal with the first answer.
    reader, writer = await asyncio.open_connection("127.0.0.1", remote.address.port, ssl=context)
    writer.write(b"GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n")
    with pytest.raises(ssl.SSLError, match="certificate required"):
        await reader.readline()


async def test_what_is_no_tls_harms_nobody(remote: Remote) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", remote.address.port)
    writer.write(b"GET /_ping HTTP/1.1\r\n\r\n")
    await reader.read()
    writer.close()
    assert (await remote.client(remote.folder / "client")("ps", "-q")).code == 0


async def test_linwin_names_a_daemon_that_is_another(remote: Remote) -> None:
    make_authority(remote.folder / "other")
    (remote.folder / "client" / "ca.pem").write_bytes((remote.folder / "other" / "ca.pem").read_bytes())
    refused = await remote.linwin("ps")
    assert refused.code == 1
    assert b"no TLS with the linwin daemon at 127.0.0.1: " in refused.err
    assert b"Check ca.pem, cert.pem and key.pem in LINWIN_CERT_PATH." in refused.err


def test_certificates_that_cannot_be_read(tmp_path: Path) -> None:
    address = TlsAddress("127.0.0.1", 1, tmp_path / "a", tmp_path / "b", tmp_path / "c")
    with pytest.raises(InvalidRequest, match="the certificates cannot be used: No such file or directory"):
        address.context()


def test_a_key_with_a_passphrase_is_refused_and_nobody_asked(tmp_path: Path) -> None:
    make_authority(tmp_path / "authority")
    server = issue(tmp_path / "authority", tmp_path / "server")
    encrypt(server / "key.pem")
    files = (server / name for name in ("ca.pem", "cert.pem", "key.pem"))
    with pytest.raises(InvalidRequest, match="certificates cannot be used: the key is encrypted, and must"):
        TlsAddress("127.0.0.1", 1, *files).context()


async def test_dial_stdio(docker: Docker) -> None:
    """What ``ssh://`` runs on the other side."""
    process = await asyncio.create_subprocess_exec(
        *("linwin", "--host", docker.host, "system", "dial-stdio"), stdin=PIPE, stdout=PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"GET /_ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    out = await asyncio.wait_for(process.stdout.read(), 30)
    assert out.startswith(b"HTTP/1.1 200 OK\r\n")
    assert out.endswith(b"OK")
    assert await asyncio.wait_for(process.wait(), 30) == 0
    process.stdin.close()


SSH = """#!/bin/sh
# Stands for ssh: notes how it was called, and runs the command here.
echo "$*" >>"$SSH_CALLS"
while [ "$1" != -- ]; do shift; done
shift 2
exec env LINWIN_HOST="$REMOTE_HOST" "$@"
"""


async def test_ssh(docker: Docker, short_folder: Path) -> None:
    programs = short_folder / "bin"
    programs.mkdir()
    (programs / "ssh").write_text(SSH)
    (programs / "ssh").chmod(0o755)
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
    environment |= {"SSH_CALLS": str(short_folder / "calls"), "REMOTE_HOST": docker.host}
    process = await asyncio.create_subprocess_exec(
        *("linwin", "--host", "ssh://builder@far.example:2222", "run", "--rm", "-i", IMAGE, "cat"),
        stdin=PIPE,
        stdout=PIPE,
        env=environment,
    )
    out, _ = await asyncio.wait_for(process.communicate(b"over there\n"), 30)
    assert (process.returncode, out) == (0, b"over there\n")
    first = (short_folder / "calls").read_text().splitlines()[0]
    assert first == ("-T -o ConnectTimeout=30 -l builder -p 2222 -- far.example linwin system dial-stdio")


ACTIVATED = """
import asyncio, os, sys
from pathlib import Path
sys.path.insert(0, os.getcwd())
from linwin.daemon import announce
from tests.scenario.fakes import Fakes
from tests.scenario.harness import make_root, served

async def main(folder):
    async with served(Fakes(), make_root(folder)):
        announce("ready")
        await asyncio.to_thread(sys.stdin.read)

asyncio.run(main(Path(sys.argv[1])))
"""


async def test_a_service_managers_socket(short_folder: Path, docker_client: str) -> None:
    """Socket activation, by the protocol of sd_listen_fds(3) and sd_notify(3)."""
    path = short_folder / "activated.sock"
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen()
    notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    notified.bind(str(short_folder / "notify"))
    script = f'exec {FIRST_PASSED}<&{listener.fileno()}; LISTEN_PID=$$ exec "$@"'
    with listener, notified:
        process = await asyncio.create_subprocess_exec(
            *("bash", "-c", script, "bash", sys.executable, "-c", ACTIVATED, str(short_folder)),
            stdin=PIPE,
            pass_fds=(listener.fileno(),),
            env={**os.environ, "LISTEN_FDS": "1", "NOTIFY_SOCKET": str(short_folder / "notify")},
        )
        try:
            loop = asyncio.get_running_loop()
            assert await asyncio.wait_for(loop.sock_recv(notified, 100), 30) == b"READY=1"
            docker = Docker(docker_client, f"unix://{path}", short_folder)
            assert (await docker("run", "--rm", IMAGE, "echo", "hi")).out == b"hi\n"
        finally:
            await process.communicate(b"")
    assert process.returncode == 0
    assert path.is_socket(), "it is not ours to remove"
    assert not (short_folder / "linwin.sock").exists()


async def test_linwin_says_that_its_certificate_is_refused(remote: Remote) -> None:
    make_authority(remote.folder / "other")
    issue(remote.folder / "other", remote.folder / "stranger")
    for name in ("cert.pem", "key.pem"):
        (remote.folder / "client" / name).write_bytes((remote.folder / "stranger" / name).read_bytes())
    refused = await remote.linwin("ps")
    assert refused.code == 1
    assert b"the linwin daemon at 127.0.0.1 refuses our certificate: " in refused.err
    assert b"Check ca.pem, cert.pem and key.pem in LINWIN_CERT_PATH." in refused.err
