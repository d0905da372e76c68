"""What clients say of mounts and what they are shown: by docker-py, docker's client and linwin's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from docker import errors, types

from linwin.model.mount import Mount
from tests.scenario.docker_py import off_loop
from tests.scenario.harness import IMAGE, Daemon, Docker
from tests.scenario.raw_http import RawConnection
from tests.scenario.test_api_description import Checked, checked
from tests.scenario.test_linwin_cli import Linwin, linwin

__all__ = ["checked", "linwin"]

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # docker-py's, as in its own tests


async def test_docker_py(python: Any, daemon: Daemon, tmp_path: Path) -> None:
    def work() -> Any:
        container = python.containers.create(
            IMAGE,
            name="box",
            volumes={str(tmp_path): {"bind": "C:\\src", "mode": "ro"}, "data": {"bind": "d:", "mode": "rw"}},
            mounts=[
                types.Mount("C:\\more", str(tmp_path), type="bind", read_only=True),
                types.Mount("c:/named", "named", no_copy=True, labels={"a": "b"}),
                types.Mount("C:\\quick", None, type="tmpfs", tmpfs_size="1m", tmpfs_mode=0o777),
            ],
            tmpfs={"C:\\tmp": "size=64m"},
        )
        python.containers.create(IMAGE, name="other", volumes_from=["box:ro"])
        found = python.containers.list(all=True, filters={"volume": "C:\\named"})
        assert {one.name for one in found} == {"box", "other"}
        assert python.containers.list(all=True, filters={"volume": "nothing"}) == []
        return container.attrs

    attrs = await off_loop(work)
    points = {one["Destination"]: one for one in attrs["Mounts"]}
    assert list(points) == ["C:\\src", "D:\\", "C:\\more", "C:\\named", "C:\\quick", "C:\\tmp"]
    assert points["C:\\src"] == {
        "Type": "bind",
        "Source": str(tmp_path),
        "Destination": "C:\\src",
        "Mode": "ro",
        "RW": False,
        "Propagation": "",
    }
    assert points["C:\\named"] == {
        "Type": "volume",
        "Name": "named",
        "Driver": "local",
        "Source": str(daemon.paths.volume("named")),
        "Destination": "C:\\named",
        "Mode": "",
        "RW": True,
        "Propagation": "",
    }
    assert (points["C:\\quick"]["Type"], points["C:\\quick"]["Source"]) == ("tmpfs", "")
    assert attrs["HostConfig"]["Binds"] == [f"{tmp_path}:C:\\src:ro", "data:d::rw"]
    assert attrs["HostConfig"]["Mounts"][0]["Target"] == "C:\\more"
    assert attrs["HostConfig"]["Tmpfs"] == {"C:\\tmp": "size=64m"}
    made = {one.name: one for one in await daemon.engine.list()}
    assert made["other"].spec.volumes_from == ("box:ro",)
    assert all(mount.read_only for mount in made["other"].mounts)


async def test_docker_py_is_told_what_is_wrong(python: Any) -> None:
    def work() -> None:
        with pytest.raises(errors.APIError, match="invalid mode: rshared") as refused:
            python.containers.create(IMAGE, volumes=["/tmp:C:\\x:rshared"])
        assert refused.value.status_code == 400
        with pytest.raises(errors.APIError, match="linwin does not support named pipes") as unknown:
            python.containers.create(IMAGE, mounts=[types.Mount("\\\\.\\pipe\\x", "y", type="npipe")])
        assert unknown.value.status_code == 501

    await off_loop(work)


OPTIONS = (
    "-v {here}:C:\\src:ro,uid=5 -v data:d: -v C:\\own --mount type=bind,src={here},dst=/more,readonly "
    "--mount dst=/named,src=named,volume-nocopy --tmpfs C:\\tmp:size=1k,ro --tmpfs E: --volume-driver local"
)


async def made_with(daemon: Daemon, name: str) -> tuple[list[Mount], tuple[str, ...]]:
    """By target: docker's client keeps what its flags say in maps, which have no order."""
    spec = (await daemon.engine.inspect(name)).spec
    return sorted(spec.mounts, key=lambda mount: mount.target), spec.volumes


def wanted(here: Path) -> tuple[list[Mount], tuple[str, ...]]:
    return [
        Mount("bind", "C:\\more", str(here), read_only=True),
        Mount("volume", "C:\\named", "named", copy=False),
        Mount("bind", "C:\\src", str(here), read_only=True, mode="ro,uid=5", uid=5),
        Mount("tmpfs", "C:\\tmp", read_only=True, mode="size=1k,ro", size=1024),
        Mount("volume", "D:\\", "data"),
        Mount("tmpfs", "E:\\"),
    ], ("C:\\own",)


