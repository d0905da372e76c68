"""Starting a container, and saying on stderr what the daemon has to say about it."""

from __future__ import annotations

from linwin.cli import failures
from linwin.client import Client, quote


def start_container(client: Client, container: str) -> None:
    """Start it, however long that takes. Raises the daemon's error."""
    with client.request("POST", f"/containers/{quote(container)}/start") as response:
        warning = response.headers.get("linwin-warning")
    if warning:
        from urllib.parse import unquote  # costly to import, and seldom needed

        failures.say("".join(c if c.isprintable() else " " for c in unquote(warning)))
