"""Volumes by docker's own command line and by the bare API: made, used, looked at, removed."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from linwin.model.mount import ANONYMOUS_LABEL
from tests.scenario.harness import IMAGE, Daemon, Docker
from tests.scenario.networking import complaint, inspected, ok
from tests.scenario.raw_http import RawConnection

WHY = "sharing files needs root, and this daemon is not root"


async def create(connection: RawConnection, name: str, *binds: str, **host: Any) -> str:
    body = {"Image": IMAGE, "HostConfig": {"Binds": list(binds), **host}}
    answer = await connection.request("POST", f"/containers/create?name={name}", body)
    assert answer.status == 201, answer.body
    return str(answer.json["Id"])


async def names(docker: Docker, *filters: str) -> list[str]:
    words = [word for text in filters for word in ("-f", text)]
    return (await ok(docker, "volume", "ls", "-q", *words)).split()


async def test_the_life_of_a_volume(docker: Docker, daemon: Daemon) -> None:
    assert await ok(docker, "volume", "create", "--label", "team=blue", "data") == "data"
    assert await ok(docker, "volume", "create", "data") == "data"
    shown = await inspected(docker, "data", "volume")
    folder = daemon.paths.volume("data")
    assert shown.pop("CreatedAt").endswith("Z")
    assert shown == {
        "Driver": "local",
        "Labels": {"team": "blue"},
        "Mountpoint": str(folder),
        "Name": "data",
        "Options": None,
        "Scope": "local",
    }
    assert await ok(docker, "inspect", "--type", "volume", "-f", "{{.Mountpoint}}", "data") == str(folder)
    (folder / "file").touch()
    assert await ok(docker, "volume", "rm", "data") == "data"
    assert not folder.parent.exists()
    assert "get data: no such volume" in complaint(await docker("volume", "rm", "data"))
    await ok(docker, "volume", "rm", "-f", "data")


async def test_which_are_listed(docker: Docker, connection: RawConnection) -> None:
    for words in (["--label", "team=blue", "web"], ["--label", "team=red", "web2"], ["data"]):
        await ok(docker, "volume", "create", *words)
    await create(connection, "box", "data:C:\\data")
    assert await ok(docker, "volume", "ls") == (
        "DRIVER    VOLUME NAME\nlocal     data\nlocal     web\nlocal     web2"
    )
    assert await names(docker, "name=^web") == ["web", "web2"]
    assert await names(docker, "name=2", "name=data") == ["data", "web2"]
    assert await names(docker, "label=team") == ["web", "web2"]
    assert await names(docker, "label=team=red") == ["web2"]
    assert await names(docker, "dangling=true") == ["web", "web2"]
    assert await names(docker, "dangling=false") == ["data"]
    assert await names(docker, "driver=local", "name=data") == ["data"]
    assert await names(docker, "driver=nfs") == []
    unknown = await docker("volume", "ls", "-f", "colour=red")
    assert "invalid filter 'colour'" in complaint(unknown)


async def test_what_a_container_uses_stays(docker: Docker, connection: RawConnection) -> None:
    container = await create(connection, "box", "data:C:\\data", "data:D:\\again:ro")
    assert "[data]" in (await ok(docker, "inspect", "-f", "{{range .Mounts}}[{{.Name}}]{{end}}", "box"))
    for words in (["data"], ["-f", "data"]):
        refused = complaint(await docker("volume", "rm", *words))
        assert f"remove data: volume is in use - [{container}]" in refused
    answer = await connection.request("DELETE", "/volumes/data")
    assert (answer.status, answer.json["message"]) == (
        409,
        f"remove data: volume is in use - [{container}]\nRemove these first: linwin rm box",
    )
    await ok(docker, "rm", "-v", "box")
    assert await names(docker) == ["data"]
    await ok(docker, "volume", "rm", "data")


async def test_volumes_without_a_name(docker: Docker, connection: RawConnection) -> None:
    for words, left in (([], 1), (["-v"], 0)):
        await create(connection, "box", "C:\\data")
        (name,) = await names(docker)
        assert (await inspected(docker, name, "volume"))["Labels"] == {ANONYMOUS_LABEL: ""}
        await ok(docker, "rm", *words, "box")
        assert len(await names(docker)) == left
        await ok(docker, "volume", "prune", "-f")


async def test_pruning(docker: Docker, connection: RawConnection, daemon: Daemon) -> None:
    await create(connection, "box", "used:C:\\data")
    for words in (["named"], ["--label", "keep=yes", "kept"], []):
        last = await ok(docker, "volume", "create", *words)
    (daemon.paths.volume(last) / "file").write_bytes(b"x" * 40_000)
    freed = (await daemon.engine.volumes.usage())[last]
    pruned = await connection.request("POST", "/volumes/prune")
    assert (pruned.json["VolumesDeleted"], pruned.json["SpaceReclaimed"]) == ([last], freed)
    assert freed >= 40_000
    pruned = await connection.request("POST", '/volumes/prune?filters={"all":["true"],"label!":["keep=yes"]}')
    assert pruned.json["VolumesDeleted"] == ["named"]
    assert await names(docker) == ["kept", "used"]
    pruned = await connection.request("POST", '/volumes/prune?filters={"all":["perhaps"]}')
    assert (pruned.status, pruned.json["message"]) == (
        400,
        "invalid filter 'all=perhaps'\nUse true or false.",
    )


@pytest.mark.parametrize(("version", "left"), [("1.41", []), ("1.42", ["named"])])
async def test_clients_who_know_no_anonymous_prune_get_what_they_meant(
    docker: Docker, connection: RawConnection, version: str, left: list[str]
) -> None:
    await ok(docker, "volume", "create", "named")
    pruned = await connection.request("POST", f"/v{version}/volumes/prune")
    assert (pruned.status, await names(docker)) == (200, left)


async def test_the_disk_that_they_take(docker: Docker, connection: RawConnection, daemon: Daemon) -> None:
    await create(connection, "box", "used:C:\\data")
    await ok(docker, "volume", "create", "free")
    (daemon.paths.volume("used") / "file").write_bytes(b"x" * 40_000)
    (use, rest) = (await connection.request("GET", "/system/df?type=volume")).json["Volumes"][::-1]
    assert (use["Name"], use["UsageData"]["RefCount"], rest["UsageData"]["RefCount"]) == ("used", 1, 0)
    assert use["UsageData"]["Size"] > 40_000 > rest["UsageData"]["Size"]
    form = "{{.Type}} {{.TotalCount}} {{.Active}}"
    assert "Local Volumes 2 1" in await ok(docker, "system", "df", "--format", form)
    details = json.loads(await ok(docker, "system", "df", "-v", "--format", "{{json .Volumes}}"))
    assert {(one["Name"], one["Links"]) for one in details} == {("used", "1"), ("free", "0")}


async def test_system_prune_takes_those_without_a_name_with_it(
    docker: Docker, connection: RawConnection
) -> None:
    await create(connection, "box", "C:\\data", "named:C:\\named")
    (nameless,) = [name for name in await names(docker) if name != "named"]
    done = await ok(docker, "system", "prune", "-f", "--volumes")
    assert f"Deleted Volumes:\n{nameless}\n" in done
    assert await names(docker) == ["named"]


async def test_events(docker: Docker, connection: RawConnection) -> None:
    await ok(docker, "volume", "create", "data")
    await ok(docker, "volume", "create", "data")
    await ok(docker, "volume", "rm", "data")
    await ok(docker, "volume", "prune", "-f")
    form = "{{.Type}} {{.Action}} {{.Actor.ID}} {{.Actor.Attributes}}"
    words = ["events", "--since", "1h", "--until=-1s", "--format", form]
    assert await ok(docker, *words, "--filter", "type=volume") == (
        "volume create data map[driver:local]\nvolume destroy data map[driver:local]\n"
        "volume prune  map[reclaimed:0]"
    )
    assert len((await ok(docker, *words, "--filter", "volume=data")).splitlines()) == 2
    assert await ok(docker, *words, "--filter", "volume=other") == ""


async def test_what_is_refused(connection: RawConnection) -> None:
    for body, status, message in (
        (
            {"Name": "data", "Driver": "ceph"},
            404,
            'create data: error looking up volume plugin ceph: plugin "ceph" not found\n'
            "Use local, the default.",
        ),
        (
            {"Driver": "ceph"},
            404,
            'error looking up volume plugin ceph: plugin "ceph" not found\nUse local, the default.',
        ),
        (
            {"Name": "data", "ClusterVolumeSpec": {"Group": "g"}},
            503,
            "This node is not a swarm manager.\n"
            "linwin has no swarm mode; a scheduler above its API spreads containers.",
        ),
        (
            {"Name": "data", "DriverOpts": {"device": "/x", "o": "bind", "type": "none"}},
            501,
            "linwin does not support the volume option device, o, type\n"
            "A volume is a folder of this host; mount another with -v /FOLDER:C:\\PATH.",
        ),
        ({"Name": 7}, 400, "invalid JSON: Name must hold text"),
    ):
        answer = await connection.request("POST", "/volumes/create", body)
        assert (answer.status, answer.json["message"]) == (status, message)
    for method, path in (("GET", "a/b"), ("DELETE", "a/b"), ("GET", "data")):
        answer = await connection.request(method, f"/volumes/{path}")
        assert (answer.status, answer.json["message"]) == (404, f"get {path}: no such volume")
    answer = await connection.request("PUT", "/volumes/data", {"Spec": {}})
    assert (answer.status, answer.json["message"].partition("\n")[0]) == (
        503,
        "volume update only valid for cluster volumes, but swarm is unavailable",
    )


async def test_create_and_remove_at_once(docker: Docker, daemon: Daemon) -> None:
    """Whoever wins, a volume that a container has is there."""
    for number in range(20):
        await daemon.engine.volumes.create("data", labels={})
        body = {"Image": IMAGE, "HostConfig": {"Binds": ["data:C:\\data"]}}
        one, two = (
            await RawConnection.open(daemon.paths.socket),
            await RawConnection.open(daemon.paths.socket),
        )
        made, gone = await asyncio.gather(
            one.request("POST", f"/containers/create?name=box{number}", body),
            two.request("DELETE", "/volumes/data"),
        )
        await one.close()
        await two.close()
        assert (made.status, gone.status) in {(201, 204), (201, 409), (409, 204)}
        if made.status == 201:
            assert daemon.paths.volume("data").is_dir()
            await daemon.engine.remove(f"box{number}")


async def test_a_host_that_can_share_no_files(docker: Docker, daemon: Daemon) -> None:
    daemon.fakes.shares.why_not = WHY
    refused = complaint(await docker("create", "-v", "data:C:\\data", IMAGE))
    assert WHY in refused
    assert (
        "Leave out -v, --mount and --volumes-from, or see docs/volumes.md for what a host needs." in refused
    )
    assert await ok(docker, "volume", "create", "data") == "data"


async def test_what_a_check_finds(docker: Docker, daemon: Daemon) -> None:
    await ok(docker, "volume", "create", "data")
    daemon.paths.volume("data").rmdir()
    stray = daemon.paths.volumes / "stray"
    (stray / "_data").mkdir(parents=True)
    empty = daemon.paths.volumes / "empty"
    empty.mkdir()
    found = await daemon.engine.check(lambda _: None, repair=True)
    assert [(one.subject, one.problem, one.remedy, one.repaired) for one in found] == [
        (
            "volume data",
            "has lost its folder",
            "Give it an empty one: linwin volume create data; or remove it: linwin volume rm data",
            False,
        ),
        (
            str(empty),
            "belongs to no volume",
            f"Delete it if nothing in it is missed: rm -r {empty}",
            True,
        ),
        (
            str(stray),
            "belongs to no volume",
            f"Delete it if nothing in it is missed: rm -r {stray}",
            False,
        ),
    ]
    await ok(docker, "volume", "create", "data")
    assert daemon.paths.volume("data").is_dir()
