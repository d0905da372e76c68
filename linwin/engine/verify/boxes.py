"""The containers that checks are made in, as their user would ask for them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from linwin.engine.create import MIB
from linwin.model.container import ContainerSpec
from linwin.model.mount import Mount
from linwin.model.network import NO_NETWORK, EndpointSpec, PortRequest
from linwin.model.restart import RestartPolicy

LABEL, CALLED = "linwin.verify", "linwin-verify-"
"""On all that a verification makes, and how its name begins: see :func:`is_ours`."""
PORT = 7000
SHARED, SHARED_READ_ONLY, VOLUME = "C:\\verify-bind", "C:\\verify-read-only", "C:\\verify-volume"


@dataclass(frozen=True, slots=True)
class Place:
    """What the containers of one verification have in common.

    ``memory`` is in MiB, ``shared`` a folder of the host, ``network`` and ``volume`` are names of
    this verification's own.
    """

    template: str
    image: str
    memory: int
    shared: Path
    network: str
    volume: str
    labels: Mapping[str, str]


def is_ours(name: str, labels: Mapping[str, str]) -> bool:
    """Whether a verification made what has this name and these labels, so that it may be removed.

    Containers have the labels of their images, which come from anybody: a label alone says nothing.
    """
    return LABEL in labels and name.startswith(CALLED)


def hostname(box: str) -> str:
    """What the guest of a box is to be called."""
    return f"verify-{box}"


def plain(place: Place, box: str) -> ContainerSpec:
    """One whose program waits for input that never comes."""
    return ContainerSpec(
        image=place.image,
        template=place.template,
        cmd=("cmd", "/q"),
        open_stdin=True,
        hostname=hostname(box),
        labels=place.labels,
        memory=place.memory * MIB,
        endpoints=(),
        host_config={"NetworkMode": NO_NETWORK},
    )


def cold(place: Place, box: str) -> ContainerSpec:
    return dataclasses.replace(plain(place, box), cold=True)


def healing(place: Place, box: str) -> ContainerSpec:
    return dataclasses.replace(plain(place, box), restart=RestartPolicy("always"))


def networked(place: Place, box: str) -> ContainerSpec:
    endpoint = EndpointSpec(place.network, aliases=(hostname(box),))
    return dataclasses.replace(plain(place, box), endpoints=(endpoint,), host_config={})


def published(place: Place, box: str) -> ContainerSpec:
    return dataclasses.replace(networked(place, box), ports=(PortRequest(PORT, "tcp", "127.0.0.1"),))


def mounted(place: Place, box: str) -> ContainerSpec:
    mounts = (
        Mount("bind", SHARED, str(place.shared)),
        Mount("bind", SHARED_READ_ONLY, str(place.shared), read_only=True),
        Mount("volume", VOLUME, place.volume, labels=place.labels),
    )
    return dataclasses.replace(plain(place, box), mounts=mounts)


BOXES: Mapping[str, Callable[[Place, str], ContainerSpec]] = {
    "cold": cold,
    "box": plain,
    "twin": plain,
    "mounted": mounted,
    "web": published,
    "peer": networked,
    "mortal": plain,
    "healing": healing,
}
"""By the name that checks ask for."""
STAND_INS: Mapping[str, str] = {"cold": "box", "mortal": "box"}
"""Which box is another one too where every guest boots cold, and takes minutes to set itself up."""
