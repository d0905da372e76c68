"""Connections to daemons on other hosts: over TLS, or through ssh.

Each is one end of a pair of sockets, so that everything else works as on the
unix socket, half-closes included.
"""

from __future__ import annotations

import select
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from linwin.client.failures import Unreachable
from linwin.errors import InvalidRequest
from linwin.tls import PIECE, TlsStream, certificates, no_passphrase

CERTIFICATES = "Check ca.pem, cert.pem and key.pem in LINWIN_CERT_PATH."
SSH_CONNECT_TIMEOUT = 30  # seconds, as docker's


def over_tls(sock: socket.socket, host: str) -> socket.socket:
    """Prove to each other who we are, and return a socket of plain text. ``sock`` belongs to it afterwards.

    Raises InvalidRequest for certificates that cannot be read, Unreachable for a
    daemon that is not the one named ``host``.
    """
    tls = TlsStream(_context(), hostname=host)
    try:
        tls.begin()
        while not tls.established:
            sock.sendall(tls.outgoing())
            if not (data := sock.recv(PIECE)):
                raise ConnectionResetError("the daemon hung up")
            early = tls.feed(data)
    except OSError as error:  # ssl.SSLError is one
        raise Unreachable(
            f"no TLS with the linwin daemon at {host}: {getattr(error, 'verify_message', '') or error}",
            hint=CERTIFICATES,
        ) from error
    pair, theirs = socket.socketpair()
    ours = _Plain(fileno=pair.detach())
    ours.settimeout(sock.gettimeout())
    carrier = _Carrier(tls, sock, theirs, early)
    ours.alert = lambda: (
        carrier.alert and f"the linwin daemon at {host} refuses our certificate: {carrier.alert}"
    )
    threading.Thread(target=carrier.run, name="tls", daemon=True).start()
    return ours


def _context() -> ssl.SSLContext:
    ca, certificate, key = certificates()
    try:
        context = ssl.create_default_context(cafile=ca)
        context.load_cert_chain(certificate, key, password=no_passphrase)
    except OSError as error:
        raise InvalidRequest(
            f"the certificates cannot be used: {error.strerror or error}",
            hint=f"They are {ca}, {certificate} and {key}; LINWIN_CERT_PATH names another folder.",
        ) from error
    return context


class _Plain(socket.socket):
    """Our end of the pair. In TLS 1.3 a client learns with the first answer only that it is refused."""

    alert: Callable[[], str] = str
    """What the daemon said instead of an answer; or empty."""

    def recv_into(self, *arguments: Any, **options: Any) -> int:
        """Raises Unreachable, beside what :class:`socket.socket` does."""
        try:
            if (length := super().recv_into(*arguments, **options)) or not (alert := self.alert()):
                return length
        except ConnectionError:
            if not (alert := self.alert()):
                raise
        raise Unreachable(alert, hint=CERTIFICATES)


class _Carrier:
    """Carries bytes and ends between the network and us. Neither direction waits for the other."""

    def __init__(self, tls: TlsStream, network: socket.socket, us: socket.socket, early: bytes) -> None:
        self._tls = tls
        self._network = network
        self._us = us
        self._to_us = bytearray(early)
        self._to_network = bytearray(tls.outgoing())
        self._we_ended = False
        self._told_us = False
        self.alert = ""
        """What the daemon said in the words of TLS, when it broke off."""

    def run(self) -> None:
        for sock in (self._network, self._us):
            sock.setblocking(False)
        with self._network, self._us:
            try:
                while self._step():
                    pass
            except ssl.SSLError as error:
                self.alert = (error.reason or "").partition("ALERT_")[2].replace("_", " ").lower()
            except OSError:  # either side is gone, or what came is no TLS: our end of the pair says so
                return

    def _step(self) -> bool:
        """Wait for one thing to do, and do it. False when the daemon has nothing more to say."""
        readers = [self._network] * (len(self._to_us) < PIECE)
        readers += [self._us] * (not self._we_ended and len(self._to_network) < PIECE)
        writers = [self._network] * bool(self._to_network) + [self._us] * bool(self._to_us)
        readable, writable, _ = select.select(readers, writers, [])
        if self._network in readable:
            data = self._network.recv(PIECE)
            if not data:
                self._drain()
                return False
            self._to_us += self._tls.feed(data)
        if self._us in readable:
            if data := self._us.recv(PIECE):
                self._tls.write(data)
            else:
                self._we_ended = True
                self._tls.end()
        self._to_network += self._tls.outgoing()
        if self._network in writable:
            del self._to_network[: self._network.send(self._to_network)]
        if self._us in writable:
            del self._to_us[: self._us.send(self._to_us)]
        if self._tls.ended and not self._to_us and not self._told_us:
            self._told_us = True
            self._us.shutdown(socket.SHUT_WR)
        return True

    def _drain(self) -> None:
        self._us.setblocking(True)
        self._us.sendall(self._to_us)


def through_ssh(host: str) -> socket.socket:
    """The daemon of another host, ``ssh://[USER@]HOST[:PORT]``, by ``linwin system dial-stdio`` there."""
    address = urlsplit(host)
    try:
        port = address.port
    except ValueError as error:
        raise InvalidRequest(f"invalid host {host!r}", hint="Use ssh://user@host:port.") from error
    if not address.hostname or address.password or address.path.strip("/"):
        raise InvalidRequest(f"invalid host {host!r}", hint="Use ssh://user@host:port.")
    command = ["ssh", "-T", "-o", f"ConnectTimeout={SSH_CONNECT_TIMEOUT}"]
    command += ["-l", address.username] if address.username else []
    command += ["-p", str(port)] if port else []
    ours, theirs = socket.socketpair()
    try:
        process = subprocess.Popen(
            [*command, "--", address.hostname, "linwin", "system", "dial-stdio"],
            stdin=theirs.fileno(),
            stdout=theirs.fileno(),
            start_new_session=True,  # Ctrl-C is ours to handle
        )
    except OSError as error:
        ours.close()
        raise Unreachable(f"cannot run ssh: {error.strerror}", hint="Install an ssh client.") from error
    finally:
        theirs.close()
    process.returncode = 0  # it ends with the connection: no warning that nobody waited for it
    return ours
