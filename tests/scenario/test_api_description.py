"""Every JSON answer fits docker's own description of its API."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import jsonschema
import pytest

from linwin.api import container_files, observe, system
from linwin.model.registry import SearchResult
from tests.scenario import api_description
from tests.scenario.fakes.images import archive
from tests.scenario.fakes.registry import Content
from tests.scenario.fakes.timing import FakeTiming
from tests.scenario.harness import IMAGE, Daemon
from tests.scenario.raw_http import Answer, RawConnection, create, start
from tests.scenario.test_small_verbs import guest_of
from tests.scenario.witness import Witness


class Checked:
    """A connection whose answers are checked."""

    def __init__(self, description: api_description.Description, connection: RawConnection) -> None:
        self._description = description
        self._connection = connection

    async def __call__(
        self,
        method: str,
        described: str,
        status: int,
        *,
        name: str = "",
        query: str = "",
        body: object = None,
    ) -> Any:
        path = described.replace("{id}", name).replace("{name}", name)
        answer: Answer = await self._connection.request(method, f"/v1.50{path}?{query}", body)
        assert answer.status == status, answer.body
        self._description.check(method, described, status, answer.json)
        return answer.json


@pytest.fixture
async def checked(daemon: Daemon, description: api_description.Description) -> AsyncIterator[Checked]:
    connection = await RawConnection.open(daemon.paths.socket)
    yield Checked(description, connection)
    await connection.close()


async def test_system(checked: Checked) -> None:
    await checked("GET", "/version", 200)
    await checked("GET", "/info", 200)


async def test_containers(checked: Checked, daemon: Daemon) -> None:
    body = {
        "Image": IMAGE,
        "Cmd": ["exit", "3"],
        "Env": ["A=b"],
        "Labels": {"k": "v"},
        "ExposedPorts": {"80/tcp": {}},
        "StopTimeout": 3,
        "HostConfig": {
            "CpuShares": 7,
            "Memory": 1 << 30,
            "Binds": None,
            "LogConfig": {"Type": "", "Config": {}},
        },
    }
    created = await checked("POST", "/containers/create", 201, query="name=one", body=body)
    assert created["Warnings"] == ["CpuShares has no meaning for a Windows container and is ignored"]
    for status in ("created", "exited"):
        inspected = await checked("GET", "/containers/{id}/json", 200, name="one", query="size=1")
        assert inspected["State"]["Status"] == status
        listed = await checked("GET", "/containers/json", 200, query="all=1&size=1")
        assert (listed[0]["State"], listed[0]["Id"]) == (status, created["Id"])
        if status == "created":
            await daemon.engine.start("one")
            await checked("POST", "/containers/{id}/wait", 200, name="one", query="condition=not-running")
    assert inspected["State"]["ExitCode"] == 3
    await checked("POST", "/containers/{id}/update", 200, name="one", body={"CpuShares": 3})
    assert inspected["SizeRw"] == 8192


async def test_top_and_stats(checked: Checked, daemon: Daemon) -> None:
    await checked("POST", "/containers/create", 201, query="name=one", body={"Image": IMAGE, "Cmd": ["hang"]})
    await checked("GET", "/containers/{id}/stats", 200, name="one", query="stream=0")
    await daemon.engine.start("one")
    sample = await checked("GET", "/containers/{id}/stats", 200, name="one", query="stream=0&one-shot=1")
    assert sample["networks"]["eth0"]["rx_bytes"] == 5000
    await checked("GET", "/containers/{id}/top", 200, name="one")


async def test_health_and_restarts(checked: Checked, daemon: Daemon) -> None:
    daemon.engine.timing = timing = FakeTiming()
    body = {
        "Image": IMAGE,
        "Cmd": ["hang"],
        "Healthcheck": {"Test": ["CMD", "doctor"], "Interval": 10**9, "StartPeriod": 10**9},
        "HostConfig": {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 2}},
    }
    await checked("POST", "/containers/create", 201, query="name=one", body=body)
    await daemon.engine.start("one")
    await timing.waits.get()
    timing.advance(10)
    await timing.waits.get()
    await timing.waits.get()
    inspected = await checked("GET", "/containers/{id}/json", 200, name="one")
    assert inspected["State"]["Health"]["Status"] == "healthy"
    ended = await daemon.engine.wait("one", "next-exit")
    main = next(iter(guest_of(daemon)[1].running.values()))
    await main.signal("KILL")
    await ended
    inspected = await checked("GET", "/containers/{id}/json", 200, name="one")
    assert (inspected["State"]["Status"], inspected["RestartCount"]) == ("restarting", 1)
    await checked("GET", "/containers/json", 200)
    await checked("POST", "/containers/{id}/exec", 409, name="one", body={"Cmd": ["echo"]})


async def test_execs(checked: Checked, daemon: Daemon) -> None:
    await checked("POST", "/containers/create", 201, query="name=one", body={"Image": IMAGE, "Cmd": ["hang"]})
    await daemon.engine.start("one")
    made = await checked("POST", "/containers/{id}/exec", 201, name="one", body={"Cmd": ["echo"]})
    inspected = await checked("GET", "/containers/{id}/json", 200, name="one")
    assert inspected["ExecIDs"] == [made["Id"]]
    exec_ = await daemon.engine.exec_startable(made["Id"])
    await daemon.engine.exec_start(exec_, (0, 0))
    assert exec_.task
    await exec_.task  # docker's own exit code is null before the end, whatever its description says
    await checked("GET", "/exec/{id}/json", 200, name=made["Id"])
    await daemon.engine.pause("one")
    inspected = await checked("GET", "/containers/{id}/json", 200, name="one")
    assert inspected["State"]["Paused"] is True
    await checked("POST", "/containers/{id}/exec", 409, name="one", body={"Cmd": ["echo"]})


async def test_images(checked: Checked, daemon: Daemon) -> None:
    upload = daemon.paths.scratch / "archive"
    upload.write_bytes(archive("team/app:1"))
    await daemon.engine.load(upload, daemon.engine.unreported)
    upload.unlink()
    listed = await checked("GET", "/images/json", 200)
    assert len(listed) == 2
    inspected = await checked("GET", "/images/{name}/json", 200, name="team/app:1")
    assert inspected["ContainerConfig"] == {}
    history = await checked("GET", "/images/{name}/history", 200, name="team/app:1")
    assert [line["CreatedBy"] for line in history] == ["CMD echo", "Apply image"]
    removed = await checked("DELETE", "/images/{name}", 200, name="team/app:1")
    assert removed == [{"Untagged": "team/app:1"}, {"Deleted": inspected["Id"]}]


async def test_upkeep(checked: Checked, daemon: Daemon) -> None:
    upload = daemon.paths.scratch / "archive"
    upload.write_bytes(archive("team/app:1", layers=[500]))
    await daemon.engine.load(upload, daemon.engine.unreported)
    upload.unlink()
    await checked("GET", "/images/json", 200, query="shared-size=1")
    await checked("POST", "/containers/create", 201, body={"Image": "team/app:1"})
    use = await checked("GET", "/system/df", 200)
    assert (use["LayersSize"], len(use["Images"]), len(use["Containers"])) == (10_500, 2, 1)
    pruned = await checked("POST", "/containers/prune", 200)
    assert len(pruned["ContainersDeleted"]) == 1
    pruned = await checked("POST", "/images/prune", 200, query='filters={"dangling":["false"]}')
    assert (len(pruned["ImagesDeleted"]), pruned["SpaceReclaimed"]) == (2, 10_500)
    await checked("POST", "/networks/prune", 200)
    await checked("POST", "/volumes/prune", 200)
    await checked("POST", "/build/prune", 200)


async def test_volumes(checked: Checked) -> None:
    for body in ({"Name": "data", "Labels": {"a": "b"}}, {"Driver": "local", "DriverOpts": {}}):
        made = await checked("POST", "/volumes/create", 201, body=body)
        assert await checked("GET", "/volumes/{name}", 200, name=made["Name"]) == made
    listed = await checked("GET", "/volumes", 200)
    assert [one["Labels"] for one in listed["Volumes"] if one["Name"] == "data"] == [{"a": "b"}]
    use = await checked("GET", "/system/df", 200, query="type=volume")
    assert {one["UsageData"]["RefCount"] for one in use["Volumes"]} == {0}
    await checked("DELETE", "/volumes/{name}", 404, name="nothing")
    pruned = await checked("POST", "/volumes/prune", 200)
    assert pruned["VolumesDeleted"] == [made["Name"]]


async def test_registries(checked: Checked, daemon: Daemon) -> None:
    daemon.fakes.images.registry.results = [SearchResult("team/app", "An app", 3)]
    assert len(await checked("GET", "/images/search", 200, query="term=app")) == 1
    body = {"username": "me", "password": "secret", "serveraddress": "r.example"}
    await checked("POST", "/auth", 200, body=body)
    await checked("POST", "/auth", 401, body=body | {"password": "guess"})
    daemon.fakes.images.registry.content["docker.io/team/app:latest"] = content = Content()
    assert await checked("GET", "/distribution/{name}/json", 200, name="team/app") == {
        "Descriptor": {
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": content.digest,
            "size": 321,
        },
        "Platforms": [
            {
                "architecture": "amd64",
                "os": "windows",
                "os.version": "10.0.17763.1",
                "os.features": ["win32k"],
            }
        ],
    }
    await checked("GET", "/distribution/{name}/json", 404, name="team/other:2")
    await checked("GET", "/distribution/{name}/json", 400, name="Team/App")


@pytest.mark.parametrize(
    ("method", "described", "status", "name"),
    [
        ("GET", "/containers/{id}/json", 404, "nobody"),
        ("POST", "/containers/{id}/start", 404, "nobody"),
        ("POST", "/containers/{id}/stop", 404, "nobody"),
        ("POST", "/containers/{id}/kill", 404, "nobody"),
        ("POST", "/containers/{id}/wait", 404, "nobody"),
        ("POST", "/containers/{id}/attach", 404, "nobody"),
        ("POST", "/containers/{id}/restart", 404, "nobody"),
        ("POST", "/containers/{id}/pause", 404, "nobody"),
        ("POST", "/containers/{id}/unpause", 404, "nobody"),
        ("DELETE", "/containers/{id}", 404, "nobody"),
        ("GET", "/containers/{id}/stats", 404, "nobody"),
        ("GET", "/containers/{id}/top", 404, "nobody"),
        ("GET", "/images/{name}/json", 404, "no/body"),
        ("POST", "/images/{name}/tag", 400, "no/body"),
        ("DELETE", "/images/{name}", 404, "no/body"),
        ("POST", "/containers/create", 400, ""),
        ("POST", "/images/{name}/push", 404, "no/body"),
    ],
)
async def test_errors(checked: Checked, method: str, described: str, status: int, name: str) -> None:
    await checked(method, described, status, name=name)


async def test_the_witness_complains(
    daemon: Daemon, connection: RawConnection, witness: Witness | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if witness is None:
        pytest.skip("docker's API description is not here; set LINWIN_API_SPEC to v1.50.yaml")
    container = await create(daemon, "hang")
    await start(daemon, container)
    with monkeypatch.context() as patch:
        patch.setattr(system, "__version__", 7)
        patch.setattr(container_files, "STAT", "X-Unheard-Of")
        patch.setattr(observe, "sample_json", lambda *_: {"num_procs": "many"})
        await connection.request("GET", "/version")
        await connection.request("HEAD", f"/containers/{container}/archive?path=C:%5C")
        connection.send("GET", f"/containers/{container}/stats")
        assert (await connection.head()).status == 200
        assert json.loads(await connection.chunk()) == {"num_procs": "many"}
    complaints = [complaint.splitlines()[0] for complaint in witness.complaints[:3]]
    witness.complaints.clear()
    assert complaints == [
        "GET /version → 200: 7 is not of type 'string'",
        f"HEAD /containers/{container}/archive?path=C:%5C → 200: "
        "headers are missing: X-Docker-Container-Path-Stat",
        f"GET /containers/{container}/stats → 200: 'many' is not of type 'integer'",
    ]


def test_the_check_can_fail(description: api_description.Description) -> None:
    with pytest.raises(jsonschema.ValidationError):
        description.check("GET", "/version", 200, {"ApiVersion": 1.5})
    with pytest.raises(jsonschema.ValidationError):
        description.check("POST", "/containers/create", 201, {"Id": "x"})
