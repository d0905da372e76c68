"""What the daemon and a worker process say to each other: one line of JSON a message."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from linwin import errors
from linwin.errors import Internal, LinwinError


@dataclass(frozen=True, slots=True)
class Job:
    """Apply the layer at ``blob`` to ``overlay``, an empty qcow2 file on top of ``backing``.

    ``kind`` is the template's, which decides whose registry the layer's deltas
    reach. ``lower`` are blob and diff id of the layers below, the nearest first.
    ``offset`` is where C: begins on the disk, in bytes. ``run_dir`` is a private
    folder for the worker's socket. ``parent`` is the process to die with.
    """

    blob: str
    diff_id: str
    kind: str
    lower: list[tuple[str, str]]
    overlay: str
    backing: str
    offset: int
    run_dir: str
    parent: int

    def encode(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def decode(cls, line: bytes) -> Job:
        return cls(**json.loads(line))


@dataclass(frozen=True, slots=True)
class Advanced:
    """``used`` bytes of the blob have been applied."""

    used: int


@dataclass(frozen=True, slots=True)
class Applied:
    """The overlay is complete and flushed. ``registry`` says what the layer's deltas changed, if any."""

    registry: str = ""


def encode(message: Advanced | Applied | LinwinError) -> bytes:
    match message:
        case Advanced(used):
            value: dict[str, Any] = {"advanced": used}
        case Applied(registry):
            value = {"applied": registry}
        case LinwinError():
            value = {"error": type(message).__name__, "message": message.message, "hint": message.hint}
    return json.dumps(value).encode() + b"\n"


def decode(line: bytes) -> Advanced | Applied | LinwinError:
    value = json.loads(line)
    if "advanced" in value:
        return Advanced(value["advanced"])
    if "applied" in value:
        return Applied(value["applied"])
    kind = getattr(errors, value["error"], Internal)
    error: LinwinError = kind(value["message"], hint=value["hint"])
    return error
