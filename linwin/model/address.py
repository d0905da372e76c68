"""A place to listen on: a host and a TCP port."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """``host`` is a name or a number, an IPv6 one without its brackets; empty is every address."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> TcpAddress:
        """``HOST:PORT``, with or without ``tcp://`` before it. Raises ValueError."""
        host, _, port = text.removeprefix("tcp://").rstrip("/").rpartition(":")
        if not (port.isascii() and port.isdecimal() and int(port) < 1 << 16):
            raise ValueError(f"invalid address {text!r}")
        return cls(host.removeprefix("[").removesuffix("]"), int(port))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
