"""What the daemon and the process that reads contexts say to each other: one line of JSON a message.

A request has a ``verb`` and its arguments; it is answered by ``done`` with a value, or by an ``error``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from linwin import errors
from linwin.errors import Internal, LinwinError, Unavailable
from linwin.model.build import (
    Dockerfile,
    FromArchive,
    FromContext,
    FromFile,
    FromText,
    Heredoc,
    Instruction,
    NewFolder,
    Packed,
    Selected,
    Stage,
)

LARGEST = 64 << 20
"""Bytes of one message: a Dockerfile of the largest size fits, and the names of a million files mostly do."""

PACKED: dict[str, type[Any]] = {
    kind.__name__: kind for kind in (FromContext, FromArchive, FromFile, FromText, NewFolder)
}


def of_request(verb: str, **arguments: Any) -> bytes:
    return json.dumps({"verb": verb, **arguments}, default=plain).encode() + b"\n"


def request_in(line: bytes) -> tuple[str, dict[str, Any]]:
    arguments = json.loads(line)
    return arguments.pop("verb"), arguments


def of_answer(value: Any) -> bytes:
    line = json.dumps({"done": value}, default=plain).encode() + b"\n"
    if len(line) > LARGEST:
        return of_error(Unavailable(f"the answer has more than {LARGEST >> 20} MiB", hint="Build from less."))
    return line


def of_error(error: LinwinError) -> bytes:
    fields = {"error": type(error).__name__, "message": error.message, "hint": error.hint}
    return json.dumps(fields).encode() + b"\n"


def answer_in(line: bytes) -> Any:
    """The value of an answer. Raises the error that it is instead."""
    answer = json.loads(line)
    if "error" in answer:
        kind = getattr(errors, answer["error"], Internal)
        error: LinwinError = kind(answer["message"], hint=answer["hint"])
        raise error
    return answer["done"]


def plain(value: Any) -> Any:
    """What JSON has for the values of the model."""
    if isinstance(value, Path):
        return str(value)
    assert is_dataclass(value)
    assert not isinstance(value, type)
    return asdict(value)


def of_items(items: Sequence[Packed]) -> list[tuple[str, Any]]:
    return [(type(item).__name__, item) for item in items]


def items_in(value: list[tuple[str, dict[str, Any]]]) -> list[Packed]:
    items: list[Packed] = []
    for kind, fields in value:
        for name in ("archive", "path"):
            if name in fields:
                fields[name] = Path(fields[name])
        items.append(PACKED[kind](**fields))
    return items


def selected_in(value: list[dict[str, Any]]) -> tuple[Selected, ...]:
    return tuple(Selected(**fields) for fields in value)


def dockerfile_in(value: dict[str, Any]) -> Dockerfile:
    stages = tuple(
        Stage(**{**stage, "instructions": instructions_in(stage["instructions"])})
        for stage in value["stages"]
    )
    return Dockerfile(value["escape"], instructions_in(value["arguments"]), stages)


def instructions_in(value: list[dict[str, Any]]) -> tuple[Instruction, ...]:
    return tuple(instruction_in(fields) for fields in value)


def instruction_in(fields: dict[str, Any]) -> Instruction:
    return Instruction(
        fields["name"],
        tuple(fields["words"]),
        fields["original"],
        fields["line"],
        tuple((name, value) for name, value in fields["flags"]),
        fields["is_json"],
        tuple(Heredoc(**heredoc) for heredoc in fields["heredocs"]),
        None if fields["trigger"] is None else instruction_in(fields["trigger"]),
    )
