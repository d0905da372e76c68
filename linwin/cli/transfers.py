"""Pulls as ``pull`` and ``run`` make them, with the credentials that the user has for the registry."""

from __future__ import annotations

from linwin.cli.credentials import auth_header
from linwin.cli.progress import Progress
from linwin.cli.references import Reference
from linwin.client import Client


def pull_image(client: Client, reference: Reference, progress: Progress, *, platform: str | None) -> None:
    """Have the daemon pull, and show how it gets on. Raises the error that ends the pull."""
    query = {"fromImage": reference.name, "tag": reference.label, "platform": platform}
    for line in client.lines("POST", "/images/create", headers=auth_header(reference.domain), **query):
        progress.show(line)
