"""Create a container, pulling its image when the daemon does not have it."""

from __future__ import annotations

from typing import Any

from linwin.cli import failures
from linwin.cli.container_body import creation
from linwin.cli.progress import Progress
from linwin.cli.references import split_reference, with_tag
from linwin.client import Client
from linwin.errors import NotFound, Unsupported


def create_container(client: Client, options: dict[str, Any], *, attach: frozenset[str]) -> str:
    """Create as the options of ``run`` and ``create`` say; returns the id. Warnings go to stderr."""
    image, policy = options["words"][0], options["pull"]
    body = creation(options, attach=attach)
    if policy == "always":
        _pull(client, image, options)
    try:
        created = _create(client, body, options)
    except NotFound as missing:
        if policy != "missing" or "no such image" not in missing.message.lower():
            raise
        failures.say(f"Unable to find image '{with_tag(image)}' locally")
        try:
            _pull(client, image, options)
        except Unsupported:
            # A daemon without registries: what the user needs to hear is that the image is not there.
            raise missing from None
        created = _create(client, body, options)
    for warning in created.get("Warnings") or ():
        failures.say(f"warning: {warning}")
    identity: str = created["Id"]
    return identity


def _create(client: Client, body: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    query = {"name": options["name"], "platform": options["platform"]}
    created: dict[str, Any] = client.post("/containers/create", body=body, **query)
    return created


def _pull(client: Client, image: str, options: dict[str, Any]) -> None:
    repository, tag = split_reference(image)
    query = {"fromImage": repository, "tag": tag, "platform": options["platform"]}
    with Progress(quiet=options["quiet"]) as progress:
        for line in client.lines("POST", "/images/create", **query):
            progress.show(line)
