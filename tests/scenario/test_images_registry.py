"""docker's own command line and registries: pull, push, login, search."""

from __future__ import annotations

import base64
import json

import pytest

from linwin.model.registry import Credentials, SearchResult
from tests.scenario.fakes.images import archive
from tests.scenario.fakes.registry import Content, FakeRegistry
from tests.scenario.harness import IMAGE, Daemon, Docker, Finished
from tests.scenario.raw_http import RawConnection

APP = "docker.io/team/app:1"
CONTENT = Content(layers=(3000, 500), saved=253_400_000)
DENIED = (
    "pull access denied for team/app, repository does not exist or may require 'docker login': "
    "denied: requested access to the resource is denied"
)


@pytest.fixture
def registry(daemon: Daemon) -> FakeRegistry:
    daemon.fakes.images.registry.content[APP] = CONTENT
    return daemon.fakes.images.registry


def lines(body: bytes) -> list[dict[str, object]]:
    return [json.loads(line) for line in body.splitlines()]


# Pull


async def test_a_pulled_image_runs(docker: Docker, daemon: Daemon, registry: FakeRegistry) -> None:
    done = await docker("pull", "team/app:1")
    assert (done.code, done.err) == (0, b"")
    assert done.out.decode().splitlines()[-4:] == [
        "linwin: 253 MB of base layers not downloaded: template wine provides them",
        f"Digest: {CONTENT.digest}",
        "Status: Downloaded newer image for team/app:1",
        "docker.io/team/app:1",
    ]
    assert done.out.count(b": Pull complete\n") == 2
    assert await docker("run", "--rm", "team/app:1") == Finished(0, b"pulled\n", b"")
    form = "{{index .RepoDigests 0}} {{.Size}}"
    inspected = await docker("inspect", "--type", "image", "--format", form, "team/app:1")
    assert inspected.out.decode() == f"team/app@{CONTENT.digest} 3500\n"
    assert await daemon.nothing_left()


async def test_a_second_pull_is_up_to_date(docker: Docker, registry: FakeRegistry) -> None:
    await docker("pull", "team/app:1")
    again = await docker("pull", "team/app:1")
    assert b"Status: Image is up to date for team/app:1\n" in again.out
    registry.content[APP] = Content(cmd=("echo", "newer"))
    newer = await docker("pull", "team/app:1")
    assert b"Status: Downloaded newer image for team/app:1\n" in newer.out
    assert b"linwin:" not in newer.out
    assert (await docker("run", "--rm", "team/app:1")).out == b"newer\n"


async def test_run_pulls_what_is_missing(docker: Docker, registry: FakeRegistry) -> None:
    done = await docker("run", "--rm", "team/app:1")
    assert (done.code, done.out) == (0, b"pulled\n")
    assert b"Status: Downloaded newer image for team/app:1\n" in done.err


async def test_a_pull_by_digest(docker: Docker, registry: FakeRegistry) -> None:
    done = await docker("pull", f"team/app@{CONTENT.digest}")
    assert f"Status: Downloaded newer image for team/app@{CONTENT.digest}\n".encode() in done.out
    assert (await docker("run", "--rm", f"team/app@{CONTENT.digest}")).out == b"pulled\n"


async def test_a_base_image_asks_no_registry(docker: Docker, registry: FakeRegistry) -> None:
    done = await docker("pull", IMAGE)
    assert done.out.decode().splitlines() == [
        "Using default tag: latest",
        "linwin: template wine provides this image",
        "Status: Image is up to date for microsoft/nanoserver:latest",
        "docker.io/microsoft/nanoserver:latest",
    ]
    assert registry.asked == []


async def test_a_pull_that_fails_leaves_no_image(
    docker: Docker, daemon: Daemon, registry: FakeRegistry
) -> None:
    registry.corrupt.add(APP)
    done = await docker("pull", "team/app:1")
    assert (done.code, done.err) == (1, b"the registry cut the connection\nTry again: what came is kept.\n")
    assert len(daemon.fakes.images.stored) == 1
    assert await daemon.nothing_left()


async def test_a_layer_that_cannot_be_applied_leaves_no_image(
    docker: Docker, daemon: Daemon, registry: FakeRegistry
) -> None:
    await docker("pull", "team/app:1")
    (layer, _) = (await daemon.engine.image("team/app:1")).layers
    await docker("rmi", "team/app:1")
    daemon.fakes.disks.broken.add(layer.diff_id)
    let_go = daemon.fakes.images.discarded
    done = await docker("pull", "team/app:1")
    assert done.code == 1
    assert done.err.decode() == f"layer {layer.digest} cannot be applied: its first entry is a lie\n"
    assert daemon.fakes.images.discarded == let_go + 1
    assert len(daemon.fakes.images.stored) == 1


