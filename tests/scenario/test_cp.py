"""docker cp and docker-py's archives: both directions, running and stopped, in docker's forms and words."""

from __future__ import annotations

import base64
import io
import json
import sys
import tarfile
from pathlib import Path
from typing import Any

import docker as sdk  # type: ignore[import-untyped]
import pytest
from docker import errors

from tests.debian_programs import debian_program, unpacked_program
from tests.scenario.harness import IMAGE, Daemon, Docker
from tests.scenario.raw_http import RawConnection
from tests.scenario.test_docker_py import off_loop

STATES = ["created", "running", "exited"]


@pytest.fixture(params=["28", "20.10", "linwin"])
def docker(request: pytest.FixtureRequest, daemon: Daemon, short_folder: Path) -> Docker:
    """The client on PATH, the oldest that is met, which is Debian 12's, and our own."""
    if request.param == "linwin":
        return Docker(str(Path(sys.executable).with_name("linwin")), daemon.host, short_folder)
    find = debian_program if request.param == "28" else unpacked_program
    return Docker(find("docker.io", "docker"), daemon.host, short_folder)


@pytest.fixture(params=STATES)
async def container(request: pytest.FixtureRequest, daemon: Daemon, docker: Docker) -> str:
    """A container in each state in which docker cp works."""
    program = ["hang"] if request.param == "running" else ["echo", "hi"]
    made = await docker("create", "--name", "box", IMAGE, *program)
    assert made.code == 0, made.err
    if request.param != "created":
        assert (await docker("start", "box")).code == 0
    if request.param == "exited":
        await daemon.settled()
    return "box"


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A file and a folder to copy."""
    (tmp_path / "f.txt").write_bytes(b"content")
    (tmp_path / "dir" / "sub").mkdir(parents=True)
    (tmp_path / "dir" / "sub" / "deep").write_bytes(b"deep")
    return tmp_path


async def cp(docker: Docker, *words: str, code: int = 0, **more: Any) -> str:
    done = await docker("cp", *words, **more)
    assert done.code == code, done.err
    return done.err.decode()


async def listing(docker: Docker, path: str) -> list[str]:
    done = await docker("cp", f"box:{path}", "-")
    assert done.code == 0, done.err
    with tarfile.open(fileobj=io.BytesIO(done.out)) as tar:
        return sorted(tar.getnames())


@pytest.mark.parametrize(
    ("source", "target", "lands"),
    [
        ("f.txt", "C:\\new.txt", "/new.txt"),
        ("f.txt", "/new.txt", "/new.txt"),
        ("f.txt", "/windows", "/windows/f.txt"),
        ("f.txt", "c:\\Windows", "/windows/f.txt"),
        ("f.txt", "C:\\windows\\g.txt", "/WINDOWS/G.TXT"),
        ("f.txt", "Windows/", "/windows/f.txt"),
        ("dir", "/windows", "/windows/dir/sub/deep"),
        ("dir", "/other", "/other/sub/deep"),
        ("dir/.", "/windows", "/windows/sub/deep"),
        ("dir/", "C:\\Windows", "/windows/dir/sub/deep"),
    ],
)
async def test_into_a_container(
    docker: Docker, container: str, here: Path, source: str, target: str, lands: str
) -> None:
    await cp(docker, f"{here}/{source}", f"box:{target}")
    assert len(await listing(docker, lands)) == 1


async def test_out_of_a_container(docker: Docker, container: str, here: Path) -> None:
    await cp(docker, "-a", f"{here}/dir", "box:/dir")
    await cp(docker, f"{here}/f.txt", "box:/dir/f.txt")
    (out := here / "out").mkdir()
    await cp(docker, "box:/DIR/f.txt", str(out))
    await cp(docker, "box:/dir/f.txt", f"{out}/renamed")
    await cp(docker, "box:C:/dir", f"{out}/new")
    await cp(docker, "box:/dir", str(out))
    (merged := out / "merged").mkdir()
    await cp(docker, "box:/dir/.", str(merged))
    found = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
    assert found == [
        "dir/f.txt",
        "dir/sub/deep",
        "f.txt",
        "merged/f.txt",
        "merged/sub/deep",
        "new/f.txt",
        "new/sub/deep",
        "renamed",
    ]
    assert (out / "renamed").read_bytes() == b"content"


async def test_a_tar_stream_both_ways(docker: Docker, container: str, here: Path) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.add(here / "dir", "dir")
    await cp(docker, "-", "box:/windows", stdin=packed.getvalue())
    assert await listing(docker, "/windows/dir") == ["dir", "dir/sub", "dir/sub/deep"]
    assert await listing(docker, "/windows/dir/.") == [".", "./sub", "./sub/deep"]


async def test_links(docker: Docker, container: str, here: Path) -> None:
    (here / "link").symlink_to("f.txt")
    await cp(docker, f"{here}/f.txt", "box:/f.txt")
    await cp(docker, f"{here}/link", "box:/link")
    (out := here / "out").mkdir()
    await cp(docker, "box:/link", str(out))
    assert (out / "link").is_symlink()
    await cp(docker, "-L", "box:/link", f"{out}/followed")
    assert (out / "followed").read_bytes() == b"content"
    await cp(docker, "-L", f"{here}/link", "box:/windows/real")
    assert await listing(docker, "/windows/real") == ["real"]


async def test_the_root_that_clients_for_linux_call_a_drive(
    docker: Docker, container: str, here: Path
) -> None:
    await cp(docker, f"{here}/f.txt", "box:C:/new.txt")
    assert await listing(docker, "/new.txt") == ["new.txt"]


async def test_what_is_refused(docker: Docker, container: str, here: Path) -> None:
    old = docker.program == unpacked_program("docker.io", "docker")
    missing = "No such container:path: box:{}" if old else "Could not find the file {} in container box"
    assert missing.format("/nowhere") in await cp(docker, "box:/nowhere", str(here), code=1)
    into_nowhere = await cp(docker, f"{here}/f.txt", "box:/no/where/f.txt", code=1)
    assert missing.format("/no/where") in into_nowhere
    other = "The specified path is not on the system drive (C:)"
    assert other in await cp(docker, "box:D:\\x", str(here), code=1)
    assert 'No relative path specified in "C:"' in await cp(docker, "box:C:", str(here), code=1)
    await cp(docker, f"{here}/f.txt", "box:/f.txt")
    assert "cannot copy directory" in await cp(docker, f"{here}/dir", "box:/f.txt", code=1)
    assert "must be a directory" in await cp(docker, "-", "box:/f.txt", code=1, stdin=b"")
    nobody = "No such container:path: nobody:/" if old else "No such container: nobody"
    assert nobody in await cp(docker, f"{here}/f.txt", "nobody:/f.txt", code=1)


async def test_what_was_copied_in_before_the_first_start_is_there_after_it(
    docker: Docker, daemon: Daemon, here: Path
) -> None:
    await docker("create", "--name", "box", IMAGE, "no-such-program")
    await cp(docker, f"{here}/f.txt", "box:/kept.txt")
    assert (await docker("start", "box")).code == 1
    assert await listing(docker, "/kept.txt") == ["kept.txt"]


async def test_a_paused_container_answers_nothing(docker: Docker, here: Path) -> None:
    await docker("run", "-d", "--name", "box", IMAGE, "hang")
    await docker("pause", "box")
    sentence = " is paused, unpause the container before cp"
    assert sentence in await cp(docker, f"{here}/f.txt", "box:/f.txt", code=1)
    assert sentence in await cp(docker, "box:/windows", str(here), code=1)


async def test_an_upload_that_breaks_off_changes_nothing(
    docker: Docker, daemon: Daemon, connection: RawConnection
) -> None:
    await docker("create", "--name", "box", IMAGE, "hang")
    await cp(docker, "box:/windows", "-")
    head = (
        "PUT /v1.50/containers/box/archive?path=/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    connection.writer.write(head.encode() + b"200\r\n" + bytes(100))
    await connection.writer.drain()
    await connection.close()
    assert (await docker("start", "box")).code == 0
    assert await listing(docker, "/windows") == ["windows"]
    assert await listing(docker, "/") == ["", "/Windows"]


async def test_docker_py(daemon: Daemon, docker: Docker, container: str) -> None:
    client = await off_loop(lambda: sdk.DockerClient(base_url=daemon.host, timeout=20))
    box = await off_loop(lambda: client.containers.get("box"))
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        info = tarfile.TarInfo("a.bin")
        info.size = 5000
        tar.addfile(info, io.BytesIO(bytes(5000)))
    assert await off_loop(lambda: box.put_archive("C:\\Windows", packed.getvalue()))
    pieces, stat = await off_loop(lambda: box.get_archive("c:/windows/A.bin"))
    data = await off_loop(lambda: b"".join(pieces))
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        assert [member.size for member in tar.getmembers()] == [5000]
    assert stat == {
        "name": "A.bin",
        "size": 5000,
        "mode": 0o666,
        "mtime": "1970-01-01T00:00:00.000000000Z",
        "linkTarget": "",
    }
    with pytest.raises(errors.NotFound, match="Could not find the file /x in container"):
        await off_loop(lambda: box.get_archive("/x"))
    with pytest.raises(errors.APIError, match="400 Client Error"):
        await off_loop(lambda: box.put_archive("/", b"no archive" * 100))
    await off_loop(client.close)


async def test_the_stat_header(daemon: Daemon, docker: Docker, connection: RawConnection) -> None:
    await docker("create", "--name", "box", IMAGE, "hang")
    response = await connection.request("HEAD", "/containers/box/archive?path=C%3A%5CWindows")
    stat = json.loads(base64.b64decode(response.headers["x-docker-container-path-stat"]))
    assert (stat["name"], stat["mode"]) == ("Windows", 0o777 | 1 << 31)
