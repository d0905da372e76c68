"""volume inspect and rm, and other commands for which linwin has nothing: what they ask the daemon."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.cli.conftest import Result
from tests.unit.cli.fake_daemon import Reply, error

NONE = "no such volume"


@pytest.mark.parametrize("words", [("-f", "{{.Mountpoint}}", "v"), ("v", "--format", "{{.Mountpoint}}")])
def test_an_options_value_is_no_volume(daemon: Any, linwin: Any, words: tuple[str, ...]) -> None:
    daemon.on("GET /volumes/v", {"Name": "v", "Mountpoint": "/there"})
    assert linwin("volume", "inspect", *words) == Result(0, "/there\n", "")
    assert daemon.routes == ["GET /volumes/v"]


def test_volumes_that_are_not_there(daemon: Any, linwin: Any) -> None:
    for name in ("a", "b"):
        daemon.on(f"GET /volumes/{name}", error(404, f"get {name}: {NONE}"))
    said = f"linwin: get a: {NONE}\nlinwin: get b: {NONE}\n"
    assert linwin("volume", "inspect", "a", "b") == Result(1, "[]\n", said)


def test_all_that_are_named_are_removed(daemon: Any, linwin: Any) -> None:
    daemon.on("DELETE /volumes/a", error(404, f"get a: {NONE}"))
    daemon.on("DELETE /volumes/b", Reply(204))
    assert linwin("volume", "rm", "-f", "a", "b") == Result(1, "b\n", f"linwin: get a: {NONE}\n")
    assert daemon.asked("DELETE /volumes/b").query == {"force": "1"}


@pytest.mark.parametrize("command", ["inspect", "rm"])
def test_one_must_be_named(place: Any, linwin: Any, command: str) -> None:
    done = linwin("volume", command)
    assert done.code == 1
    assert done.err.startswith(f"linwin: 'linwin volume {command}' requires at least 1 argument\n")


@pytest.mark.parametrize("words", [("export",), ("container", "export")])
def test_an_export_to_a_file_asks_for_the_container(daemon: Any, linwin: Any, words: tuple[str, ...]) -> None:
    daemon.on("GET /containers/box/export", error(501, "there is no export"))
    assert linwin(*words, "-o", "file", "box") == Result(1, "", "linwin: there is no export\n")


def test_what_is_refused_takes_any_option(daemon: Any, linwin: Any) -> None:
    daemon.on("POST /commit", error(501, "there is no commit"))
    assert linwin("commit", "-m", "words", "box", "--any").err == "linwin: there is no commit\n"
