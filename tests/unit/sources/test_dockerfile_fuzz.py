"""Whatever a Dockerfile says, it is read or refused, with a place in it."""

from __future__ import annotations

import random
import re
from contextlib import suppress

import pytest

from linwin.errors import InvalidRequest, Unsupported
from linwin.model.build import Instruction
from linwin.sources.checks import INSTRUCTIONS
from linwin.sources.parse import parse_changes, parse_dockerfile

PIECES = [
    *INSTRUCTIONS,
    *map(str.lower, INSTRUCTIONS),
    *["\n"] * 20,
    *[
        "\r\n",
        "\\\n",
        "`\n",
        " ",
        " ",
        "\t",
        "# a\n",
        "# escape=`\n",
        '"',
        "'",
        '["a", "b"]',
        "[",
        "]",
        "{",
        "=",
    ],
    *[
        "a=b",
        "a",
        "$x",
        "${x",
        "c:\\",
        "..",
        "/",
        "NONE",
        "CMD",
        "AS b",
        "--from=x",
        "--interval=1s",
        "--",
        "--x",
    ],
    *["--mount=", "<<E", "<<-'E'", "\nE\n", "\tE\n", "<<", "\u2028", "\x0b", "é", "😀", "\ufeff", "\x80"],
]
PLACE = re.compile(r"Dockerfile:(\d+):(\d+): .+", re.DOTALL)


def all_of(instructions: tuple[Instruction, ...]) -> list[Instruction]:
    triggers = tuple(one.trigger for one in instructions if one.trigger is not None)
    return [*instructions, *(all_of(triggers) if triggers else ())]


def refusal_of(data: bytes) -> str:
    """What is said of a Dockerfile, nothing of a good one: other exceptions are defects."""
    try:
        found = parse_dockerfile("Dockerfile", data)
    except (InvalidRequest, Unsupported) as refusal:
        return refusal.message
    for stage in found.stages:
        for one in all_of(stage.instructions):
            assert one.name in INSTRUCTIONS
            assert 1 <= one.line <= data.count(b"\n") + 1
            assert (one.trigger is not None) == (one.name == "ONBUILD")
    return ""


@pytest.mark.parametrize("seed", range(60))
def test_any_text_is_read_or_refused(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(60):
        text = "FROM a\n" * (chance.random() < 0.7) + "".join(
            chance.choice(PIECES) + " " * (chance.random() < 0.5) for _ in range(chance.randrange(1, 40))
        )
        message = refusal_of(text.encode())
        if message:
            match = PLACE.fullmatch(message)
            assert match is not None, message
            line = text.split("\n")[int(match[1]) - 1]
            assert 1 <= int(match[2]) <= len(line) + 1


@pytest.mark.parametrize("seed", range(10))
def test_any_bytes_are_read_or_refused(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(100):
        message = refusal_of(b"FROM a\nRUN " + chance.randbytes(chance.randrange(30)))
        assert not message or PLACE.fullmatch(message)


@pytest.mark.parametrize("seed", range(10))
def test_any_change_is_read_or_refused(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(60):
        line = "".join(chance.choice(PIECES) + " " for _ in range(chance.randrange(1, 8)))
        with suppress(InvalidRequest, Unsupported):
            assert parse_changes([line])
