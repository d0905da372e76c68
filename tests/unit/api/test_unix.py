"""Whether the daemon may have its socket's path."""

from __future__ import annotations

import socket
import tempfile
from pathlib import Path

import pytest

from linwin.api import check_unused
from linwin.errors import Unavailable


def test_a_socket_of_another_kind_is_refused_in_a_sentence() -> None:
    with tempfile.TemporaryDirectory(prefix="linwin-") as folder:
        path = Path(folder) / "s"
        check_unused(path)  # nothing is there
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as theirs:
            theirs.bind(str(path))
            with pytest.raises(Unavailable, match=f"^cannot listen on {path}: Protocol wrong type") as caught:
                check_unused(path)
        assert caught.value.hint
        check_unused(path)  # left behind by a program that is gone
