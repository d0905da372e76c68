"""ps, images and template ls: docker's columns and spacing (taken from docker 28.2.2), and --format."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.unit.cli.fake_daemon import Reply

A, B, C, D = "a1" * 32, "b2" * 32, "c1" * 32, "d2" * 32


@pytest.fixture
def containers(daemon: Any) -> Any:
    now = int(time.time())
    running = {
        "Id": A,
        "Names": ["/brave_gates"],
        "Image": "microsoft/nanoserver",
        "ImageID": f"sha256:{B}",
        "Command": "cmd /c echo a long command line here",
        "Created": now - 125,
        "State": "running",
        "Status": "Up 2 minutes",
        "Ports": [
            {"PrivatePort": 81, "PublicPort": 8081, "IP": "0.0.0.0", "Type": "tcp"},
            {"PrivatePort": 80, "Type": "tcp"},
        ],
        "Labels": {"a": "b", "c": "d"},
        "Mounts": [],
        "NetworkSettings": {"Networks": {"nat": {}}},
        "Linwin": {"Template": "wine"},
    }
    ended = {
        **running,
        "Id": C,
        "Names": ["/x"],
        "Image": f"sha256:{B}",
        "Command": "cmd",
        "Created": now - 3700,
        "State": "exited",
        "Status": "Exited (0) 3 minutes ago",
        "Ports": [],
        "Labels": {},
    }
    daemon.on("GET /containers/json", [running, ended])
    return daemon


@pytest.fixture
def images(daemon: Any) -> Any:
    now = int(time.time())
    tagged = {
        "Id": f"sha256:{B}",
        "RepoTags": ["microsoft/nanoserver:latest", "host:5000/windows/nanoserver:ltsc2022"],
        "RepoDigests": [],
        "Created": now - 40 * 86400,
        "Size": 1234567890,
    }
    untagged = {
        "Id": f"sha256:{C}",
        "RepoTags": [],
        "RepoDigests": [f"foo@sha256:{D}"],
        "Created": now - 900 * 86400,
        "Size": 999,
    }
    daemon.on("GET /images/json", [tagged, untagged])
    return daemon


def test_ps_has_dockers_columns_and_the_template_last(containers: Any, linwin: Any) -> None:
    result = linwin("ps", "-a")
    assert result.out == (
        "CONTAINER ID   IMAGE                  COMMAND                  CREATED             STATUS"
        "                     PORTS                          NAMES         TEMPLATE\n"
        'a1a1a1a1a1a1   microsoft/nanoserver   "cmd /c echo a long …"   2 minutes ago       Up 2 minutes'
        "               80/tcp, 0.0.0.0:8081->81/tcp   brave_gates   wine\n"
        'c1c1c1c1c1c1   b2b2b2b2b2b2           "cmd"                    About an hour ago   Exited (0) 3'
        " minutes ago                                  x             wine\n"
    )
    assert (result.code, result.err) == (0, "")
    assert containers.asked("GET /containers/json").query == {"all": "1"}


def test_ps_without_containers_prints_the_head_only(daemon: Any, linwin: Any) -> None:
    daemon.on("GET /containers/json", [])
    assert linwin("ps").out == (
        "CONTAINER ID   IMAGE     COMMAND   CREATED   STATUS    PORTS     NAMES     TEMPLATE\n"
    )


def test_ps_quiet_prints_short_ids_and_no_trunc_whole_ones(containers: Any, linwin: Any) -> None:
    assert linwin("ps", "-aq").out == "a1a1a1a1a1a1\nc1c1c1c1c1c1\n"
    assert linwin("ps", "-aq", "--no-trunc").out == f"{A}\n{C}\n"
    assert '"cmd /c echo a long command line here"' in linwin("ps", "--no-trunc").out


@pytest.mark.parametrize(
    ("options", "query"),
    [
        ([], {}),
        (["-l"], {"limit": "1"}),
        (["-n", "3"], {"limit": "3"}),
        (
            ["-f", "status=exited", "--filter", "name=a=b", "-f", "status=dead"],
            {"filters": '{"status": ["exited", "dead"], "name": ["a=b"]}'},
        ),
    ],
)
def test_ps_asks_what_its_options_say(
    containers: Any, linwin: Any, options: list[str], query: dict[str, str]
) -> None:
    assert linwin("ps", *options).code == 0
    assert containers.asked("GET /containers/json").query == query


@pytest.mark.parametrize(
    ("options", "asks"),
    [
        (["-s"], True),
        (["--format", "{{json .}}"], True),
        (["--format", "{{. | json}}"], True),
        (["--format", "{{$.Size}}"], True),
        (["--format", "{{with $row := .}}{{$row.Size}}{{end}}"], True),
        (["--format", r"table {{.ID}}\t{{ upper .Size }}"], True),
        (["--format", "table"], False),
        (["--format", "json"], False),
        (["--format", "{{json .Names}}"], False),
        (["--format", "{{$names := .Names}}{{$names}}. The .Size"], False),
        (["--format", '{{join (split .Names ".") " .Size"}}'], False),
        (["-q"], False),
        (["-q", "-s"], False),
        (["-q", "--format", "{{json .}}"], False),
    ],
)
def test_ps_asks_for_sizes_that_it_shows(
    containers: Any, linwin: Any, options: list[str], asks: bool
) -> None:
    assert linwin("ps", *options).code == 0
    assert containers.asked("GET /containers/json").query == ({"size": "1"} if asks else {})


def test_ps_formats(containers: Any, linwin: Any) -> None:
    assert linwin("ps", "--format", "{{.ID}} {{.Names}}").out == "a1a1a1a1a1a1 brave_gates\nc1c1c1c1c1c1 x\n"
    assert linwin("ps", "--format", r"table {{.ID}}\t{{.Names}}").out == (
        "CONTAINER ID   NAMES\na1a1a1a1a1a1   brave_gates\nc1c1c1c1c1c1   x\n"
    )
    assert linwin("ps", "--format", '{{.Label "a"}},{{json .Labels}}').out == 'b,"a=b,c=d"\n,""\n'
    rows = [json.loads(line) for line in linwin("ps", "--format", "json").out.splitlines()]
    assert [row["Names"] for row in rows] == ["brave_gates", "x"]
    assert rows[0]["Command"] == '"cmd /c echo a long …"'
    assert rows[0]["Template"] == "wine"
    assert "Label" not in rows[0]


def test_ps_quiet_wins_over_format_and_says_so(containers: Any, linwin: Any) -> None:
    result = linwin("ps", "-q", "--format", "{{.Names}}")
    assert result.out == "a1a1a1a1a1a1\nc1c1c1c1c1c1\n"
    assert result.err == "linwin: --format is ignored, because --quiet is given\n"


def test_ps_format_with_an_unknown_field(containers: Any, linwin: Any) -> None:
    result = linwin("ps", "--format", "{{.Nope}}")
    assert (result.code, result.out) == (1, "")
    assert result.err == (
        'linwin: template: there is no field "Nope"\nthe fields here are ID, Image, Command, CreatedAt, '
        "RunningFor, State, Status, Ports, Names, Labels, Label, Mounts, Networks, LocalVolumes, Size, "
        "Template\n"
    )


def test_images_has_dockers_columns(images: Any, linwin: Any) -> None:
    assert linwin("images").out == (
        "REPOSITORY                     TAG        IMAGE ID       CREATED       SIZE\n"
        "microsoft/nanoserver           latest     b2b2b2b2b2b2   5 weeks ago   1.23GB\n"
        "host:5000/windows/nanoserver   ltsc2022   b2b2b2b2b2b2   5 weeks ago   1.23GB\n"
        "foo                            <none>     c1c1c1c1c1c1   2 years ago   999B\n"
    )


def test_images_digests_ids_and_formats(images: Any, linwin: Any) -> None:
    assert linwin("images", "--digests").out.splitlines()[-1] == (
        f"foo                            <none>     sha256:{D}   c1c1c1c1c1c1   2 years ago   999B"
    )
    assert linwin("images", "-q").out == "b2b2b2b2b2b2\nb2b2b2b2b2b2\nc1c1c1c1c1c1\n"
    assert linwin("images", "-q", "--no-trunc").out.splitlines()[-1] == f"sha256:{C}"
    assert linwin("images", "--format", "{{.Repository}}:{{.Tag}}").out.splitlines() == [
        "microsoft/nanoserver:latest",
        "host:5000/windows/nanoserver:ltsc2022",
        "foo:<none>",
    ]


def test_images_argument_is_a_reference_filter(images: Any, linwin: Any) -> None:
    assert linwin("images", "microsoft/*", "-f", "dangling=false").code == 0
    query = images.asked("GET /images/json").query
    assert json.loads(query["filters"]) == {"dangling": ["false"], "reference": ["microsoft/*"]}


def test_template_ls(daemon: Any, linwin: Any) -> None:
    template = {
        "Name": "wine",
        "Kind": "wine",
        "Summary": "Wine 10 on Debian",
        "Problem": "",
        "Digest": f"sha256:{A}",
        "Created": "2026-11-24T10:00:00Z",
        "Size": 312345678,
        "Provides": [{"References": ["docker.io/microsoft/nanoserver:latest"], "OsVersion": "10.0.14393.0"}],
    }
    daemon.on("GET /linwin/templates", [template])
    assert linwin("template", "ls").out == (
        "NAME      KIND      DIGEST         SIZE      SUMMARY\n"
        "wine      wine      a1a1a1a1a1a1   312MB     Wine 10 on Debian\n"
    )
    assert linwin("template", "ls", "-q").out == "wine\n"
    assert linwin("template", "ls", "--format", "{{.Provides}}").out == (
        "docker.io/microsoft/nanoserver:latest\n"
    )


def test_a_listing_that_the_daemon_refuses(daemon: Any, linwin: Any) -> None:
    daemon.on("GET /containers/json", Reply(400, {"message": "invalid filter 'foo'\nUse one of: id, name."}))
    result = linwin("ps", "-f", "foo=bar")
    assert (result.code, result.out) == (1, "")
    assert result.err == "linwin: invalid filter 'foo'\nUse one of: id, name.\n"
