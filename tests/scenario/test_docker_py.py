"""docker-py, the Python SDK, against the daemon: its main verbs, images and registries."""

from __future__ import annotations

import io
from typing import Any

import pytest
from docker import errors

from linwin.model.registry import SearchResult
from tests.scenario.docker_py import off_loop
from tests.scenario.fakes.images import archive
from tests.scenario.fakes.programs import flood_bytes
from tests.scenario.fakes.registry import Content
from tests.scenario.harness import IMAGE, Daemon

# docker-py leaves the sockets of hijacked connections to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


async def test_version_is_adopted(python: Any) -> None:
    assert python.api.api_version == "1.50"
    assert await off_loop(python.ping)


async def test_run_returns_the_output(python: Any, daemon: Daemon) -> None:
    assert await off_loop(lambda: python.containers.run(IMAGE, ["echo", "hi"], remove=True)) == b"hi\n"
    assert await daemon.nothing_left()


async def test_run_raises_for_an_exit_code(python: Any) -> None:
    with pytest.raises(errors.ContainerError) as caught:
        await off_loop(lambda: python.containers.run(IMAGE, "complain", remove=True))
    assert (caught.value.exit_status, caught.value.stderr) == (3, b"to stderr\n")


async def test_run_of_an_unknown_image_reports_the_pull(python: Any) -> None:
    with pytest.raises(errors.APIError, match="pull access denied for no/such"):
        await off_loop(lambda: python.containers.run("no/such", "x"))


async def test_errors_are_its_own(python: Any) -> None:
    with pytest.raises(errors.NotFound, match="No such container: nobody"):
        await off_loop(lambda: python.containers.get("nobody"))
    with pytest.raises(errors.ImageNotFound, match="No such image: no/such:latest"):
        await off_loop(lambda: python.images.get("no/such"))


async def test_life(python: Any, daemon: Daemon) -> None:
    container = await off_loop(lambda: python.containers.run(IMAGE, "hang", detach=True, name="pet"))
    assert [found.name for found in await off_loop(python.containers.list)] == ["pet"]
    await off_loop(container.reload)
    assert container.status == "running"
    assert "microsoft/nanoserver:latest" in (await off_loop(lambda: container.image)).tags
    await off_loop(lambda: container.stop(timeout=5))
    assert await off_loop(container.wait) == {"StatusCode": 0xC000013A}
    assert await off_loop(container.logs) == b"hanging\ngot TERM\n"
    await off_loop(container.remove)
    assert await daemon.nothing_left()


async def test_followed_logs_stream(python: Any) -> None:
    container = await off_loop(lambda: python.containers.run(IMAGE, ["lines", "4"], detach=True))
    lines = await off_loop(lambda: list(container.logs(stream=True, follow=True)))
    assert b"".join(lines) == b"line 0\nline 1\nline 2\nline 3\n"


async def test_attached_output_is_whole(python: Any) -> None:
    """docker-py would lose output that comes together with the answer's head."""
    container = await off_loop(lambda: python.containers.create(IMAGE, ["flood", "2000000"]))
    stream = await off_loop(lambda: container.attach(stream=True, stdout=True, stderr=True))
    await off_loop(container.start)
    assert await off_loop(lambda: b"".join(stream)) == flood_bytes(2_000_000)


async def test_attached_logs_are_whole(python: Any, daemon: Daemon) -> None:
    container = await off_loop(lambda: python.containers.run(IMAGE, ["echo", "first"], detach=True))
    await daemon.settled()
    for _ in range(5):
        attached = await off_loop(lambda: container.attach(stream=False, logs=True))
        assert attached == b"first\n"


async def test_input_through_a_socket(python: Any) -> None:
    container = await off_loop(lambda: python.containers.create(IMAGE, "cat", stdin_open=True))
    await off_loop(container.start)

    def talk() -> bytes:
        attached = container.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
        raw = attached._sock
        raw.sendall(b"ping\n")
        received = b""
        while len(received) < 8 + 5:
            received += raw.recv(100)
        attached.close()
        raw.close()
        return received

    assert await off_loop(talk) == b"\x01\0\0\0\0\0\0\x05ping\n"


async def test_load_and_pull(python: Any) -> None:
    images = await off_loop(lambda: python.images.load(io.BytesIO(archive("team/app:1"))))
    assert [image.tags for image in images] == [["team/app:1"]]
    assert (await off_loop(lambda: python.images.pull(IMAGE))).tags
    with pytest.raises(errors.ImageLoadError, match="ends in the middle of layer 1"):
        await off_loop(lambda: python.images.load(io.BytesIO(archive("team/bad:1", fail_after=1))))


async def test_pull_push_save_and_search(python: Any, daemon: Daemon) -> None:
    registry = daemon.fakes.images.registry
    registry.content["docker.io/team/app:1"] = Content(layers=(30,))
    registry.private.add("docker.io/team/app")
    registry.results = [SearchResult("team/app", "An app", 3)]
    me = {"username": "me", "password": "secret"}
    with pytest.raises(errors.NotFound, match="pull access denied for team/app"):
        await off_loop(lambda: python.images.pull("team/app", tag="1"))
    pulled = await off_loop(lambda: python.images.pull("team/app", tag="1", auth_config=me))
    assert pulled.tags == ["team/app:1"]
    archived = await off_loop(lambda: b"".join(pulled.save(named=True)))
    (again,) = await off_loop(lambda: python.images.load(archived))
    assert again.id == pulled.id
    await off_loop(lambda: pulled.tag("team/other", "2"))
    lines = await off_loop(
        lambda: list(python.images.push("team/other", "2", auth_config=me, stream=True, decode=True))
    )
    assert lines[-1]["aux"]["Digest"] == registry.content["docker.io/team/other:2"].digest
    found = await off_loop(lambda: python.images.search("app"))
    assert [(one["name"], one["star_count"]) for one in found] == [("team/app", 3)]


async def test_login(python: Any) -> None:
    done = await off_loop(lambda: python.login("me", "secret", registry="r.example"))
    assert done["Status"] == "Login Succeeded"
    with pytest.raises(
        errors.APIError, match=r"401 Client Error.*login attempt to https://other\.example/v2/"
    ):
        await off_loop(lambda: python.login("me", "guess", registry="other.example"))


async def test_prunes_and_df(python: Any, daemon: Daemon) -> None:
    await off_loop(lambda: python.images.load(archive("team/app:1", layers=[5000])))
    container = await off_loop(lambda: python.containers.create("team/app:1"))
    use = await off_loop(python.df)
    assert {image["Containers"] for image in use["Images"]} == {0, 1}
    pruned = await off_loop(python.containers.prune)
    assert pruned["ContainersDeleted"] == [container.id]
    assert (await off_loop(python.images.prune))["ImagesDeleted"] == []
    pruned = await off_loop(lambda: python.images.prune({"dangling": False}))
    assert pruned["ImagesDeleted"][0] == {"Untagged": "team/app:1"}
    assert pruned["SpaceReclaimed"] == 15_000, "a layer and its disk"
    assert await off_loop(python.networks.prune) == {"NetworksDeleted": []}
    assert await off_loop(python.volumes.prune) == {"VolumesDeleted": [], "SpaceReclaimed": 0}
