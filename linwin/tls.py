"""TLS that can be half-closed, as bytes in and bytes out: both ends of linwin's use it.

asyncio's and :mod:`ssl`'s own sockets hang up once the other side has said that it
will send no more. For a container's stdin that only means "no more input", so here
an end is an end of one direction: TLS 1.3 has it so (RFC 8446, 6.1), and Go's
CloseWrite, which docker's client uses, says it to all versions.
"""

from __future__ import annotations

import os
import ssl
from pathlib import Path

PIECE = 256 * 1024
"""Bytes that are decrypted at once."""


Files = tuple[str, str, str]
"""Of the certificate authority, our own certificate and its key, in PEM."""


def certificates(configured: Files = ("", "", "")) -> Files:
    """The files as the environment has them, then as ``configured``, then the ones that docker uses.

    ``LINWIN_CERT_PATH`` is the folder of ``ca.pem``, ``cert.pem`` and ``key.pem``;
    ``LINWIN_TLS_CACERT``, ``LINWIN_TLS_CERT`` and ``LINWIN_TLS_KEY`` name single files.
    """
    folder = os.environ.get("LINWIN_CERT_PATH")
    usual = Path.home() / ".docker"
    names = (("CACERT", "ca.pem"), ("CERT", "cert.pem"), ("KEY", "key.pem"))
    ca, certificate, key = (
        os.environ.get(f"LINWIN_TLS_{variable}")
        or (str(Path(folder, file)) if folder else "")
        or known
        or str(usual / file)
        for (variable, file), known in zip(names, configured, strict=True)
    )
    return ca, certificate, key


def no_passphrase() -> str:
    """Raises OSError for a key that needs one; OpenSSL would ask whoever sits at the terminal, and wait."""
    raise OSError("the key is encrypted, and must not be")


class TlsStream:
    """One connection, without its socket.

    Feed what the network brings, send what :meth:`outgoing` returns, after each
    call. ``hostname`` is whom a client expects; a server gives none.
    """

    def __init__(self, context: ssl.SSLContext, *, hostname: str | None = None) -> None:
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._in, self._out, server_side=hostname is None, server_hostname=hostname
        )
        self._unsent = bytearray()
        self._closing = False
        self.established = False
        """Whether each side knows who the other is."""
        self.ended = False
        """Whether the other side will send no more."""

    def begin(self) -> None:
        """Say hello, which a client does before it hears anything."""
        self._advance()

    def feed(self, data: bytes) -> bytes:
        """Take bytes of the network; return what they held. Raises ssl.SSLError for what is no TLS."""
        self._in.write(data)
        self._advance()
        pieces = []
        while self.established and not self.ended:
            try:
                piece = self._tls.read(PIECE)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLZeroReturnError:
                piece = b""
            self.ended = not piece
            pieces.append(piece)
        return b"".join(pieces)

    def write(self, data: bytes) -> None:
        """Encrypt; what is written before the handshake is over waits for it."""
        self._unsent += data
        self._flush()

    def end(self) -> None:
        """Say that we will send no more. What the other side sends is still read. Idempotent."""
        self._closing = True
        self._flush()

    def outgoing(self) -> bytes:
        """What is to be sent to the network now."""
        return self._out.read()

    def _advance(self) -> None:
        if self.established:
            return
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return
        self.established = True
        self._flush()

    def _flush(self) -> None:
        if not self.established:
            return
        if self._unsent:
            self._tls.write(bytes(self._unsent))  # a memory buffer takes all of it
            self._unsent.clear()
        if self._closing:
            self._closing = False
            try:
                self._tls.unwrap()
            except ssl.SSLWantReadError:
                return  # our end is said; theirs comes when it comes
