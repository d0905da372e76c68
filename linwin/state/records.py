"""Containers as JSON text and back, strictly: a row that does not fit is told, and not guessed at."""

from __future__ import annotations

import dataclasses
import json
import types
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from linwin.model.container import Container, ContainerSpec
from linwin.model.health import HealthCheck
from linwin.model.mount import Mount
from linwin.model.network import Attachment, EndpointSpec, PortBinding, PortRequest
from linwin.model.restart import RestartPolicy

RETIRED = ("log_offset",)
"""Fields of rows that an earlier linwin wrote, which mean nothing any more."""

ROW = "id, name, created_at, CAST(record AS BLOB)"
"""The columns of a :data:`Row`."""

Row = tuple[str, str, int, bytes]
"""``id``, ``name``, ``created_at`` and ``record``, the latter as bytes since it may be no text at all."""


def dump(container: Container) -> str:
    """The JSON text of a container's row."""
    return json.dumps(dataclasses.asdict(container), separators=(",", ":"), ensure_ascii=False)


def read(row: Row) -> Container:
    """The container of a row.

    One whose record is damaged, or was written by another linwin, is dead, says
    why, and has what could be told of it: its files and the other containers must
    not suffer from it.
    """
    try:
        container = parse(row[3])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        return _salvage(row, str(error) or type(error).__name__)
    if (container.id, container.name, container.created_at) != row[:3]:
        return _salvage(row, "it is the record of another container")
    return container


def parse(record: bytes) -> Container:
    """Raises ValueError, TypeError, KeyError or RecursionError for anything but what ``dump`` wrote."""
    fields = _object(json.loads(record.decode()))
    for name in RETIRED:
        fields.pop(name, None)
    spec = ContainerSpec(**_known(_object(fields.pop("spec"))))
    container = Container(spec=spec, **_known(fields))
    parts = (container, spec, spec.restart, spec.health_check, container.health_check)
    networking = (*(spec.endpoints or ()), *spec.ports, *container.attachments)
    bindings = (port for one in container.attachments for port in one.ports)
    for part in (*parts, *networking, *bindings, *spec.mounts, *container.mounts):
        if part is not None:
            check_types(part)
    return container


def _known(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of a row as their dataclass holds them; rows of earlier versions lack some."""
    known = _tuples(fields)
    if known.get("restart") is not None:
        known["restart"] = RestartPolicy(**_object(known["restart"]))
    if known.get("health_check") is not None:
        known["health_check"] = HealthCheck(**_tuples(_object(known["health_check"])))
    for name, make in _LISTS.items():
        if known.get(name):
            known[name] = tuple(make(dict(_object(one))) for one in known[name])
    return known


def _attachment(fields: dict[str, Any]) -> Attachment:
    ports = tuple(PortBinding(**_object(port)) for port in fields.pop("ports"))
    return Attachment(ports=ports, **_tuples(fields))


_LISTS: dict[str, Callable[[dict[str, Any]], object]] = {
    "endpoints": lambda fields: EndpointSpec(**_tuples(fields)),
    "ports": lambda fields: PortRequest(**fields),
    "attachments": _attachment,
    "mounts": lambda fields: Mount(**fields),
}
"""Fields that hold several dataclasses each."""


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"it holds {value!r:.100} where an object belongs")
    return value


def _tuples(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}


def check_types(part: Any) -> None:
    """Raise ValueError for a dataclass with a value that is of another type than its field."""
    for name, hint in _hints(part.__class__).items():
        if not _fits(getattr(part, name), hint):
            raise ValueError(f"its {name} is {getattr(part, name)!r:.100}")


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def _fits(value: object, hint: Any) -> bool:
    """Whether a value is of a type, as far as the fields of containers need it."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return any(_fits(value, one) for one in arguments)
    if origin is Literal:
        return value in arguments
    if origin is tuple:
        return isinstance(value, tuple) and _fit(value, arguments)
    if origin is Mapping:
        return isinstance(value, dict) and all(_fits(item, arguments[1]) for item in value.values())
    return hint is Any or type(value) is hint


def _fit(values: tuple[object, ...], hints: tuple[Any, ...]) -> bool:
    """Of a tuple's values, each of its own type, or all of one: ``(hint, ...)``."""
    if hints[1:] == (...,):
        return all(_fits(value, hints[0]) for value in values)
    return len(values) == len(hints) and all(map(_fits, values, hints))


def _salvage(row: Row, why: str) -> Container:
    """What is taken from the record, where it is there, are the names by which files find their owner."""
    container_id, name, created_at, record = row
    fields = _salvaged(record)
    uid = fields.get("uid")
    return Container(
        id=container_id,
        name=name,
        spec=ContainerSpec(_text(fields.get("spec"), "image")),
        image_id=_text(fields, "image_id"),
        template=_text(fields, "template"),
        chain_id=_text(fields, "chain_id"),
        argv=(),
        command_line=None,
        env=(),
        cwd="",
        user="",
        labels={},
        uid=uid if type(uid) is int else 0,
        created_at=created_at,
        status="dead",
        error=f"its record cannot be read: {why}",
        unreadable=True,
    )


def _salvaged(record: bytes) -> dict[str, Any]:
    try:
        return _object(json.loads(record))
    except (ValueError, RecursionError):
        return {}


def _text(fields: Any, name: str) -> str:
    value = fields.get(name) if isinstance(fields, dict) else ""
    return value if isinstance(value, str) else ""
