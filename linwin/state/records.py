"""Containers as JSON text and back, strictly: a row that does not fit is an error, not a guess."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

from linwin.errors import Internal
from linwin.model.container import Container, ContainerSpec
from linwin.model.health import HealthCheck
from linwin.model.network import Attachment, EndpointSpec, PortBinding, PortRequest
from linwin.model.restart import RestartPolicy

RETIRED = ("log_offset",)
"""Fields of rows that an earlier linwin wrote, which mean nothing any more."""


def dump(container: Container) -> str:
    """The JSON text of a container's row."""
    return json.dumps(dataclasses.asdict(container), separators=(",", ":"), ensure_ascii=False)


def parse(text: str) -> Container:
    """The container of a row; raises Internal when the row is not one of ours."""
    try:
        fields: dict[str, Any] = json.loads(text)
        for name in RETIRED:
            fields.pop(name, None)
        spec = ContainerSpec(**_known(fields.pop("spec")))
        return Container(spec=spec, **_known(fields))
    except (ValueError, TypeError, KeyError) as error:
        raise Internal(
            f"the state database holds a container row that cannot be read: {error}",
            hint="It was written by another version of linwin or damaged; restore state.db from a backup.",
        ) from error


def _known(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of a row as their dataclass holds them; rows of earlier versions lack some."""
    known = _tuples(fields)
    if known.get("restart") is not None:
        known["restart"] = RestartPolicy(**known["restart"])
    if known.get("health_check") is not None:
        known["health_check"] = HealthCheck(**_tuples(known["health_check"]))
    for name, read in _NETWORKING.items():
        if known.get(name):
            known[name] = tuple(read(one) for one in known[name])
    return known


def _attachment(fields: dict[str, Any]) -> Attachment:
    ports = tuple(PortBinding(**port) for port in fields.pop("ports"))
    return Attachment(ports=ports, **_tuples(fields))


_NETWORKING: dict[str, Callable[[dict[str, Any]], object]] = {
    "endpoints": lambda fields: EndpointSpec(**_tuples(fields)),
    "ports": lambda fields: PortRequest(**fields),
    "attachments": _attachment,
}
"""Fields that hold several dataclasses each."""


def _tuples(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}
