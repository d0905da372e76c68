"""What a program shows on a terminal of its own."""

from __future__ import annotations

from contextlib import suppress
from typing import Any


def read_terminal(screen: Any) -> str:
    """Everything until the last writer has closed its end, which Linux tells by EIO."""
    shown = b""
    with suppress(OSError):
        while data := screen.read(65536):
            shown += data
    return shown.decode()
