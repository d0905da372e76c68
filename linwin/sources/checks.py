"""What an instruction of a Dockerfile has to be like, before anything is done about it.

Rules and sentences: docker's own (moby/buildkit, ``frontend/dockerfile/instructions``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from linwin.errors import InvalidRequest, LinwinError, Unsupported
from linwin.model import durations
from linwin.model.build import Instruction
from linwin.sources.text import HEREDOC

INSTRUCTIONS = (
    "ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL",
    "MAINTAINER", "ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR",
)  # fmt: skip
CHANGES = frozenset(INSTRUCTIONS) - {"ADD", "ARG", "COPY", "FROM", "MAINTAINER", "RUN"}
"""What ``--change`` takes."""

WITH_VALUE = {
    "FROM": ("platform",),
    "COPY": ("from", "chown", "chmod"),
    "ADD": ("chown", "chmod", "checksum"),
    "HEALTHCHECK": ("interval", "timeout", "start-period", "start-interval", "retries"),
}
SWITCHES = {"COPY": ("link",), "ADD": ("link", "keep-git-dir")}

NO_MOUNTS = (
    "Bring files in with COPY and values with ARG; what a step leaves behind can be deleted in the same step."
)
NO_BUILDKIT = {
    ("RUN", "mount"): NO_MOUNTS,
    ("RUN", "network"): "Choose the network of all steps with: linwin build --network",
    ("RUN", "security"): "Remove the flag: a step runs in a virtual machine of its own.",
    ("RUN", "device"): "Remove the flag: a guest has no devices of the host.",
    ("COPY", "parents"): "Name the target of each folder in a COPY of its own.",
    ("COPY", "exclude"): "Leave files out with .dockerignore, or copy the folders one by one.",
    ("ADD", "exclude"): "Leave files out with .dockerignore, or copy the folders one by one.",
    ("ADD", "unpack"): "Remove the flag: a local archive is unpacked, and what is fetched is not.",
}
"""Flags that BuildKit has and linwin has not, and what to do instead."""
HARMLESS = {("RUN", "network"): "default", ("RUN", "security"): "sandbox"}
"""The values of such flags that ask for what happens anyway."""

AT_LEAST_ONE = (
    "ADD",
    "ARG",
    "COPY",
    "ENV",
    "EXPOSE",
    "HEALTHCHECK",
    "LABEL",
    "ONBUILD",
    "RUN",
    "SHELL",
    "VOLUME",
)
EXACTLY_ONE = ("MAINTAINER", "STOPSIGNAL", "USER", "WORKDIR")
STAGE_NAME = re.compile(r"[a-z][a-z0-9-_.]*")
SHORTEST = 10**6
LONGEST = 2**63
MOST_RETRIES = 2**31


@dataclass(slots=True)
class Wrong(Exception):
    """What is wrong with an instruction. ``word`` is the one to blame, where it is not its name."""

    why: str
    word: str = ""
    hint: str | None = None
    kind: type[LinwinError] = InvalidRequest


def check(instruction: Instruction) -> None:
    """Raises Wrong."""
    check_flags(instruction)
    name, words = instruction.name, instruction.words
    if name in AT_LEAST_ONE and not words and instruction.trigger is None:
        if name in ("COPY", "ADD"):
            raise no_destination(name)
        raise Wrong(f"{name} requires at least one argument")
    if name in EXACTLY_ONE and len(words) != 1:
        raise Wrong(f"{name} requires exactly one argument")
    match name:
        case "COPY" | "ADD":
            check_copy(instruction)
        case "ENV" | "LABEL":
            if "" in words[::2]:
                raise Wrong(f"{name} names can not be blank")
        case "ARG":
            if blank := [word for word in words if word.startswith("=")]:
                raise Wrong("ARG names can not be blank", blank[0])
        case "VOLUME":
            if any(not word.strip() for word in words):
                raise Wrong("VOLUME specified can not be an empty string")
        case "SHELL":
            if not instruction.is_json:
                raise Wrong(
                    "SHELL requires the arguments to be in JSON form",
                    words[0],
                    'Write SHELL ["cmd", "/S", "/C"].',
                )
        case "HEALTHCHECK":
            check_health(instruction)


def check_unknown(name: str, word: str, blamed: str = "") -> None:
    """Raises Wrong for what is no instruction's name; ``blamed`` is it where it does not come first."""
    if name in INSTRUCTIONS:
        return
    raise Wrong(f"unknown instruction: {word[:100]}{suggestion(name, INSTRUCTIONS)}", blamed)


