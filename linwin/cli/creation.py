"""Create a container, pulling its image when the daemon does not have it."""

from __future__ import annotations

from typing import Any

import click

from linwin.cli import failures
from linwin.cli.cidfile import id_file
from linwin.cli.references import is_image_id, split
from linwin.client import Client
from linwin.errors import NotFound


def create_container(client: Client, body: dict[str, Any], options: dict[str, Any]) -> str:
    """Create what ``body`` describes, as the options say how; returns the id. Warnings go to stderr."""
    with id_file(options["cidfile"]) as remember:
        created = _create_or_pull(client, body, options)
        remember(created["Id"])
    for warning in created.get("Warnings") or ():
        failures.say(f"warning: {warning}")
    identity: str = created["Id"]
    return identity


def _create_or_pull(client: Client, body: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    image, policy = options["words"][0], options["pull"]
    if policy == "always":
        _pull(client, image, options)
    try:
        return _create(client, body, options)
    except NotFound as missing:
        if policy != "missing" or is_image_id(image) or "no such image" not in missing.message.lower():
            raise
        if not options["quiet"]:
            click.echo(f"Unable to find image '{split(image).familiar}' locally", err=True)
        _pull(client, image, options)
        return _create(client, body, options)


def _create(client: Client, body: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    query = {"name": options["name"], "platform": options["platform"]}
    created: dict[str, Any] = client.post("/containers/create", body=body, **query)
    return created


def _pull(client: Client, image: str, options: dict[str, Any]) -> None:
    # Imported here because most runs have their image, and start without the code that fetches one.
    from linwin.cli.progress import Progress
    from linwin.cli.transfers import pull_image

    with Progress(quiet=options["quiet"]) as progress:
        pull_image(client, split(image), progress, platform=options["platform"])
