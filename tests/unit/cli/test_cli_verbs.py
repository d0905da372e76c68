"""The commands that do one thing to named objects: requests, words, exit codes."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.fake_daemon import Reply, error

MISSING = error(404, "No such container: nope")


@pytest.mark.parametrize(
    ("arguments", "route", "query"),
    [
        (("stop", "web"), "POST /containers/web/stop", {}),
        (("stop", "-t", "3", "-s", "TERM", "web"), "POST /containers/web/stop", {"t": "3", "signal": "TERM"}),
        (("kill", "web"), "POST /containers/web/kill", {"signal": "KILL"}),
        (("kill", "-s", "INT", "web"), "POST /containers/web/kill", {"signal": "INT"}),
        (("rm", "web"), "DELETE /containers/web", {}),
        (("rm", "-fv", "web"), "DELETE /containers/web", {"force": "1", "v": "1"}),
    ],
)
def test_a_verb_sends_its_request_and_prints_the_name(
    daemon: Any, linwin: Any, arguments: tuple[str, ...], route: str, query: dict[str, str]
) -> None:
    daemon.on(route, Reply(204))
    result = linwin(*arguments)
    assert (result.code, result.out, result.err) == (0, "web\n", "")
    assert daemon.asked(route).query == query


def test_verbs_go_on_after_a_failure_and_keep_the_order(daemon: Any, linwin: Any) -> None:
    daemon.on("POST /containers/a/stop", Reply(204))
    daemon.on("POST /containers/nope/stop", MISSING)
    daemon.on("POST /containers/b/stop", Reply(304))
    result = linwin("stop", "a", "nope", "b")
    assert (result.code, result.out) == (1, "a\nb\n")
    assert result.err == "linwin: No such container: nope\n"


def test_rm_force_of_a_missing_container_is_said_and_no_failure(daemon: Any, linwin: Any) -> None:
    daemon.on("DELETE /containers/nope", MISSING)
    assert linwin("rm", "nope").code == 1
    result = linwin("rm", "-f", "nope")
    assert (result.code, result.out, result.err) == (0, "", "linwin: No such container: nope\n")


def test_wait_prints_32_bit_codes(daemon: Any, linwin: Any) -> None:
    daemon.on("POST /containers/a/wait", {"StatusCode": 3221225786})
    daemon.on("POST /containers/b/wait", {"StatusCode": 0})
    assert linwin("wait", "a", "b").out == "3221225786\n0\n"


def test_tag_splits_the_target(daemon: Any, linwin: Any) -> None:
    daemon.on("POST /images/host:5000/a/b:1/tag", Reply(201))
    assert linwin("tag", "host:5000/a/b:1", "host:5000/c").code == 0
    query = daemon.asked("POST /images/host:5000/a/b:1/tag").query
    assert query == {"repo": "host:5000/c", "tag": "latest"}


def test_rmi_prints_what_was_removed(daemon: Any, linwin: Any) -> None:
    daemon.on("DELETE /images/a", [{"Untagged": "a:latest"}, {"Deleted": "sha256:12"}])
    daemon.on("DELETE /images/nope", error(404, "No such image: nope:latest"))
    result = linwin("rmi", "a", "nope")
    assert (result.code, result.out) == (1, "Untagged: a:latest\nDeleted: sha256:12\n")
    assert result.err == "linwin: No such image: nope:latest\n"
    assert linwin("rmi", "-f", "nope").code == 0


def test_inspect_finds_containers_and_images(daemon: Any, linwin: Any) -> None:
    daemon.on("GET /containers/web/json", {"Id": "1", "State": {"Status": "running"}})
    daemon.on("GET /images/a/b/json", {"Id": "sha256:2"})
    result = linwin("inspect", "web", "a/b", "nope")
    assert result.out.startswith('[\n    {\n        "Id": "1",')
    assert [item["Id"] for item in json.loads(result.out)] == ["1", "sha256:2"]
    assert (result.code, result.err) == (1, "linwin: No such object: nope\n")


def test_inspect_of_nothing_prints_an_empty_list(daemon: Any, linwin: Any) -> None:
    assert linwin("inspect", "nope").out == "[]\n"
    assert linwin("inspect", "-f", "{{.Id}}", "nope").out == ""


def test_inspect_format_and_type(daemon: Any, linwin: Any) -> None:
    daemon.on("GET /containers/web/json", {"State": {"Running": True}, "Args": ["/c", "ver"]})
    daemon.on("GET /images/web/json", error(404, "No such image: web"))
    template = "{{.State.Running}} {{range .Args}}<{{.}}>{{end}} {{.Args}}"
    assert linwin("inspect", "-f", template, "web").out == "true </c><ver> [/c ver]\n"
    result = linwin("inspect", "--type", "image", "web")
    assert (result.code, result.err) == (1, "linwin: No such image: web\n")


def test_logs_carries_bytes_and_asks_for_the_part_wanted(daemon: Any, spawn: Any) -> None:
    from tests.unit.cli.fake_daemon import STDERR, STDOUT, frame

    body = frame(STDOUT, b"out\xff\r\n") + frame(STDERR, b"err\r\n")
    daemon.on(
        "GET /containers/web/logs", Reply(body=body, content_type="application/vnd.docker.multiplexed-stream")
    )
    process = spawn("logs", "-ft", "-n", "5", "--since", "1700000000", "web")
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (0, b"out\xff\r\n", b"err\r\n")
    assert daemon.asked("GET /containers/web/logs").query == {
        "stdout": "1",
        "stderr": "1",
        "follow": "1",
        "timestamps": "1",
        "tail": "5",
        "since": "1700000000",
    }


def test_logs_of_nothing(daemon: Any, linwin: Any) -> None:
    daemon.on("GET /containers/nope/logs", MISSING)
    result = linwin("logs", "nope")
    assert (result.code, result.err) == (1, "linwin: No such container: nope\n")


LOADING = Reply(
    lines=[
        {"status": "Loading layer", "id": "abc", "progressDetail": {"current": 1, "total": 2}},
        {"status": "Loading layer", "id": "abc", "progressDetail": {"current": 2, "total": 2}},
        {"stream": "Loaded image: foo:latest\n"},
    ]
)


def test_load_uploads_and_prints_the_answer_alone(daemon: Any, linwin: Any, tmp_path: Path) -> None:
    archive = tmp_path / "image.tar"
    archive.write_bytes(bytes(range(256)) * 5000)
    daemon.on("POST /images/load", LOADING)
    result = linwin("load", "-i", str(archive))
    assert (result.code, result.out) == (0, "Loaded image: foo:latest\n")
    assert result.err == "abc: Loading layer\n"
    assert daemon.asked("POST /images/load").body == archive.read_bytes()


def test_load_reads_standard_input_and_can_be_quiet(
    daemon: Any, linwin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon.on("POST /images/load", LOADING)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"tar")))
    result = linwin("load", "-q")
    assert (result.code, result.out, result.err) == (0, "Loaded image: foo:latest\n", "")
    assert daemon.asked("POST /images/load").body == b"tar"


def test_load_that_fails_half_way(daemon: Any, linwin: Any, tmp_path: Path) -> None:
    (tmp_path / "t").touch()
    lines = [
        {"status": "Reading"},
        {"errorDetail": {"code": 400, "message": "the archive is cut"}, "error": "the archive is cut"},
    ]
    daemon.on("POST /images/load", Reply(lines=lines))
    result = linwin("load", "-i", str(tmp_path / "t"))
    assert (result.code, result.out, result.err) == (1, "", "Reading\nlinwin: the archive is cut\n")


def test_load_of_a_missing_file(linwin: Any) -> None:
    result = linwin("load", "-i", "/nonexistent/x.tar")
    assert (result.code, result.err) == (
        1,
        "linwin: cannot open /nonexistent/x.tar: No such file or directory\n",
    )


def test_template_build_inspect_rm(daemon: Any, linwin: Any) -> None:
    lines = [
        {"status": "Unpacking", "id": "root"},
        {"status": "Built template wine"},
        {"aux": {"ID": "sha256:1"}},
    ]
    daemon.on("POST /linwin/templates/wine/build", Reply(lines=lines))
    result = linwin("template", "build", "wine")
    assert (result.code, result.out) == (0, "wine\n")
    assert result.err == "root: Unpacking\nBuilt template wine\n"
    daemon.on("GET /linwin/templates/wine", {"Name": "wine"})
    assert json.loads(linwin("template", "inspect", "wine").out) == [{"Name": "wine"}]
    daemon.on("DELETE /linwin/templates/wine", Reply(204))
    assert linwin("template", "rm", "wine").out == "wine\n"


def test_template_import(daemon: Any, linwin: Any) -> None:
    lines = [
        {"status": "Copying C: out of mine.vhdx", "id": "mine"},
        {"status": "Imported template mine"},
        {"aux": {"ID": "sha256:1"}},
    ]
    daemon.on("POST /linwin/templates/mine/import", Reply(lines=lines))
    result = linwin(
        "template", "import", "/disks/mine.vhdx", "--name", "mine", "--virtio", "/isos/virtio.iso"
    )
    assert (result.code, result.out) == (0, "mine\n")
    assert result.err == "mine: Copying C: out of mine.vhdx\nImported template mine\n"
    assert daemon.requests[-1].json == {"Disk": "/disks/mine.vhdx", "Virtio": "/isos/virtio.iso"}
    nameless = linwin("template", "import", "/disks/mine.vhdx")
    assert nameless.code != 0
    assert "--name" in nameless.err


def test_version_shows_both_sides(daemon: Any, linwin: Any) -> None:
    server = {
        "Version": "9.9",
        "ApiVersion": "1.50",
        "MinAPIVersion": "1.24",
        "Os": "windows",
        "Arch": "amd64",
    }
    daemon.on("GET /version", server)
    lines = linwin("version").out.splitlines()
    assert lines[0] == "Client:"
    assert " API version:       1.50" in lines
    assert lines[-5:] == [
        "Server: linwin",
        " Engine:",
        "  Version:          9.9",
        "  API version:      1.50 (minimum version 1.24)",
        "  OS/Arch:          windows/amd64",
    ]
    assert linwin("version", "--format", "{{.Server.Version}}").out == "9.9\n"


def test_version_shows_the_client_even_without_a_daemon(linwin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINWIN_HOST", "tcp://127.0.0.1:1")
    result = linwin("version")
    assert result.code == 1
    assert result.out.startswith("Client:\n Version:  ")
    assert "Is the linwin daemon running?" in result.err


def test_info(daemon: Any, linwin: Any) -> None:
    counts = {"Containers": 3, "ContainersRunning": 1, "ContainersPaused": 0, "ContainersStopped": 2}
    answer = {
        **counts,
        "Images": 4,
        "ServerVersion": "0.1.0",
        "Driver": "qcow2",
        "DriverStatus": [["Accelerator", "tcg"]],
        "KernelVersion": "6.1",
        "OperatingSystem": "linwin",
        "OSType": "windows",
        "Architecture": "x86_64",
        "NCPU": 2,
        "MemTotal": 25000000000,
        "Name": "host",
        "ID": "0",
        "DockerRootDir": "/r",
        "Warnings": ["No hardware virtualisation"],
    }
    daemon.on("GET /info", answer)
    result = linwin("info")
    assert "\n  Running: 1\n" in result.out
    assert "\n  Accelerator: tcg\n" in result.out
    assert "\n Total Memory: 23.28GiB\n" in result.out
    assert result.err == "linwin: warning: No hardware virtualisation\n"
    assert linwin("info", "-f", "{{.Images}}").out == "4\n"