def suggestion(word: str, known: tuple[str, ...], prefix: str = "") -> str:
    """The end of a sentence: which of the known words may have been meant."""
    from difflib import get_close_matches  # only where something is wrong: it takes a while to load

    close = get_close_matches(word[:100], known, 1)
    return f" (did you mean {prefix}{close[0]}?)" if close else ""


def check_flags(instruction: Instruction) -> None:
    name = instruction.name
    with_value, switches = WITH_VALUE.get(name, ()), SWITCHES.get(name, ())
    seen = set()
    for flag, value in instruction.flags:
        word = f"--{flag}"
        if (name, flag) in NO_BUILDKIT:
            if value == HARMLESS.get((name, flag)):
                continue
            raise Wrong(
                f"{name} {word} is BuildKit's, and linwin does without",
                word,
                NO_BUILDKIT[name, flag],
                Unsupported,
            )
        if flag not in with_value + switches:
            raise Wrong(f"unknown flag: {word}{suggestion(flag, with_value + switches, '--')}", word)
        if flag in seen:
            raise Wrong(f"duplicate flag specified: {flag}", word)
        seen.add(flag)
        if flag in with_value and not value:
            raise Wrong(f"missing a value on flag: {flag}", word)
        if flag in switches and value.lower() not in ("", "true", "false"):
            raise Wrong(f"expecting boolean value for flag {flag}, not: {value}", word)


def check_copy(instruction: Instruction) -> None:
    name, words = instruction.name, instruction.words
    if len(words) < 2:
        raise no_destination(name)
    if HEREDOC.fullmatch(words[-1]) and not instruction.is_json:
        raise Wrong(f"{name} cannot accept a heredoc as a destination", words[-1])


def no_destination(name: str) -> Wrong:
    return Wrong(
        f"{name} requires at least two arguments, but only one was provided. "
        "Destination could not be determined"
    )


def check_health(instruction: Instruction) -> None:
    kind, *command = instruction.words
    if kind == "NONE":
        if command:
            raise Wrong("HEALTHCHECK NONE takes no arguments", command[0])
        if instruction.flags:
            raise Wrong("HEALTHCHECK NONE takes no flags", f"--{instruction.flags[0][0]}")
        return
    if kind != "CMD":
        raise Wrong(f'Unknown type "{kind}" in HEALTHCHECK (try CMD)', kind)
    if not command:
        raise Wrong("Missing command after HEALTHCHECK CMD")
    for flag, value in instruction.flags:
        if flag == "retries":
            check_retries(value)
        elif 0 < nanoseconds(value, f"--{flag}") < SHORTEST:
            raise Wrong(f'Interval "{flag}" cannot be less than 1ms', f"--{flag}")


def check_retries(value: str) -> None:
    if not re.fullmatch(r"[+-]?[0-9]{1,10}", value) or int(value) >= MOST_RETRIES:
        raise Wrong(f'"{value}" is not a number of --retries', "--retries")
    if int(value) < 0:
        raise Wrong(f"--retries cannot be negative ({value})", "--retries")


def nanoseconds(value: str, flag: str) -> int:
    """A duration as Go writes it. Raises Wrong, which blames ``flag``, for none, and for a negative one."""
    try:
        total = durations.nanoseconds(value)
    except ValueError as error:
        hint = "Write numbers and units, such as 500ms or 1m30s."
        raise Wrong(f'invalid duration "{value}"', flag, hint) from error
    if total >= LONGEST:
        raise Wrong(f'invalid duration "{value}"', flag, "Write a shorter one.")
    return total


def check_trigger(name: str) -> None:
    """Raises Wrong for what ONBUILD cannot hold."""
    if name == "ONBUILD":
        raise Wrong("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed", name)
    if name in ("MAINTAINER", "FROM"):
        raise Wrong(f"{name} isn't allowed as an ONBUILD trigger", name)


def stage_name(words: tuple[str, ...]) -> str:
    """The name that FROM gives its stage, in lower case, or nothing. Raises Wrong."""
    if len(words) == 1:
        return ""
    if len(words) != 3 or words[1].lower() != "as":
        raise Wrong("FROM requires either one or three arguments", words[1] if len(words) > 1 else "")
    name = words[2].lower()
    if not STAGE_NAME.fullmatch(name):
        raise Wrong(
            f'invalid name for build stage: "{words[2]}", name can\'t start with a number or contain symbols',
            words[2],
        )
    return name