async def test_a_registry_that_is_not_reached(docker: Docker, registry: FakeRegistry) -> None:
    registry.down = "cannot reach registry-1.docker.io: Connection refused"
    done = await docker("pull", "team/app:1")
    assert done.err == (
        b"Error response from daemon: cannot reach registry-1.docker.io: Connection refused\n"
        b"Check the network.\n"
    )


@pytest.mark.parametrize(
    ("query", "status", "message"),
    [
        (
            "fromImage=team/app",
            501,
            "linwin does not pull all tags of team/app at once\nName one of them, as in team/app:latest.",
        ),
        ("repo=x", 400, "no image was named\nUse create?fromImage=NAME&tag=TAG."),
        (
            "fromImage=team/app&tag=1&platform=linux/arm64",
            400,
            "the platform linux/arm64 is not supported\nlinwin runs windows/amd64 images.",
        ),
        ("fromImage=team/none&tag=1", 404, DENIED.replace("team/app", "team/none")),
    ],
)
async def test_pulls_that_are_refused(
    connection: RawConnection, registry: FakeRegistry, query: str, status: int, message: str
) -> None:
    answer = await connection.request("POST", f"/images/create?{query}")
    assert (answer.status, answer.json) == (status, {"message": message})


async def test_the_tag_may_be_part_of_the_name(connection: RawConnection, registry: FakeRegistry) -> None:
    answer = await connection.request("POST", "/images/create?fromImage=team/app:1&platform=windows/amd64")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert lines(answer.body)[0] == {"status": "Pulling from team/app", "id": "1"}


async def test_a_header_that_cannot_be_read(connection: RawConnection, registry: FakeRegistry) -> None:
    answer = await connection.request(
        "POST", "/images/create?fromImage=team/app&tag=1", **{"X-Registry-Auth": "?"}
    )
    assert (answer.status, answer.json["message"]) == (
        400,
        "invalid X-Registry-Auth header\n"
        'It is the base64url of a JSON object such as {"username":…,"password":…}.',
    )
    assert registry.asked == []


# Login


async def test_login_opens_what_is_private(docker: Docker, registry: FakeRegistry) -> None:
    registry.private = {"docker.io/team/app", "r.example:5000/team/app"}
    registry.content["r.example:5000/team/app:1"] = CONTENT
    refused = await docker("pull", "r.example:5000/team/app:1")
    assert refused.code == 1
    assert b"pull access denied for r.example:5000/team/app" in refused.err
    done = await docker("login", "-u", "me", "--password-stdin", "r.example:5000", stdin=b"secret")
    assert done.code == 0
    assert b"Login Succeeded\n" in done.out
    assert (await docker("pull", "r.example:5000/team/app:1")).code == 0
    assert registry.asked[-1] == Credentials("me", "secret", server="r.example:5000")
    assert (await docker("pull", "team/app:1")).code == 1, "it was a login to another registry"
    assert (await docker("logout", "r.example:5000")).code == 0
    assert (await docker("pull", "r.example:5000/team/app:1")).code == 1


async def test_login_with_a_wrong_password(docker: Docker, registry: FakeRegistry) -> None:
    done = await docker("login", "-u", "me", "--password-stdin", "r.example", stdin=b"guess")
    assert (done.code, done.err) == (
        1,
        b"Error response from daemon: login attempt to https://r.example/v2/ failed with status: "
        b"401 Unauthorized\n",
    )


async def test_a_login_without_a_name(connection: RawConnection) -> None:
    answer = await connection.request("POST", "/auth", {"serveraddress": "r.example"})
    assert (answer.status, answer.json["message"]) == (
        400,
        "no credentials were given\nSend a username and a password, or an identitytoken.",
    )


# Push


async def test_push(docker: Docker, daemon: Daemon, registry: FakeRegistry) -> None:
    await docker("load", stdin=archive("team/new:2", layers=[70]))
    done = await docker("push", "team/new:2")
    digest = registry.content["docker.io/team/new:2"].digest
    assert (done.code, done.out.decode()) == (
        0,
        "The push refers to repository [docker.io/team/new]\n"
        f"fedcba987654: Pushed\n2: digest: {digest} size: 1234\n",
    )
    await docker("rmi", "team/new:2")
    assert f"Digest: {digest}\n".encode() in (await docker("pull", "team/new:2")).out


