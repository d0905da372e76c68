"""Builds as clients see them: docker's command lines, linwin's own, docker-py and compose."""

from __future__ import annotations

import asyncio
import io
import json
import re
import signal
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from docker import errors

from tests.compose import Compose, compose_program
from tests.debian_programs import debian_program, unpacked_program
from tests.scenario.docker_py import off_loop
from tests.scenario.harness import IMAGE, Daemon, Docker, Finished, told_of_wine
from tests.scenario.raw_http import RawConnection
from tests.scenario.test_compose import run

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # docker-py's, as in its own tests

DOCKERFILE = f"""\
FROM {IMAGE}
ARG WHO=nobody
LABEL maker=tests
COPY notes.txt C:/data/
RUN set
RUN store C:/made.txt by a command
ENTRYPOINT ["echo", "built"]
"""
FAILING = f"FROM {IMAGE}\nRUN exit 3\n"


@pytest.fixture(params=["28", "20.10", "linwin"])
def docker(request: pytest.FixtureRequest, daemon: Daemon, short_folder: Path) -> Docker:
    """The client on PATH, the oldest that is met, which is Debian 12's, and our own."""
    told_of_wine(short_folder / ".local" / "state")
    if request.param == "linwin":
        return Docker(str(Path(sys.executable).with_name("linwin")), daemon.host, short_folder)
    find = debian_program if request.param == "28" else unpacked_program
    return Docker(find("docker.io", "docker"), daemon.host, short_folder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "context"
    return written(root, {"Dockerfile": DOCKERFILE, "notes.txt": "notes"})


def written(root: Path, files: Mapping[str, str]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


def packed(files: Mapping[str, str]) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content.encode()))
    return archive.getvalue()


async def label(docker: Docker, image: str) -> bytes:
    form = "{{.Config.Labels.maker}}"
    return (await docker("image", "inspect", "--format", form, image)).out.strip()


async def test_a_build(docker: Docker, daemon: Daemon, folder: Path, tmp_path: Path) -> None:
    options = ["-t", "team/app:1", "-t", "team/app", "--build-arg", "WHO=me", "--label", "a=b"]
    done = await docker("build", *options, "--iidfile", f"{tmp_path}/id", str(folder))
    assert (done.code, done.err.replace(deprecated(done), b"")) == (0, b"")
    out = done.out.decode().replace("\r", "\n")
    assert re.match(r"Sending build context to [\w ]+ +[\d.]+kB\n", out)
    steps = re.findall(r"^Step (\d+)/(\d+) : (.*)$", out, re.MULTILINE)
    assert [int(number) for number, _, _ in steps] == list(range(1, 9))
    assert steps[0][2] == f"FROM {IMAGE}"
    assert "\nWHO=me\n" in out
    short = (tmp_path / "id").read_text().removeprefix("sha256:")[:12]
    ending = (
        f"Successfully built {short}\nSuccessfully tagged team/app:1\nSuccessfully tagged team/app:latest\n"
    )
    assert out.endswith(ending)
    assert await label(docker, "team/app:1") == b"tests"
    run = await docker("run", "--rm", "team/app:1", "again")
    assert (run.code, run.out) == (0, b"built again\n")
    exported = await docker("create", "--name", "made", "team/app")
    assert exported.code == 0
    tar = await docker("cp", "made:C:\\made.txt", "-")
    with tarfile.open(fileobj=io.BytesIO(tar.out)) as archive:
        content = archive.extractfile("made.txt")
        assert content is not None
        assert content.read() == b"by a command"
    assert list(daemon.paths.scratch.iterdir()) == []


def deprecated(done: Finished) -> bytes:
    """What docker's newer clients say of the builder that Windows has."""
    found = re.match(rb"DEPRECATED: The legacy builder.*?\n\n", done.err, re.DOTALL)
    return found[0] if found else b""


async def test_a_second_build_is_cached(docker: Docker, folder: Path) -> None:
    first = await docker("build", "-q", str(folder))
    assert (first.code, first.out.startswith(b"sha256:")) == (0, True)
    second = await docker("build", str(folder))
    assert second.out.count(b" ---> Using cache\n") == 6
    again = await docker("build", "-q", str(folder))
    assert again.out == first.out
    anew = await docker("build", "--no-cache", str(folder))
    assert b"Using cache" not in anew.out


async def test_a_command_that_fails(docker: Docker, tmp_path: Path) -> None:
    folder = written(tmp_path / "context", {"Dockerfile": FAILING})
    for options in ([], ["-q"]):
        done = await docker("build", *options, str(folder))
        assert done.code == 3
        assert b"returned a non-zero code: 3\n" in done.err
    assert b"Step 2/2 : RUN exit 3\n" in done.err


