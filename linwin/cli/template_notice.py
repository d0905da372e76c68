"""One line at the first use of a wine template, so that nobody takes Wine for Windows."""

from __future__ import annotations

import os
import zlib
from pathlib import Path

from linwin.cli import failures
from linwin.client import Client, quote
from linwin.paths import Paths

EMULATED_KIND = "wine"


def tell_template(client: Client, container: str) -> None:
    """Say once per user and daemon root that a container's template is Wine and not Windows."""
    marker = _marker()
    if marker.exists():
        return
    description = client.get(f"/containers/{quote(container)}/json")
    template = description["Linwin"]["Template"]
    if client.get(f"/linwin/templates/{quote(template)}")["Kind"] != EMULATED_KIND:
        return
    image = description["Config"]["Image"]
    failures.say(f'{image} runs on the template "{template}" (Wine, not Windows)')
    try:
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()
    except OSError:
        return  # no place to remember it: said again next time, which harms nobody


def _marker() -> Path:
    """Where it is remembered: the XDG base directory specification, "state data"."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    root = zlib.crc32(os.fsencode(Paths.from_environment().root))  # every command would wait for hashlib
    return Path(state) / "linwin" / f"told-wine-{root:08x}"