async def test_both_command_lines_say_the_same(
    docker: Docker, linwin: Linwin, daemon: Daemon, tmp_path: Path
) -> None:
    options = OPTIONS.format(here=tmp_path).split()
    assert (await docker("create", "--name", "one", *options, IMAGE)).code == 0
    assert (await linwin("create", "--name", "two", *options, IMAGE)).code == 0
    assert await made_with(daemon, "one") == wanted(tmp_path)
    assert await made_with(daemon, "two") == wanted(tmp_path)
    form = "{{.Names}} {{.LocalVolumes}} {{.Mounts}}"
    for client in (docker, linwin):
        shown = (await client("ps", "-a", "--no-trunc", "--filter", "volume=data", "--format", form)).out
        assert [line.split()[:2] for line in shown.decode().splitlines()] == [["two", "3"], ["one", "3"]]
        assert all("data" in line and str(tmp_path) in line for line in shown.decode().splitlines())
        form_of_one = "{{json .Config.Volumes}} {{range .Mounts}}{{.Destination}} {{end}}"
        inspected = (await client("inspect", "one", "--format", form_of_one)).out.decode()
        volumes, *targets = inspected.split()
        assert volumes == '{"C:\\\\own":{}}'
        assert sorted(targets) == ["C:\\more", "C:\\named", "C:\\own", "C:\\src", "C:\\tmp", "D:\\", "E:\\"]


async def test_relative_sources_are_of_the_client(
    linwin: Linwin, daemon: Daemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    options = ("-v", "./sub:C:\\a", "--mount", "type=bind,src=.,dst=C:\\b,uid=7,gid=8")
    assert (await linwin("create", "--name", "one", *options, IMAGE)).code == 0
    assert (await daemon.engine.inspect("one")).spec.mounts == (
        Mount("bind", "C:\\a", str(tmp_path / "sub")),
        Mount("bind", "C:\\b", str(tmp_path), uid=7, gid=8),
    )


@pytest.mark.parametrize(
    ("host", "message"),
    [
        (
            {"Binds": ["C:\\a:C:\\b"]},
            "invalid volume specification: 'C:\\a:C:\\b'\n"
            "This host is Linux: name a file or folder of it, as in /data:C:\\data.",
        ),
        (
            {"Binds": ["/a:C:\\x:banana"]},
            "invalid mode: banana\nUse some of ro, rw, nocopy, uid=NUMBER and gid=NUMBER.",
        ),
        (
            {"Mounts": [{"Type": "bind", "Target": "C:\\x"}]},
            'invalid mount config for type "bind": field Source must not be empty\n'
            "Name a file or folder of the host.",
        ),
        (
            {"Tmpfs": {"/x": "size=50%"}},
            'invalid tmpfs option ["size" "50%"]\nUse size=64m, ro or rw.',
        ),
        ({"VolumesFrom": ["a:x"]}, "invalid mode: x\nUse ro or rw."),
    ],
)
async def test_what_cannot_be_is_refused(
    connection: RawConnection, daemon: Daemon, host: dict[str, Any], message: str
) -> None:
    answer = await connection.request("POST", "/containers/create", {"Image": IMAGE, "HostConfig": host})
    assert (answer.status, answer.json["message"]) == (400, message)
    assert await daemon.nothing_left()


async def test_an_update_has_no_mounts(connection: RawConnection, daemon: Daemon) -> None:
    await connection.request("POST", "/containers/create?name=one", {"Image": IMAGE})
    body = {"Binds": ["nonsense"], "Mounts": [{"Type": "odd"}]}
    answer = await connection.request("POST", "/containers/one/update", body)
    assert (answer.status, answer.json) == (200, {"Warnings": []})
    assert (await daemon.engine.inspect("one")).spec.mounts == ()


async def test_as_docker_describes_it(checked: Checked, tmp_path: Path) -> None:
    host = {
        "Binds": [f"{tmp_path}:C:\\src:ro"],
        "Mounts": [{"Type": "volume", "Source": "data", "Target": "C:\\data"}],
        "Tmpfs": {"C:\\tmp": ""},
    }
    body = {"Image": IMAGE, "Volumes": {"C:\\own": {}}, "HostConfig": host}
    await checked("POST", "/containers/create", 201, query="name=one", body=body)
    inspected = await checked("GET", "/containers/{id}/json", 200, name="one")
    listed = await checked("GET", "/containers/json", 200, query="all=1")
    assert listed[0]["Mounts"] == inspected["Mounts"]
    assert json.dumps(inspected["HostConfig"]["Mounts"]) == json.dumps(host["Mounts"])
    use = await checked("GET", "/system/df", 200)
    assert use["Containers"][0]["Mounts"] == inspected["Mounts"]
