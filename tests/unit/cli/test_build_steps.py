"""The steps that a terminal shows, out of docker's stream."""

from __future__ import annotations

from typing import Any

import pytest

from linwin.cli.build_steps import KEPT_LINES, BuildSteps, blamed, plain


def line(text: str, step: int = 1, stage: str = "0") -> dict[str, Any]:
    return {"stream": text, "linwin": {"stage": stage, "step": step, "steps": 3}}


def test_a_step_from_its_beginning_to_its_end() -> None:
    steps = BuildSteps()
    assert steps.hear(line("Step 1/3 : RUN a\n"), 10.0) == ([], [])
    steps.hear(line(" ---> Running in 0123456789ab\n"), 10.5)
    steps.hear(line("one\ntw"), 11.0)
    steps.hear(line("o\n50%\r100%"), 12.0)
    (step,) = steps.running.values()
    assert (step.label, step.title, step.seconds(12.5)) == ("[1/3]", "RUN a", 2.5)
    assert step.last(6) == ["one", "two", "100%"]
    steps.hear(line(" ---> Removed intermediate container 0123456789ab\n"), 13.0)
    assert steps.hear(line(" ---> 0123456789ab\n"), 14.0) == ([step], [])
    assert (step.cached, step.seconds(99.0), list(step.lines), steps.running) == (
        False,
        4.0,
        ["one", "two"],
        {},
    )


def test_a_cached_step() -> None:
    steps = BuildSteps()
    steps.hear(line("Step 2/3 : COPY . .\n", 2), 1.0)
    steps.hear(line(" ---> Using cache\n", 2), 1.0)
    ((step,), _) = steps.hear(line(" ---> 0123456789ab\n", 2), 1.0)
    assert (step.label, step.title, step.cached, step.last(9)) == ("[2/3]", "COPY . .", True, [])


def test_stages_that_run_at_once() -> None:
    steps = BuildSteps()
    steps.hear(line("Step 1/3 : FROM a AS tools\n", 1, "tools"), 0.0)
    steps.hear(line("Step 2/3 : FROM b\n", 2, "1"), 1.0)
    steps.hear(line("to tools\n", 1, "tools"), 2.0)
    assert {stage: (step.label, step.last(6)) for stage, step in steps.running.items()} == {
        "tools": ("[tools 1/3]", ["to tools"]),
        "1": ("[2/3]", []),
    }
    # A step that begins ends the one before it in its stage, and no other.
    ended, _ = steps.hear(line("Step 3/3 : RUN x\n", 3, "tools"), 3.0)
    assert [step.title for step in ended] == ["FROM a AS tools"]
    assert [step.title for step in steps.end(4.0)] == ["FROM b", "RUN x"]
    assert steps.running == {}


def test_what_is_about_no_step() -> None:
    steps = BuildSteps()
    assert steps.hear({"stream": "Successfully built 0123\n"}, 0.0) == ([], ["Successfully built 0123"])
    assert steps.hear(line("[warning] x\n"), 0.0) == ([], ["[warning] x"])
    assert steps.hear({"status": "Pulling", "id": "a"}, 0.0) == ([], ["a: Pulling"])
    assert steps.hear({"aux": {"ID": "sha256:1"}}, 0.0) == ([], [])


def test_a_pull_is_shown_with_the_step_that_began_last() -> None:
    steps = BuildSteps()
    steps.hear(line("Step 1/3 : FROM a\n"), 0.0)
    detail = {"current": 1_000_000, "total": 2_500_000}
    steps.hear({"status": "Downloading", "id": "abc", "progressDetail": detail}, 0.0)
    steps.hear({"status": "Pulling fs layer", "id": "def", "progressDetail": {}}, 0.0)
    (step,) = steps.running.values()
    assert step.last(6) == ["abc: Downloading 1MB/2.5MB", "def: Pulling fs layer"]
    steps.hear({"status": "Done", "id": "abc"}, 0.0)
    assert step.last(1) == ["abc: Done"]
    assert steps.hear({"status": "Status: Image is up to date"}, 0.0) == ([], ["Status: Image is up to date"])


def test_who_is_to_blame() -> None:
    steps = BuildSteps()
    steps.hear(line("Step 1/3 : RUN tool a\n", 1, "a"), 0.0)
    steps.hear(line("Step 2/3 : RUN tool b\n", 2, "b"), 0.0)
    a, b = running = steps.end(1.0)
    assert blamed(running, "The command 'cmd /S /C tool b' returned a non-zero code: 3") == [b]
    assert blamed(running, "the disk is full") == [a, b]


def test_output_has_bounds() -> None:
    steps = BuildSteps()
    steps.hear(line("Step 1/3 : RUN a\n"), 0.0)
    steps.hear(line("x\n" * 1000), 0.0)
    for _ in range(100):
        steps.hear(line("y" * 1000), 0.0)
    (step,) = steps.running.values()
    assert (len(step.lines), len(step.partial)) == (KEPT_LINES, 4096)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m and \x1b]0;title\x07done", "red and done"),
        ("a\x1b[2Jb\tc\x07", "ab c"),
        ("10%\r20%\r", "20%"),
        ("gr\u00fc\u00df \u202e", "gr\u00fc\u00df"),
    ],
)
def test_what_would_move_the_cursor_is_not_shown(text: str, shown: str) -> None:
    assert plain(text) == shown
