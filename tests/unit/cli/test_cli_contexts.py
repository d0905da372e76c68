"""docker's contexts: found by name, listed, and talked to."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from linwin.cli import docker_contexts
from tests.unit.cli.conftest import Result
from tests.unit.cli.fake_daemon import FakeDaemon

Linwin = Callable[..., Result]


def keep(folder: Path, name: str, host: object, *, certificates: bool = False, **more: object) -> Path:
    """What ``docker context create`` writes."""
    digest = sha256(name.encode()).hexdigest()
    path = folder / "contexts" / "meta" / digest / "meta.json"
    path.parent.mkdir(parents=True)
    content = {"Name": name, "Metadata": {}, "Endpoints": {"docker": {"Host": host, "SkipTLSVerify": False}}}
    path.write_text(json.dumps(content | more))
    if certificates:
        tls = folder / "contexts" / "tls" / digest / "docker"
        tls.mkdir(parents=True)
        for file in ("ca.pem", "cert.pem", "key.pem"):
            (tls / file).write_text(file)
    return path


@pytest.fixture
def elsewhere(docker_folder: Path, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch) -> FakeDaemon:
    """A daemon that the context ``far`` alone names."""
    daemon.on("GET /containers/json", [])
    keep(docker_folder, "far", os.environ["LINWIN_HOST"], Metadata={"Description": "over there"})
    monkeypatch.setenv("LINWIN_HOST", "")
    return daemon


@pytest.mark.parametrize("words", [("--context", "far"), ("-c", "far")])
def test_a_command_talks_to_it(elsewhere: FakeDaemon, linwin: Linwin, words: tuple[str, ...]) -> None:
    assert linwin(*words, "ps", "-q") == Result(0, "", "")


def test_the_environment_names_one(
    elsewhere: FakeDaemon, linwin: Linwin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINWIN_CONTEXT", "far")
    assert linwin("ps", "-q") == Result(0, "", "")


def test_the_host_goes_before_the_environments_context(
    daemon: FakeDaemon, linwin: Linwin, docker_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon.on("GET /containers/json", [])
    monkeypatch.setenv("LINWIN_CONTEXT", "nobody")
    assert linwin("ps", "-q") == Result(0, "", "")
    assert linwin("--context", "nobody", "ps").code == 1


def test_a_host_and_a_context_contradict_each_other(linwin: Linwin) -> None:
    done = linwin("--context", "far", "-H", "unix:///x", "ps")
    assert done.code == 125
    assert done.err.startswith("linwin: conflicting options: cannot specify both --host and --context\n")


def test_one_that_is_not_there(linwin: Linwin, docker_folder: Path) -> None:
    path = docker_folder / "contexts" / "meta" / sha256(b"nobody").hexdigest() / "meta.json"
    done = linwin("--context", "nobody", "ps")
    assert done == Result(
        1,
        "",
        f'linwin: context "nobody": context not found: open {path}: no such file or directory\n'
        "See linwin context ls; make one with docker context create.\n",
    )


def test_listed(elsewhere: FakeDaemon, linwin: Linwin) -> None:
    rows = [line.split("  ") for line in linwin("--context", "far", "context", "ls").out.splitlines()]
    assert [row[0].strip() for row in rows] == ["NAME", "default", "far *"]
    form = "{{.Name}}|{{.Description}}|{{.Current}}"
    assert linwin("context", "ls", "--format", form).out == (
        "default|Current LINWIN_HOST based configuration|true\nfar|over there|false\n"
    )
    assert linwin("context", "ls", "-q").out == "default\nfar\n"
    assert linwin("-c", "far", "context", "show").out == "far\n"


def test_inspected(elsewhere: FakeDaemon, linwin: Linwin, docker_folder: Path) -> None:
    (shown,) = json.loads(linwin("context", "inspect", "far").out)
    assert shown["Metadata"] == {"Description": "over there"}
    assert shown["Endpoints"]["docker"]["Host"].startswith("unix://")
    assert shown["TLSMaterial"] == {}
    keep(docker_folder, "safe", "tcp://host:2376", certificates=True)
    (shown,) = json.loads(linwin("context", "inspect", "safe").out)
    assert shown["TLSMaterial"] == {"docker": ["ca.pem", "cert.pem", "key.pem"]}
    absent = linwin("context", "inspect", "nobody")
    assert (absent.code, absent.out) == (1, "[]\n")


def test_its_certificates_are_used(docker_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOST", "TLS_VERIFY", "TLS_CACERT", "TLS_CERT", "TLS_KEY"):
        monkeypatch.setenv(f"LINWIN_{name}", "")
    keep(docker_folder, "safe", "tcp://host:2376", certificates=True)
    docker_contexts.use("safe")
    assert os.environ["LINWIN_HOST"] == "tcp://host:2376"
    assert os.environ["LINWIN_TLS_VERIFY"] == "1"
    assert os.environ["LINWIN_TLS_KEY"].endswith("/docker/key.pem")


@pytest.mark.parametrize(
    "change",
    [
        {"Name": "other"},
        {"Name": 3},
        {"Endpoints": {}},
        {"Endpoints": {"docker": {"Host": 3}}},
        {"Endpoints": []},
    ],
)
def test_what_is_no_context_is_refused(
    linwin: Linwin, docker_folder: Path, change: dict[str, object]
) -> None:
    keep(docker_folder, "far", "unix:///x", **change)
    done = linwin("--context", "far", "ps")
    assert (done.code, done.out) == (1, "")
    assert "meta.json" in done.err


def test_one_that_is_broken_hides_no_other(linwin: Linwin, docker_folder: Path) -> None:
    keep(docker_folder, "far", "unix:///x")
    endless = keep(docker_folder, "endless", "unix:///x", Endpoints={})
    cut = keep(docker_folder, "cut", "unix:///x")
    cut.write_text('{"Name":')
    done = linwin("context", "ls", "--format", "{{.Name}}|{{.DockerEndpoint}}|{{.Error}}")
    assert (done.code, done.err) == (0, "")
    rows = dict(line.split("|", 1) for line in done.out.splitlines())
    assert rows["far"] == "unix:///x|"
    assert rows["endless"] == f"|{endless} is not a docker context"
    assert rows[cut.parent.name].startswith(f"|cannot use docker's configuration file {cut}: it is not JSON")
    assert rows.keys() == {"default", "far", "endless", cut.parent.name}
    assert linwin("context", "inspect", "endless").code == 1
