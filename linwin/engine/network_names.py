"""Which network a name or an id means. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from linwin.errors import InvalidRequest, NotFound
from linwin.model.network import DEFAULT_NETWORK, FILES_NETWORK, NO_NETWORK, USER_NETWORK, Network

DEFAULT_NAMES = frozenset({"", "default", "bridge", DEFAULT_NETWORK})
"""What clients call the default network; those that think of Linux say bridge."""
PREDEFINED = (DEFAULT_NAMES - {""}) | {NO_NETWORK, "host", FILES_NETWORK, USER_NETWORK}


def plain(name: str) -> str:
    """A network's name or id, the default network by its own name whatever a client calls it."""
    return DEFAULT_NETWORK if name in DEFAULT_NAMES else name


def named(networks: Sequence[Network], name: str) -> Network:
    """By its name alone: one that a container is in by name may be gone, and begin as another's id does."""
    for network in networks:
        if network.name == name:
            return network
    raise NotFound(f"network {name} not found", hint="List those that exist: linwin network ls")


def find(networks: Sequence[Network], reference: str) -> Network:
    """Docker's order of look-up: full id, exact name, unique id prefix."""
    wanted = plain(reference)
    for network in networks:
        if network.id == wanted:
            return network
    for network in networks:
        if network.name == wanted:
            return network
    matching = [network for network in networks if network.id.startswith(wanted)]
    if not matching:
        raise NotFound(f"network {reference} not found", hint="List those that exist: linwin network ls")
    if len(matching) > 1:
        raise InvalidRequest(
            f"network {reference} is ambiguous ({len(matching)} matches found based on ID prefix)"
        )
    return matching[0]