async def test_other_failures(docker: Docker, tmp_path: Path, daemon: Daemon) -> None:
    folder = written(tmp_path / "context", {"Dockerfile": f"FROM {IMAGE}\nCOPY nothing C:/\n"})
    done = await docker("build", str(folder))
    assert done.code == 1
    assert b"COPY failed: file not found in build context or excluded by .dockerignore" in done.err
    written(folder, {"Dockerfile": "NONSENSE\n"})
    done = await docker("build", str(folder))
    assert done.code == 1
    assert b"unknown instruction: NONSENSE" in done.err
    assert list(daemon.paths.scratch.iterdir()) == []


@pytest.mark.parametrize("place", ["in", "out", "stdin"])
async def test_a_dockerfile_elsewhere(docker: Docker, folder: Path, tmp_path: Path, place: str) -> None:
    text = DOCKERFILE.replace("maker=tests", "maker=other") + "COPY . C:/all/\n"
    path = {"in": folder / "sub" / "Own", "out": tmp_path / "Own", "stdin": Path("-")}[place]
    if place != "stdin":
        written(path.parent, {path.name: text})
    stdin = text.encode() if place == "stdin" else None
    done = await docker("build", "-t", "app", "-f", str(path), str(folder), stdin=stdin)
    assert done.code == 0, done.err
    assert await label(docker, "app") == b"other"
    await docker("create", "--name", "made", "app")
    tar = await docker("cp", "made:C:\\all\\.", "-")
    with tarfile.open(fileobj=io.BytesIO(tar.out)) as archive:
        names = {Path(name).name for name in archive.getnames()}
    assert {"Dockerfile", "notes.txt"} <= names
    assert not {name for name in names if name.startswith(".dockerfile.")}


@pytest.mark.parametrize("kind", ["tar", "dockerfile"])
async def test_standard_input(docker: Docker, kind: str) -> None:
    plain = f"FROM {IMAGE}\nLABEL maker=tests\n"
    stdin = packed({"Dockerfile": plain, "x": "y"}) if kind == "tar" else plain.encode()
    done = await docker("build", "-t", "app", "-", stdin=stdin)
    assert done.code == 0, done.err
    assert await label(docker, "app") == b"tests"


async def test_what_is_ignored(docker: Docker, folder: Path) -> None:
    written(
        folder,
        {
            ".dockerignore": "secret\n**/*.log\nDockerfile\n.dockerignore\n",
            "Dockerfile": f"FROM {IMAGE}\nCOPY . C:/all/\n",
            "secret/key": "key",
            "deep/er/a.log": "log",
            "deep/er/a.txt": "text",
        },
    )
    assert (await docker("build", "-t", "app", str(folder))).code == 0
    await docker("create", "--name", "made", "app")
    tar = await docker("cp", "made:C:\\all\\.", "-")
    with tarfile.open(fileobj=io.BytesIO(tar.out)) as archive:
        names = {Path(member.name).name for member in archive if member.isfile()}
    assert names == {"notes.txt", "a.txt"}


async def test_the_same_time_makes_the_same_image(docker: Docker, folder: Path) -> None:
    ids = set()
    for _ in range(2):
        done = await docker("build", "-q", "--no-cache", "--build-arg", "SOURCE_DATE_EPOCH=17", str(folder))
        assert done.code == 0, done.err
        ids.add(done.out)
    assert len(ids) == 1
    made = await docker("image", "inspect", "--format", "{{.Created}}", ids.pop().decode().strip())
    assert made.out.startswith(b"1970-01-01T00:00:17")


async def test_steps_are_no_images_of_the_users(docker: Docker, folder: Path) -> None:
    async def listed(*options: str) -> list[str]:
        out = (await docker("images", "-q", "--no-trunc", *options)).out
        return out.decode().split()

    before = await listed()
    await docker("build", "-t", "app", str(folder))
    shown, everything = await listed(), await listed("-a")
    assert len(set(shown)) == len(set(before)) + 1
    assert len(set(everything)) > len(set(shown))
    assert await listed("--filter", "dangling=true") == []
    parents = await docker("image", "inspect", "--format", "{{.Parent}}", "app")
    assert parents.out.decode().strip() in everything
    history = await docker("history", "--no-trunc", "--format", "{{.CreatedBy}}", "app")
    assert b"LABEL maker=tests" in history.out
    # What another image stands on is no rubbish, unless its user wants all of it gone.
    pruned = await docker("builder", "prune", "-f")
    assert re.fullmatch(rb"Total reclaimed space:\s+0B\n", pruned.out)
    assert set(await listed("-a")) == set(everything)
    await docker("rmi", "app")
    assert set(await listed("-a")) == set(before)


