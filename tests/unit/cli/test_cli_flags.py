"""docker's ``--flag=true``, and what is not to be touched."""

from __future__ import annotations

import pytest

from linwin.cli.exec import exec as exec_command
from linwin.cli.flags import plain_flags
from linwin.cli.history import history
from linwin.cli.logs import logs
from linwin.cli.run import run


@pytest.mark.parametrize(
    ("words", "plain"),
    [
        ("--rm=true x", "--rm x"),
        ("--rm=false x", "x"),
        ("--detach=1 -i=T x", "--detach --interactive x"),
        ("--sig-proxy=false x", "--no-sig-proxy x"),
        ("--sig-proxy=true x", "--sig-proxy x"),
        ("--rm=maybe x", "--rm=maybe x"),
        ("x prog --rm=true", "x prog --rm=true"),
        ("--name x --rm=true y --rm=true", "--name x --rm y --rm=true"),
        ("--name=x --rm=true y", "--name=x --rm y"),
        ("-ite A=1 --rm=true y", "-ite A=1 --rm y"),
        ("-eA=1 --rm=true y", "-eA=1 --rm y"),
        ("-e --rm=true --rm=true y", "-e --rm=true --rm y"),
        ("-- --rm=true", "-- --rm=true"),
        ("--nope --rm=true x", "--nope --rm x"),
    ],
)
def test_of_run(words: str, plain: str) -> None:
    assert plain_flags(run, words.split()) == plain.split()


def test_of_others() -> None:
    assert plain_flags(logs, ["box", "--follow=true", "-t=0"]) == ["box", "--follow"]
    assert plain_flags(history, ["--human=false", "x"]) == ["--no-human", "x"]
    assert plain_flags(exec_command, ["-i=true", "x", "y", "-i=true"]) == [
        "--interactive",
        "x",
        "y",
        "-i=true",
    ]
