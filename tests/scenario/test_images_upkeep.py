"""docker's prunes and df, history, and linwin's check."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from linwin.model.upkeep import Finding
from tests.scenario.fakes.disks import OVERLAY_SIZE
from tests.scenario.fakes.images import archive
from tests.scenario.harness import IMAGE, Daemon, Docker, Finished
from tests.scenario.raw_http import RawConnection

NAMES = ["--format", "{{.Repository}}:{{.Tag}}"]


async def listed(docker: Docker) -> set[str]:
    return {name for name in (await docker("images", *NAMES)).out.decode().split() if "nano" not in name}


async def replaced(docker: Docker, reference: str) -> str:
    """Load an image and another of the same name; returns the id of the first, which is dangling then."""
    await docker("load", stdin=archive(reference, layers=[400_000]))
    dangling = (await docker("images", "-q", "--no-trunc", reference)).out.decode().strip()
    await docker("load", stdin=archive(reference, cmd=["echo", "newer"], layers=[50_000]))
    return dangling


# Image prune


async def test_image_prune_takes_what_has_no_name(docker: Docker, daemon: Daemon) -> None:
    dangling = await replaced(docker, "team/app:1")
    daemon.fakes.images.interrupted = 7000
    done = await docker("image", "prune", "-f")
    assert (done.code, done.out.decode()) == (
        0,
        f"Deleted Images:\ndeleted: {dangling}\n\nTotal reclaimed space: 417kB\n",
    )
    assert await listed(docker) == {"team/app:1"}
    assert await docker("image", "prune", "-f") == Finished(0, b"Total reclaimed space: 0B\n", b"")


async def test_image_prune_of_all_takes_what_no_container_uses(docker: Docker) -> None:
    for name in ("team/used:1", "team/unused:1", "team/unused:2"):
        await docker("load", stdin=archive(name, layers=[1000]))
    await docker("tag", "team/used:1", "team/used:too")
    await docker("tag", IMAGE, "mine:1")
    await docker("create", "--name", "user", "team/used:1")
    done = await docker("image", "prune", "-a", "-f")
    assert b"untagged: team/unused:1\n" in done.out
    assert b"untagged: team/unused:2\n" in done.out
    assert b"Total reclaimed space: 0B\n" in done.out, "a layer that is in use was counted"
    assert await listed(docker) == {"team/used:1", "team/used:too", "mine:1"}
    assert (await docker("start", "-a", "user")).out == b"loaded\n"


@pytest.mark.parametrize(
    ("filters", "left"),
    [
        (["label=maker"], False),
        (["label=maker=others"], True),
        (["label!=maker"], True),
        (["until=2024-01-01"], True),
        (["until=1h"], False),
    ],
)
async def test_image_prune_filters(docker: Docker, filters: list[str], left: bool) -> None:
    await docker("load", stdin=archive("team/app:1"))
    await docker("image", "prune", "-a", "-f", *(word for text in filters for word in ("--filter", text)))
    assert bool(await listed(docker)) is left


# Container prune


async def test_container_prune(docker: Docker, daemon: Daemon) -> None:
    await docker("run", "--name", "over", IMAGE, "echo", "hi")
    await docker("create", "--name", "made", "--label", "keep", IMAGE)
    await docker("run", "-d", "--name", "runs", IMAGE, "hang")
    over = (await daemon.engine.inspect("over")).id
    first = await docker("container", "prune", "-f", "--filter", "label!=keep")
    assert first.out.decode() == f"Deleted Containers:\n{over}\n\nTotal reclaimed space: 8.192kB\n"
    await docker("container", "prune", "-f", "--filter", "until=1h")
    assert {container.name for container in await daemon.engine.list()} == {"made", "runs"}
    await docker("container", "prune", "-f")
    assert {container.name for container in await daemon.engine.list()} == {"runs"}


async def test_container_prune_goes_on_after_a_failure(
    docker: Docker, daemon: Daemon, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("first", "stuck", "third"):
        await docker("create", "--name", name, IMAGE)
    stuck = await daemon.engine.inspect("stuck")
    daemon.paths.container(stuck.id).write_text("a file where a folder should be")
    done = await docker("container", "prune", "-f")
    assert done.code == 0
    assert [container.name for container in await daemon.engine.list()] == ["stuck"]
    assert f"container {stuck.short_id} could not be pruned: cannot remove" in caplog.text
    daemon.paths.container(stuck.id).unlink()


async def test_chains_that_only_a_container_needed_go_with_it(docker: Docker, daemon: Daemon) -> None:
    await docker("load", stdin=archive("team/app:1", layers=[1000]))
    await docker("run", "--name", "over", "team/app:1")
    await docker("rmi", "-f", "team/app:1")
    (chain_id,) = (key for key, parent in daemon.fakes.disks.chains.items() if parent)
    done = await docker("container", "prune", "-f")
    assert chain_id not in daemon.fakes.disks.chains
    assert b"Total reclaimed space: 18.19kB\n" in done.out


# System


async def test_system_prune(docker: Docker, daemon: Daemon) -> None:
    await docker("load", stdin=archive("team/app:1", layers=[1000]))
    await docker("run", "--name", "over", "team/app:1")
    done = await docker("system", "prune", "-a", "-f", "--volumes")
    assert (done.code, done.err) == (0, b"")
    assert b"Deleted Containers:\n" in done.out
    assert b"untagged: team/app:1\n" in done.out
    assert not await listed(docker)
    assert not await daemon.engine.list()
    assert list(daemon.fakes.disks.chains.values()) == [None], "only the template's own disk is left"


async def test_system_df(docker: Docker) -> None:
    await docker("load", stdin=archive("team/used:1", layers=[40_000]))
    await docker("load", stdin=archive("team/unused:1", layers=[40_000, 2000]))
    await docker("run", "--name", "over", "team/used:1")
    form = "{{.Type}}|{{.TotalCount}}|{{.Active}}|{{.Size}}|{{.Reclaimable}}"
    assert (await docker("system", "df", "--format", form)).out.decode().splitlines() == [
        "Images|3|1|62kB|62kB (100%)",
        "Containers|1|0|8.192kB|8.192kB (100%)",
        "Local Volumes|0|0|0B|0B",
        "Build Cache|0|0|0B|0B",
    ]
    verbose = await docker("system", "df", "-v", "--format", "{{json .Images}}")
    rows = {row["Repository"]: row for row in json.loads(verbose.out)}
    assert (rows["team/used"]["Size"], rows["team/used"]["SharedSize"]) == ("50kB", "50kB")
    assert (rows["team/unused"]["Size"], rows["team/unused"]["UniqueSize"]) == ("62kB", "12kB")
    assert (rows["team/used"]["Containers"], rows["team/unused"]["Containers"]) == ("1", "0")


async def test_df_of_some_kinds(connection: RawConnection) -> None:
    answer = await connection.request("GET", "/system/df?type=container&type=volume")
    assert answer.json == {
        "LayersSize": 0,
        "Images": None,
        "Containers": [],
        "Volumes": [],
        "BuildCache": None,
    }
    answer = await connection.request("GET", "/system/df?type=network")
    assert (answer.status, answer.json["message"]) == (
        400,
        "unknown object type: network\nUse some of: container, image, volume, build-cache.",
    )


async def test_sizes_in_listings(docker: Docker, connection: RawConnection) -> None:
    for name, layers in (("team/one:1", [1000, 20]), ("team/two:1", [1000, 3])):
        await docker("load", stdin=archive(name, layers=layers))
    await docker("run", "--name", "over", "team/one:1")
    images = (await connection.request("GET", "/images/json?shared-size=1")).json
    sizes = {tag: (image["Size"], image["SharedSize"]) for image in images for tag in image["RepoTags"]}
    assert (sizes["team/one:1"], sizes["team/two:1"]) == ((1020, 1000), (1003, 1000))
    assert {image["SharedSize"] for image in (await connection.request("GET", "/images/json")).json} == {-1}
    (container,) = (await connection.request("GET", "/containers/json?all=1&size=1")).json
    assert (container["SizeRw"], container["SizeRootFs"]) == (OVERLAY_SIZE, OVERLAY_SIZE + 1020)
    inspected = (await connection.request("GET", "/containers/over/json?size=1")).json
    assert (inspected["SizeRw"], inspected["SizeRootFs"]) == (OVERLAY_SIZE, OVERLAY_SIZE + 1020)
    assert "SizeRw" not in (await connection.request("GET", "/containers/over/json")).json


async def test_history(docker: Docker) -> None:
    await docker("load", stdin=archive("team/app:1", layers=[1000, 20]))
    form = "{{.ID}}|{{.CreatedBy}}|{{.Size}}"
    done = await docker("history", "--format", form, "team/app:1")
    image = (await docker("images", "-q", "team/app")).out.decode().strip()
    assert done.out.decode().splitlines() == [
        f"{image}|CMD echo|0B",
        "<missing>|COPY 20 bytes|20B",
        "<missing>|COPY 1000 bytes|1kB",
        "<missing>|Apply image|0B",
    ]


@pytest.mark.parametrize(
    ("path", "known"),
    [
        ("/images/prune", "dangling, label, label!, until"),
        ("/containers/prune", "label, label!, until"),
        ("/networks/prune", "label, label!, until"),
        ("/volumes/prune", "all, label, label!"),
    ],
)
async def test_filters_that_no_prune_knows(connection: RawConnection, path: str, known: str) -> None:
    answer = await connection.request("POST", f'{path}?filters={{"colour":["red"]}}')
    assert (answer.status, answer.json["message"]) == (
        400,
        f"invalid filter 'colour'\nFilters known here: {known}.",
    )


# Check


Checking = Callable[..., Any]


@pytest.fixture
def check(connection: RawConnection) -> Checking:
    async def request(*, repair: bool = False) -> list[dict[str, Any]]:
        answer = await connection.request("POST", f"/linwin/check?repair={int(repair)}")
        assert answer.status == 200
        lines = [json.loads(line) for line in answer.body.splitlines()]
        return [line["aux"] for line in lines if "aux" in line]

    return request


async def test_a_sound_root(check: Checking, docker: Docker) -> None:
    await docker("load", stdin=archive("team/app:1", layers=[1000]))
    await docker("run", "--name", "over", "team/app:1")
    await docker("create", "--name", "made", "team/app:1")
    await docker("run", "-d", "--name", "runs", IMAGE, "hang")
    assert await check() == []
    assert await check(repair=True) == []


async def test_the_rooms_own_findings(check: Checking, daemon: Daemon) -> None:
    daemon.fakes.images.faults = [Finding("blob sha256:1", "does not match its digest", "Bring it back")]
    daemon.fakes.disks.faults = [Finding("chain sha256:2", "lacks its backing", "Delete it")]
    blob = {
        "Subject": "blob sha256:1",
        "Problem": "does not match its digest",
        "Remedy": "Bring it back",
        "Repaired": False,
    }
    found = await check()
    assert (found[0], len(found)) == (blob, 2)
    found = await check(repair=True)
    assert (found[0], len(found)) == (blob | {"Repaired": True}, 2)
    assert await check() == []


async def findings(check: Checking) -> list[tuple[str, str, str]]:
    found = await check(repair=True)
    assert not any(finding["Repaired"] for finding in found)
    return [(finding["Subject"], finding["Problem"], finding["Remedy"]) for finding in found]


async def test_containers_whose_image_is_gone(check: Checking, docker: Docker) -> None:
    await docker("load", stdin=archive("team/app:1"))
    await docker("run", "--name", "over", "team/app:1")
    await docker("create", "--name", "made", "team/app:1")
    await docker("rmi", "-f", "team/app:1")
    problem = "was created from the image team/app:1, which is gone"
    assert await findings(check) == [
        (
            "container made",
            problem,
            "Pull or load team/app:1 again: the container cannot start without it",
        ),
        (
            "container over",
            problem,
            "Pull or load team/app:1 again, or leave it: the container has its own disk and still starts",
        ),
    ]


async def test_containers_whose_disk_is_not_right(check: Checking, docker: Docker, daemon: Daemon) -> None:
    for number, name in enumerate(("whole", "lost", "foreign", "moved", "hanging")):
        await docker("load", stdin=archive(f"{name}:1", layers=[1000 + number]))
        await docker("run", "--name", name, f"{name}:1")
    pets = {container.name: container for container in await daemon.engine.list()}
    overlay = {name: daemon.paths.overlay(container.id) for name, container in pets.items()}
    disks = daemon.fakes.disks
    overlay["lost"].unlink()
    del disks.overlays[overlay["foreign"]]
    disks.overlays[overlay["moved"]] = pets["whole"].chain_id
    del disks.chains[pets["hanging"].chain_id]

    def short(name: str) -> str:
        return pets[name].chain_id.removeprefix("sha256:")[:12]

    assert await findings(check) == [
        (
            "container hanging",
            f"stands on chain {short('hanging')}, which is gone",
            "Remove the container: linwin rm hanging",
        ),
        (
            "container moved",
            f"has a disk that stands on chain {short('whole')}, and not on {short('moved')} as recorded",
            "Remove the container: linwin rm moved",
        ),
        (
            "container foreign",
            "has a disk that is no overlay of a chain",
            "Remove the container: linwin rm foreign",
        ),
        (
            "container lost",
            "has lost its disk",
            "Start it, which gives it a new one of its image, or remove it: linwin rm lost",
        ),
    ]


async def test_what_no_template_serves(check: Checking, docker: Docker, daemon: Daemon) -> None:
    await docker("load", stdin=archive("team/app:1"))
    await docker("run", "--name", "over", "team/app:1")
    del daemon.fakes.templates.installed["wine"]
    refused = await docker("create", "team/app:1")
    assert refused.err.decode() == (
        "Error response from daemon: no template serves image docker.io/team/app:1, which is for "
        "Windows 10.0.14393.2363 (templates here: none)\n"
        "Build one that serves every Windows build with: linwin template build wine; or one of that build, "
        "from an ISO of yours (docs/windows.md)\n"
    )
    found = [finding for finding in await findings(check) if "nanoserver" not in finding[0]]
    assert found == [
        (
            "container over",
            "boots from the template wine, which is not installed",
            "Build it again: linwin template build wine",
        ),
        (
            "image docker.io/team/app:1",
            "is for Windows 10.0.14393.2363, which no installed template serves",
            "Build one that serves every Windows build: linwin template build wine",
        ),
    ]


async def test_folders_that_belong_to_nobody(check: Checking, daemon: Daemon) -> None:
    empty, full = daemon.paths.container("a" * 64), daemon.paths.container("b" * 64)
    empty.mkdir()
    full.mkdir()
    (full / "c.qcow2").write_bytes(b"somebody's only copy")
    for repair, repaired in ((False, [False, False]), (True, [True, False]), (True, [False])):
        found = await check(repair=repair)
        assert [finding["Repaired"] for finding in found] == repaired
    assert not empty.exists()
    assert found == [
        {
            "Subject": str(full),
            "Problem": "belongs to no container",
            "Remedy": f"Delete it if nothing in it is missed: rm -r {full}",
            "Repaired": False,
        }
    ]
    assert (full / "c.qcow2").exists()
