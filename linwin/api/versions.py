"""What clients of earlier API versions find in answers that newer ones do not, and may not ask for yet.

One set of handlers serves all versions: they render the newest answer, which is made older
here. Source: docker's "Engine API version history", by the version that is named with each.
A field that was added is left in for clients of older versions, which ignore it, as are
``ContainerConfig`` of images (gone in v1.45; docker-compose 1.29 reads it in any version) and
linwin's own ``Linwin``.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from linwin.api.context import version_of
from linwin.engine.network_names import PREDEFINED

Answer = dict[str, Any]
Version = tuple[int, int]

VIRTUAL_SIZE_UNTIL: Version = (1, 44)
NO_NAMES_UNTIL: Version = (1, 43)
BRIDGE_FILTERS_UNTIL: Version = (1, 50)
NONDISTRIBUTABLE_UNTIL: Version = (1, 49)
EXECUTION_DRIVER_UNTIL: Version = (1, 25)
BUILDER_SIZE_UNTIL: Version = (1, 42)
WAIT_CONDITION_SINCE: Version = (1, 30)
AUTO_REMOVE_SINCE: Version = (1, 25)
START_INTERVAL_SINCE: Version = (1, 44)
STOP_SIGNAL_SINCE: Version = (1, 42)
PLATFORM_SINCE: Version = (1, 41)
PULL_PLATFORM_SINCE: Version = (1, 32)
ONE_SHOT_SINCE: Version = (1, 41)
EXEC_SIZE_SINCE: Version = (1, 42)
DISK_USE_TYPE_SINCE: Version = (1, 42)
PRUNE_ANONYMOUS_SINCE: Version = (1, 42)
"""Before, volumes that users had named were pruned too, as they are now where a client asks for all."""
SHORT_ALIASES_UNTIL: Version = (1, 45)
MULTIPLEXED_SINCE: Version = (1, 42)
"""Clients of older versions know only the raw type of a stream, whatever it holds."""
WEBSOCKET_CHOICE_SINCE: Version = (1, 42)
"""Clients of older versions got all three streams, whatever they asked for."""
WEBSOCKET_BINARY_SINCE: Version = (1, 28)
"""Before, messages were text."""


def query_since(request: web.Request, name: str, since: Version) -> str:
    """A query parameter; empty where it is absent, or the client's version does not have it yet."""
    return request.query.get(name, "") if version_of(request) >= since else ""


def image(shown: Answer, version: Version) -> Answer:
    """An image, inspected or listed."""
    return {**shown, "VirtualSize": shown["Size"]} if version < VIRTUAL_SIZE_UNTIL else shown


def listed_image(shown: Answer, version: Version) -> Answer:
    """An image of a list: until v1.43 one without a name was given a name that says so."""
    if version < NO_NAMES_UNTIL and not shown["RepoTags"] and not shown["RepoDigests"]:
        shown = {**shown, "RepoTags": ["<none>:<none>"], "RepoDigests": ["<none>@<none>"]}
    return image(shown, version)


def info(shown: Answer, version: Version) -> Answer:
    """``/info``."""
    older: Answer = {}
    if version < BRIDGE_FILTERS_UNTIL:
        older |= {"BridgeNfIptables": False, "BridgeNfIp6tables": False}
    if version < NONDISTRIBUTABLE_UNTIL:
        no_hosts: Answer = {
            "AllowNondistributableArtifactsCIDRs": [],
            "AllowNondistributableArtifactsHostnames": [],
        }
        older["RegistryConfig"] = shown["RegistryConfig"] | no_hosts
    if version < EXECUTION_DRIVER_UNTIL:
        older["ExecutionDriver"] = "<not supported>"
    return {**shown, **older}


def disk_use(shown: Answer, version: Version) -> Answer:
    """``/system/df``."""
    older: Answer = {"BuilderSize": 0} if version < BUILDER_SIZE_UNTIL else {}
    images = shown["Images"] and [image(one, version) for one in shown["Images"]]
    return {**shown, "Images": images, **older}


def container(shown: Answer, version: Version) -> Answer:
    """An inspected container: until v1.45 its short id was an alias in every network of a user's."""
    if version >= SHORT_ALIASES_UNTIL:
        return shown
    settings = shown["NetworkSettings"]
    networks = {
        name: one if name in PREDEFINED else {**one, "Aliases": [*(one["Aliases"] or ()), shown["Id"][:12]]}
        for name, one in settings["Networks"].items()
    }
    return {**shown, "NetworkSettings": {**settings, "Networks": networks}}


def create(body: dict[str, Any], version: Version) -> dict[str, Any]:
    """The body of a create request without what its version does not have; of any shape still."""
    sent = dict(body)
    host, check = sent.get("HostConfig"), sent.get("Healthcheck")
    if version < AUTO_REMOVE_SINCE and isinstance(host, dict):
        sent["HostConfig"] = {name: value for name, value in host.items() if name != "AutoRemove"}
    if version < START_INTERVAL_SINCE and isinstance(check, dict):
        sent["Healthcheck"] = {name: value for name, value in check.items() if name != "StartInterval"}
    return sent
