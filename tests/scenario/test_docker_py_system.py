"""docker-py's images, events, networks and volumes, and what it asks of the daemon itself."""

from __future__ import annotations

import time
from typing import Any

import pytest
from docker import errors

from tests.scenario.docker_py import off_loop
from tests.scenario.fakes.images import archive
from tests.scenario.harness import IMAGE, Daemon

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


async def test_images(python: Any, daemon: Daemon) -> None:
    (app,) = await off_loop(lambda: python.images.load(archive("team/app:1")))
    assert {tag for image in await off_loop(python.images.list) for tag in image.tags} >= {"team/app:1"}
    assert await off_loop(lambda: python.images.list("team/app")) == [app]
    assert await off_loop(lambda: python.images.list(filters={"dangling": True})) == []
    assert (await off_loop(lambda: python.images.get(app.short_id))).attrs["Os"] == "windows"
    assert await off_loop(lambda: app.tag("team/other", tag="2"))
    await off_loop(app.reload)
    assert app.tags == ["team/app:1", "team/other:2"]
    assert (await off_loop(app.history))[0]["Id"] == app.id
    assert app.labels == {"maker": "tests"}
    await off_loop(lambda: python.images.remove("team/other:2"))
    await off_loop(lambda: python.containers.create("team/app:1", name="user"))
    with pytest.raises(errors.APIError, match="409 Client Error"):
        await off_loop(lambda: python.images.remove("team/app:1"))
    await off_loop(lambda: python.images.remove("team/app:1", force=True))
    with pytest.raises(errors.ImageNotFound):
        await off_loop(lambda: python.images.get("team/app:1"))


async def test_what_the_daemon_says_of_itself(python: Any, daemon: Daemon) -> None:
    info = await off_loop(python.info)
    assert (info["OSType"], info["Isolation"]) == ("windows", "hyperv")
    version = await off_loop(python.version)
    assert (version["ApiVersion"], version["Os"]) == ("1.50", "windows")
    use = await off_loop(python.df)
    assert set(use) >= {"Images", "Containers", "Volumes", "BuildCache", "LayersSize"}
    assert await off_loop(python.plugins.list) == []


async def test_events_past_and_filtered(python: Any) -> None:
    made = await off_loop(lambda: python.containers.run(IMAGE, ["exit", "3"], name="pet", detach=True))
    await off_loop(made.wait)
    past = await off_loop(
        lambda: list(
            python.events(
                since=0, until=time.time() + 1, decode=True, filters={"container": "pet", "type": "container"}
            )
        )
    )
    assert [event["Action"] for event in past] == ["create", "start", "die"]
    assert past[-1]["Actor"]["Attributes"]["exitCode"] == "3"


async def test_volumes(python: Any) -> None:
    assert await off_loop(python.volumes.list) == []
    with pytest.raises(errors.NotFound, match="get data: no such volume"):
        await off_loop(lambda: python.volumes.get("data"))
    made = await off_loop(lambda: python.volumes.create("data", labels={"a": "b"}))
    assert (made.name, made.attrs["Driver"], made.attrs["Labels"]) == ("data", "local", {"a": "b"})
    assert await off_loop(lambda: python.volumes.list(filters={"dangling": True, "label": "a"})) == [made]
    with pytest.raises(errors.APIError, match="linwin does not support the volume option type"):
        await off_loop(lambda: python.volumes.create("other", driver_opts={"type": "nfs"}))
    await off_loop(made.remove)
    nameless = await off_loop(python.volumes.create)
    pruned = await off_loop(python.volumes.prune)
    assert pruned["VolumesDeleted"] == [nameless.name]


async def test_a_swarm_is_not_here(python: Any) -> None:
    with pytest.raises(errors.APIError, match="This node is not a swarm manager"):
        await off_loop(python.services.list)