async def test_push_of_all_tags(docker: Docker, registry: FakeRegistry) -> None:
    await docker("load", stdin=archive("r.example:5000/app:1"))
    await docker("tag", "r.example:5000/app:1", "r.example:5000/app:2")
    await docker("tag", "r.example:5000/app:1", "r.example:5000/apple:3")
    done = await docker("push", "-a", "r.example:5000/app")
    assert done.code == 0
    assert {name for name in registry.content if "example" in name} == {
        "r.example:5000/app:1",
        "r.example:5000/app:2",
    }


async def test_push_of_what_is_not_here(docker: Docker, registry: FakeRegistry) -> None:
    missing = (
        b"Error response from daemon: An image does not exist locally with the tag: team/none\n"
        b"List the images that are here with linwin images; name one with linwin tag.\n"
    )
    for options in (["team/none:1"], ["-a", "team/none"]):
        done = await docker("push", *options)
        assert done.code == 1
        assert done.err == missing


async def test_push_without_leave(docker: Docker, registry: FakeRegistry) -> None:
    registry.private.add("docker.io/team/new")
    await docker("load", stdin=archive("team/new:2"))
    done = await docker("push", "team/new:2")
    assert (done.code, done.err) == (1, b"denied: requested access to the resource is denied\n")


async def test_a_push_ends_with_its_digest_for_programs(
    connection: RawConnection, docker: Docker, registry: FakeRegistry
) -> None:
    await docker("load", stdin=archive("team/new:2"))
    answer = await connection.request("POST", "/images/team/new:ignored/push?tag=2")
    digest = registry.content["docker.io/team/new:2"].digest
    assert lines(answer.body)[-1] == {
        "progressDetail": {},
        "aux": {"Tag": "2", "Digest": digest, "Size": 1234},
    }


async def test_a_digest_is_not_pushed(connection: RawConnection) -> None:
    for path in (f"/images/x@{CONTENT.digest}/push", f"/images/x/push?tag={CONTENT.digest}"):
        answer = await connection.request("POST", path)
        assert (answer.status, answer.json["message"]) == (
            400,
            "cannot push a digest reference\nName a tag: linwin push NAME:TAG.",
        )


# Search


@pytest.fixture
def found(registry: FakeRegistry) -> None:
    registry.results = [
        SearchResult("team/app", "An app", 10),
        SearchResult("app", "The app", 2000, official=True),
        SearchResult("other/app", "Another app", 0, automated=True),
        *(SearchResult(f"many/app{number}") for number in range(40)),
    ]


@pytest.mark.usefixtures("found")
async def test_search(docker: Docker) -> None:
    form = ["--format", "{{.Name}} {{.StarCount}} {{.IsOfficial}}"]
    listed = (await docker("search", *form, "app")).out.decode().splitlines()
    assert ("app 2000 [OK]" in listed, len(listed)) == (True, 25)  # in which order is the client's choice
    assert len((await docker("search", *form, "--limit", "2", "app")).out.splitlines()) == 2
    filtered = await docker("search", *form, "--filter", "stars=5", "--filter", "is-official=false", "app")
    assert filtered.out == b"team/app 10 \n"
    assert (await docker("search", *form, "nothing")).out == b""


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("", "no term was given to search for\nUse search?term=WORD."),
        ("term=a&limit=101", "limit 101 is outside the range of [1, 100]\nAsk for fewer results."),
        ("term=a&limit=-1", "limit -1 is outside the range of [1, 100]\nAsk for fewer results."),
        ('term=a&filters={"stars":["many"]}', "invalid filter 'stars=many'\nUse a whole number."),
        (
            'term=a&filters={"colour":["red"]}',
            "invalid filter 'colour'\nFilters known here: is-automated, is-official, stars.",
        ),
    ],
)
async def test_searches_that_are_refused(connection: RawConnection, query: str, message: str) -> None:
    answer = await connection.request("GET", f"/images/search?{query}")
    assert (answer.status, answer.json) == (400, {"message": message})


async def test_a_registry_is_asked_without_a_pull(
    daemon: Daemon, connection: RawConnection, registry: FakeRegistry
) -> None:
    before = await daemon.engine.images()
    registry.private.add("docker.io/team/app")
    denied = await connection.request("GET", "/distribution/team/app:1/json")
    assert (denied.status, denied.json["message"]) == (404, DENIED)
    proof = base64.urlsafe_b64encode(json.dumps({"username": "me", "password": "secret"}).encode()).decode()
    shown = await connection.request("GET", "/distribution/team/app:1/json", X_Registry_Auth=proof)
    assert (shown.status, shown.json["Descriptor"]["digest"]) == (200, CONTENT.digest)
    assert await daemon.engine.images() == before
