"""volume, and commands for which linwin has nothing: what they ask the daemon and print."""

from __future__ import annotations

import io
import sys
from typing import Any

import pytest

from tests.unit.cli.conftest import Result
from tests.unit.cli.fake_daemon import Reply, error

NONE = "no such volume"
DATA = {
    "Name": "data",
    "Driver": "local",
    "Scope": "local",
    "Mountpoint": "/there",
    "Labels": {"team": "blue", "a": "b"},
    "Options": None,
}


def test_create(daemon: Any, linwin: Any) -> None:
    daemon.on("POST /volumes/create", DATA)
    words = ["--label", "team=blue", "--label", "alone", "-o", "size=1g", "-d", "nfs", "data"]
    assert linwin("volume", "create", *words) == Result(0, "data\n", "")
    assert daemon.asked("POST /volumes/create").json == {
        "Name": "data",
        "Driver": "nfs",
        "DriverOpts": {"size": "1g"},
        "Labels": {"team": "blue", "alone": ""},
    }
    assert linwin("volume", "create").out == "data\n"
    assert daemon.requests[-1].json == {"Name": "", "Driver": "local", "DriverOpts": {}, "Labels": {}}
    assert linwin("volume", "create", "a", "b").code == 1


def test_ls(daemon: Any, linwin: Any) -> None:
    other = DATA | {"Name": "other", "Labels": None, "UsageData": {"Size": 4096, "RefCount": 2}}
    daemon.on("GET /volumes", {"Volumes": [DATA, other], "Warnings": None})
    assert linwin("volume", "ls").out == "DRIVER    VOLUME NAME\nlocal     data\nlocal     other\n"
    assert linwin("volume", "list", "-q").out == "data\nother\n"
    form = (
        '{{.Name}} {{.Mountpoint}} {{.Scope}} {{.Labels}} {{.Label "team"}} {{.Links}} {{.Size}} {{.Status}}'
    )
    assert linwin("volume", "ls", "--format", form).out == (
        "data /there local a=b,team=blue blue N/A N/A N/A\nother /there local   2 4.096kB N/A\n"
    )
    assert linwin("volume", "ls", "--format", "table {{.Name}}\t{{.Size}}").out == (
        "VOLUME NAME   SIZE\ndata          N/A\nother         4.096kB\n"
    )
    linwin("volume", "ls", "-f", "dangling=true")
    assert daemon.requests[-1].query == {"filters": '{"dangling": ["true"]}'}
    daemon.on("GET /volumes", {"Volumes": None})
    assert linwin("volume", "ls").out == "DRIVER    VOLUME NAME\n"


def test_prune(daemon: Any, linwin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    daemon.on("POST /volumes/prune", {"VolumesDeleted": ["data"], "SpaceReclaimed": 4096})
    assert linwin("volume", "prune", "-f").out == (
        "Deleted Volumes:\ndata\n\nTotal reclaimed space: 4.096kB\n"
    )
    assert daemon.requests[-1].query == {}
    linwin("volume", "prune", "-f", "-a", "--filter", "label=x")
    assert daemon.requests[-1].query == {"filters": '{"label": ["x"], "all": ["true"]}'}
    monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
    assert linwin("volume", "prune").out == (
        "WARNING! This will remove anonymous local volumes not used by at least one container.\n"
        "Are you sure you want to continue? [y/N] "
    )


def test_a_volume_among_other_kinds(daemon: Any, linwin: Any) -> None:
    for path in ("containers/data/json", "images/data/json", "networks/data"):
        daemon.on(f"GET /{path}", error(404, "none"))
    daemon.on("GET /volumes/data", DATA)
    assert linwin("inspect", "-f", "{{.Mountpoint}}", "data").out == "/there\n"
    assert linwin("inspect", "--type", "volume", "-f", "{{.Scope}}", "data").out == "local\n"


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