async def test_interrupt(docker: Docker, daemon: Daemon, tmp_path: Path) -> None:
    folder = written(tmp_path / "context", {"Dockerfile": f"FROM {IMAGE}\nRUN hang\n"})
    async with docker.started("build", str(folder)) as client:
        assert client.stdout
        while await client.stdout.readline() != b"hanging\n":
            pass
        (building,) = (task for task in asyncio.all_tasks() if task.get_name() == "stage 0")
        client.send_signal(signal.SIGINT)
        code = await asyncio.wait_for(client.wait(), 20)
        assert code == 130 if docker.program.endswith("/linwin") else code != 0
        await asyncio.wait([building, *daemon.idle_connections()], timeout=20)
    assert await daemon.nothing_left()


async def test_buildkit_is_refused(connection: RawConnection) -> None:
    for query in ("version=2", "remote=client-session&version=2", "outputs=[{}]"):
        answer = await connection.request("POST", f"/v1.50/build?{query}")
        assert (answer.status, answer.json["message"]) == (
            501,
            "linwin has no BuildKit\nSet DOCKER_BUILDKIT=0: the classic builder is used then.",
        )


async def test_routes_around_builds(connection: RawConnection) -> None:
    answer = await connection.request("POST", "/v1.50/build/cancel?id=x")
    assert (answer.status, answer.body) == (200, b"")
    answer = await connection.request("POST", "/v1.50/build/prune")
    assert answer.json == {"CachesDeleted": [], "SpaceReclaimed": 0}


# ---- docker-py ----------------------------------------------------------------------


async def test_docker_py(python: Any, folder: Path) -> None:
    def work() -> None:
        image, lines = python.images.build(
            path=str(folder), tag="app:py", buildargs={"WHO": "py"}, labels={"l": "v"}, rm=True
        )
        assert image.tags == ["app:py"]
        assert image.labels == {"maker": "tests", "l": "v"}
        assert any("WHO=py\n" in line.get("stream", "") for line in lines)
        assert python.containers.run("app:py", "x", remove=True) == b"built x\n"

    await off_loop(work)


async def test_docker_py_with_a_file(python: Any) -> None:
    def work() -> None:
        text = io.BytesIO(f"FROM {IMAGE}\nENV A=b\n".encode())
        image, _ = python.images.build(fileobj=text, tag="one")
        assert "A=b" in image.attrs["Config"]["Env"]
        archive = io.BytesIO(packed({"sub/Own": f"FROM {IMAGE}\nCOPY x C:/\n", "x": "y"}))
        image, _ = python.images.build(fileobj=archive, custom_context=True, dockerfile="sub/Own")
        assert image.attrs["Parent"].startswith("sha256:")

    await off_loop(work)


async def test_docker_py_is_told_of_a_failure(python: Any) -> None:
    def work() -> None:
        with pytest.raises(errors.BuildError, match="returned a non-zero code: 3") as caught:
            python.images.build(fileobj=io.BytesIO(FAILING.encode()))
        assert {"stream": "Step 2/2 : RUN exit 3\n"} in [
            {"stream": line.get("stream")} for line in caught.value.build_log
        ]
        with pytest.raises(errors.APIError, match="unknown instruction: NONSENSE") as refused:
            python.images.build(fileobj=io.BytesIO(b"NONSENSE"))
        assert refused.value.status_code == 400

    await off_loop(work)


# ---- compose ------------------------------------------------------------------------


@pytest.mark.parametrize("generation", ["v1", "v2"])
async def test_compose(daemon: Daemon, folder: Path, tmp_path: Path, generation: str) -> None:
    compose = Compose(compose_program(generation), generation, tmp_path, daemon.host)
    service = {
        "build": {"context": str(folder), "args": {"WHO": "compose"}, "labels": {"l": "v"}},
        "image": "composed",
        "network_mode": "none",
    }
    compose.write(json.dumps({"version": "3.8", "services": {"web": service}}))
    out = await run(compose, "build")
    assert "Successfully" in out or "Built" in out
    image = await daemon.engine.image("composed")
    assert dict(image.config.labels)["l"] == "v"
    await run(compose, "up", "-d")
    (container,) = await daemon.engine.list()
    assert container.image_id == image.id
    await run(compose, "down")
