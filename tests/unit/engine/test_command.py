"""Resolving entrypoint, command and environment as docker does on Windows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linwin.engine import command
from linwin.engine.command import Command
from linwin.errors import InvalidRequest
from linwin.model.container import ContainerSpec
from linwin.model.image import RunConfig


def spec(**fields: object) -> ContainerSpec:
    return ContainerSpec(image="x", **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("user", "image", "expected"),
    [
        ({}, {"cmd": ("cmd",)}, Command(("cmd",))),
        ({"cmd": ("ver",)}, {"cmd": ("cmd",)}, Command(("ver",))),
        ({"cmd": ("a",)}, {"entrypoint": ("node",), "cmd": ("b",)}, Command(("node", "a"))),
        ({}, {"entrypoint": ("node",), "cmd": ("b",)}, Command(("node", "b"))),
        ({"entrypoint": ("sh",)}, {"entrypoint": ("node",), "cmd": ("b",)}, Command(("sh",))),
        ({"entrypoint": ("sh",), "cmd": ("c",)}, {"cmd": ("b",)}, Command(("sh", "c"))),
        ({"entrypoint": ("",), "cmd": ("c",)}, {"entrypoint": ("node",)}, Command(("c",))),
        # The classic builder's shell form: one verbatim string.
        (
            {},
            {"cmd": ("cmd /S /C echo hi",), "args_escaped": True},
            Command(("cmd /S /C echo hi",), "cmd /S /C echo hi"),
        ),
        # BuildKit's: the shell, then the text.
        (
            {},
            {"cmd": ("cmd", "echo a  b"), "args_escaped": True},
            Command(("cmd", "echo a  b"), 'cmd "echo a  b"'),
        ),
        # A user's command is never verbatim.
        ({"cmd": ("a b",)}, {"cmd": ("x",), "args_escaped": True}, Command(("a b",))),
        ({"entrypoint": ("a b",)}, {"entrypoint": ("x",), "args_escaped": True}, Command(("a b",))),
        # The image's entrypoint stays verbatim in front of a user's command.
        (
            {"cmd": ("c d",)},
            {"entrypoint": ("x y",), "args_escaped": True},
            Command(("x y", "c d"), 'x y "c d"'),
        ),
    ],
)
def test_resolve(user: dict[str, object], image: dict[str, object], expected: Command) -> None:
    assert command.resolve(spec(**user), RunConfig(**image)) == expected  # type: ignore[arg-type]


def test_no_command_at_all() -> None:
    with pytest.raises(InvalidRequest) as caught:
        command.resolve(spec(), RunConfig())
    assert caught.value.message == "no command specified"
    assert caught.value.hint == (
        "The image has no command of its own; name the program to run after the image."
    )


@pytest.mark.parametrize(
    ("argument", "escaped"),
    [
        ("plain", "plain"),
        ("", '""'),
        ("a b", '"a b"'),
        ('say "hi"', '"say \\"hi\\""'),
        ("C:\\a b\\", '"C:\\a b\\\\"'),
        ('\\"', '"\\\\\\""'),
        ("C:\\plain\\", "C:\\plain\\"),
    ],
)
def test_escape(argument: str, escaped: str) -> None:
    assert command.escape(argument) == escaped


VECTORS = json.loads(Path(__file__).with_name("command_lines.json").read_text())["vectors"]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str(vector["argv"]))
def test_join(vector: dict[str, Any]) -> None:
    assert command.join(vector["argv"]) == vector["command_line"]


def parse(line: str) -> list[str]:
    """Microsoft's rules read from the other side, to check escape against."""
    arguments: list[str] = []
    current, quoted, started, i = "", False, False, 0
    while i < len(line):
        if line[i] == "\\":
            run = len(line) - i - len(line[i:].lstrip("\\"))
            i += run
            if i < len(line) and line[i] == '"':
                current += "\\" * (run // 2)
                if run % 2:
                    current += '"'
                    i += 1
            else:
                current += "\\" * run
            started = True
        elif line[i] == '"':
            quoted, started = not quoted, True
            i += 1
        elif line[i] in " \t" and not quoted:
            if started:
                arguments.append(current)
            current, started = "", False
            i += 1
        else:
            current, started = current + line[i], True
            i += 1
    return [*arguments, current] if started else arguments


@given(st.lists(st.text(alphabet='ab "\\\t', max_size=8), max_size=5))
def test_what_is_escaped_is_parsed_back(arguments: list[str]) -> None:
    assert parse(command.join(arguments)) == arguments


def test_environments_merge_without_regard_to_case() -> None:
    assert command.merge_env(("Path=C:\\a", "X=1"), ("PATH=C:\\b", "Y=2")) == ("X=1", "PATH=C:\\b", "Y=2")
    assert command.merge_env(("X=1",), ("x",)) == ()
    assert command.merge_env(("X=a=b",)) == ("X=a=b",)
