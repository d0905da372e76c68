"""commit, export and import as clients see them: docker's command lines, linwin's own, docker-py."""

from __future__ import annotations

import io
import json
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.debian_programs import debian_program, unpacked_program
from tests.scenario.docker_py import off_loop
from tests.scenario.harness import IMAGE, Daemon, Docker, told_of_wine
from tests.scenario.raw_http import RawConnection

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # docker-py's, as in its own tests

MADE = "by a command"


@pytest.fixture(params=["28", "20.10", "linwin"])
def docker(request: pytest.FixtureRequest, daemon: Daemon, short_folder: Path) -> Docker:
    """The client on PATH, the oldest that is met, which is Debian 12's, and our own."""
    told_of_wine(short_folder / ".local" / "state")
    if request.param == "linwin":
        return Docker(str(Path(sys.executable).with_name("linwin")), daemon.host, short_folder)
    find = debian_program if request.param == "28" else unpacked_program
    return Docker(find("docker.io", "docker"), daemon.host, short_folder)


@pytest.fixture
async def box(docker: Docker) -> str:
    """A container that has written a file, and ended."""
    done = await docker("run", "--name", "box", "-e", "A=b", IMAGE, "store", "C:/made.txt", MADE)
    assert done.code == 0, done.err
    return "box"


def content(archive: bytes, name: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        (found,) = (member for member in tar if member.name.lstrip("./") == name)
        file = tar.extractfile(found)
        assert file is not None
        return file.read()


async def config(docker: Docker, image: str) -> dict[str, Any]:
    shown = json.loads((await docker("image", "inspect", image)).out)[0]
    return {**shown["Config"], "Author": shown["Author"], "Comment": shown["Comment"]}


async def test_a_commit(docker: Docker, box: str) -> None:
    options = ["-a", "me", "-m", "words", "-c", 'CMD ["echo", "committed"]', "-c", "ENV C=d"]
    done = await docker("commit", *options, box, "team/made:1")
    assert (done.code, done.err) == (0, b"")
    identity = done.out.decode().strip()
    assert identity.startswith("sha256:")
    assert (await docker("images", "-q", "--no-trunc", "team/made:1")).out == done.out
    made = await config(docker, "team/made:1")
    assert {"A=b", "C=d"} <= set(made["Env"])
    assert (made["Cmd"], made["Author"], made["Comment"]) == (["echo", "committed"], "me", "words")
    assert (await docker("run", "--rm", "team/made:1")).out == b"committed\n"
    await docker("create", "--name", "other", identity)
    tar = await docker("cp", "other:C:/made.txt", "-")
    assert content(tar.out, "made.txt") == MADE.encode()


async def test_a_commit_without_a_name(docker: Docker, box: str) -> None:
    done = await docker("commit", box)
    assert done.code == 0
    assert (await docker("images", "-q", "--no-trunc", "--filter", "dangling=true")).out == done.out


async def test_a_running_container_is_committed_and_runs_on(docker: Docker, daemon: Daemon) -> None:
    await docker("run", "-d", "--name", "live", IMAGE, "hang")
    for pause in ("--pause=true", "--pause=false"):
        done = await docker("commit", pause, "live", "app")
        assert done.code == 0, done.err
    state = await docker("inspect", "--format", "{{.State.Status}}", "live")
    assert state.out == b"running\n"
    assert list(daemon.paths.scratch.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nobody"], b"No such container: nobody"),
        (["-c", "RUN x", "box"], b"is not a valid change command"),
    ],
)
async def test_commits_that_are_refused(docker: Docker, box: str, words: list[str], sentence: bytes) -> None:
    done = await docker("commit", *words)
    assert done.code == 1
    assert sentence in done.err


async def test_an_export(docker: Docker, box: str, tmp_path: Path) -> None:
    done = await docker("export", box)
    assert (done.code, done.err) == (0, b"")
    assert content(done.out, "made.txt") == MADE.encode()
    assert (await docker("export", "-o", f"{tmp_path}/box.tar", box)).code == 0
    assert content((tmp_path / "box.tar").read_bytes(), "made.txt") == MADE.encode()
    refused = await docker("export", "nobody")
    assert refused.code == 1
    assert b"No such container: nobody" in refused.err


async def test_an_import(docker: Docker, box: str, tmp_path: Path, daemon: Daemon) -> None:
    archive = tmp_path / "box.tar"
    with tarfile.open(archive, "w") as tar:
        member = tarfile.TarInfo("brought.txt")
        member.size = 2
        tar.addfile(member, io.BytesIO(b"in"))
    done = await docker("import", "-m", "words", "-c", "CMD echo imported", str(archive), "team/app:2")
    assert (done.code, done.err) == (0, b"")
    assert done.out.startswith(b"sha256:")
    piped = await docker("import", "-", "team/app:3", stdin=archive.read_bytes())
    assert piped.code == 0, piped.err
    made = await config(docker, "team/app:2")
    assert made["Comment"] == "words"
    await docker("create", "--name", "other", "team/app:3")
    tar_stream = await docker("cp", "other:C:/brought.txt", "-")
    assert content(tar_stream.out, "brought.txt") == b"in"
    assert list(daemon.paths.scratch.iterdir()) == []


async def test_what_is_no_archive_is_not_imported(docker: Docker, daemon: Daemon) -> None:
    done = await docker("import", "-", "app", stdin=b"no archive" * 100)
    assert done.code == 1
    assert done.err
    assert list(daemon.paths.scratch.iterdir()) == []


async def test_docker_py(python: Any) -> None:
    def work() -> None:
        box = python.containers.create(IMAGE, ["store", "C:/made.txt", MADE], name="box")
        box.start()
        box.wait()
        conf = {"Labels": {"l": "v"}, "ExposedPorts": {"80/tcp": {}}}
        image = box.commit("team/py", "1", message="words", author="me", conf=conf, changes=["ENV A=b"])
        assert image.tags == ["team/py:1"]
        attrs = image.attrs
        assert (attrs["Author"], attrs["Comment"]) == ("me", "words")
        assert attrs["Config"]["Labels"]["l"] == "v"
        assert "80/tcp" in attrs["Config"]["ExposedPorts"]
        assert "A=b" in attrs["Config"]["Env"]
        exported = b"".join(box.export())
        assert content(exported, "made.txt") == MADE.encode()
        python.api.import_image_from_data(exported, "team/again", "2")
        assert python.images.get("team/again:2").tags == ["team/again:2"]

    await off_loop(work)


async def test_bad_requests(connection: RawConnection, daemon: Daemon) -> None:
    for query, body, status, message in (
        ("", None, 400, "no container was named\nUse commit?container=NAME."),
        ("container=nobody", {"Cmd": 3}, 400, "invalid JSON: Cmd must be a list of texts"),
        ("container=nobody", None, 404, "No such container: nobody"),
    ):
        answer = await connection.request("POST", f"/v1.50/commit?{query}", body)
        assert answer.status == status
        assert answer.json["message"].startswith(message)
