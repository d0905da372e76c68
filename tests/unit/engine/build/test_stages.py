"""Which stages a build needs."""

from __future__ import annotations

import pytest

from linwin.engine.build import stages
from linwin.engine.build.arguments import Arguments
from linwin.errors import InvalidRequest
from linwin.model.build import Dockerfile, Instruction, Stage


def stage(base: str, name: str = "", *sources: str) -> Stage:
    copies = (Instruction("COPY", ("a", "b"), "COPY a b", 2, flags=(("from", source),)) for source in sources)
    return Stage(base, "", name, f"FROM {base}", 1, tuple(copies))


FILE = Dockerfile(
    "\\",
    (),
    (
        stage("nanoserver", "build"),  # 0
        stage("nanoserver", "unused"),  # 1
        stage("build", "test"),  # 2
        stage("nanoserver", "", "build", "0", "microsoft/iis"),  # 3
        stage("nanoserver", "last", "3"),  # 4
    ),
)


@pytest.mark.parametrize(("target", "number"), [("", 4), ("test", 2), ("TEST", 2), ("3", 3), ("last", 4)])
def test_targets(target: str, number: int) -> None:
    assert stages.target_of(FILE, target) == number


def test_a_target_that_is_not_there() -> None:
    with pytest.raises(InvalidRequest) as caught:
        stages.target_of(FILE, "tset")
    assert caught.value.message == (
        'failed to reach build target tset in Dockerfile: target stage "tset" could not be found'
    )
    assert caught.value.hint == "Stages with a name: build, unused, test, last."


@pytest.mark.parametrize(("target", "numbers"), [(4, [0, 3, 4]), (2, [0, 2]), (1, [1]), (3, [0, 3])])
def test_only_what_is_needed_is_built(target: int, numbers: list[int]) -> None:
    assert stages.needed(FILE, target) == numbers


def test_of_two_stages_of_one_name_the_nearer_is_meant() -> None:
    twice = (stage("a", "x"), stage("b", "x"), stage("x"))
    assert stages.earlier_stage(twice, "x", 2) == 1
    assert stages.earlier_stage(twice, "x", 1) == 0
    assert stages.earlier_stage(twice, "2", 2) is None  # not itself


def test_arguments() -> None:
    arguments = Arguments({"GIVEN": "1", "EMPTY": None, "HTTP_PROXY": "p"}, {"OUTER": "o"})
    assert arguments.values == {}
    assert arguments.proxies == {"HTTP_PROXY": "p"}
    for name, default in (("GIVEN", "default"), ("EMPTY", "e"), ("OUTER", None), ("NONE", None)):
        arguments.declare(name, default)
    assert arguments.values == {"GIVEN": "1", "EMPTY": "e", "OUTER": "o"}
    assert arguments.variables(["given=env"])["GIVEN"] == "env"
    assert arguments.beside(["given=env"]) == ("EMPTY=e", "OUTER=o")
