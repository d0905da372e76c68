"""linwin's own client library against the daemon."""

from __future__ import annotations

import asyncio
import io
import os
import socket
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest

from linwin import errors
from linwin.client import Client, Unreachable
from tests.scenario.fakes.images import archive
from tests.scenario.fakes.programs import flood_bytes
from tests.scenario.harness import IMAGE, Daemon

T = TypeVar("T")


async def off_loop(work: Callable[[], T]) -> T:
    """Run blocking code in a thread while the daemon serves it from this one."""
    return await asyncio.wait_for(asyncio.to_thread(work), 30)


def create(client: Client, *command: str, **config: Any) -> str:
    created = client.post("/containers/create", body={"Image": IMAGE, "Cmd": list(command), **config})
    return str(created["Id"])


def run(client: Client, container: str, stdin: int | None = None) -> tuple[int, bytes, bytes]:
    """What ``linwin run`` does: attach, wait, start, copy, and the exit code."""
    received = {"stdout": b"", "stderr": b""}
    with (
        client.attach(container, stdin=stdin is not None) as attachment,
        client.wait(container, "next-exit") as waiting,
    ):
        client.post(f"/containers/{container}/start")
        if stdin is not None:
            attachment.feed(stdin)
        for stream, data in attachment:
            received[stream] += data
        code, error = waiting.result()
    assert not error
    return code, received["stdout"], received["stderr"]


@pytest.fixture
def pipe() -> Iterator[tuple[int, Any]]:
    """A descriptor to read, and a file to write into."""
    reader, writer = os.pipe()
    with open(writer, "wb") as file:
        yield reader, file
    os.close(reader)


async def test_run(daemon: Daemon) -> None:
    client = daemon.client
    container = await off_loop(lambda: create(client, "complain"))
    assert await off_loop(lambda: run(client, container)) == (3, b"to stdout\n", b"to stderr\n")


async def test_input_and_its_end(daemon: Daemon, pipe: tuple[int, Any]) -> None:
    client, (reader, writer) = daemon.client, pipe
    container = await off_loop(lambda: create(client, "sort", OpenStdin=True, StdinOnce=True))
    writer.write(b"b\na\n")
    writer.close()
    assert await off_loop(lambda: run(client, container, reader)) == (0, b"a\nb\n", b"")


async def test_large_input_and_output_are_byte_exact(daemon: Daemon, pipe: tuple[int, Any]) -> None:
    client, (reader, writer), data = daemon.client, pipe, flood_bytes(20_000_000)
    container = await off_loop(lambda: create(client, "cat", OpenStdin=True, StdinOnce=True))
    feeding = threading.Thread(target=lambda: (writer.write(data), writer.close()))
    feeding.start()
    code, out, err = await off_loop(lambda: run(client, container, reader))
    feeding.join()
    assert (code, out == data, err) == (0, True, b"")


async def test_program_that_ends_before_its_input(daemon: Daemon, pipe: tuple[int, Any]) -> None:
    client, (reader, _) = daemon.client, pipe
    container = await off_loop(lambda: create(client, "echo", "done", OpenStdin=True, StdinOnce=True))
    assert await off_loop(lambda: run(client, container, reader)) == (0, b"done\n", b"")


async def test_logs(daemon: Daemon) -> None:
    client = daemon.client
    container = await off_loop(lambda: create(client, "lines", "4"))
    await off_loop(lambda: client.post(f"/containers/{container}/start"))
    followed = await off_loop(lambda: list(client.logs(container, follow=True)))
    expected = [(("stdout", "stderr")[n % 2], f"line {n}\n".encode()) for n in range(4)]
    assert followed == expected
    assert await off_loop(lambda: list(client.logs(container, tail=1))) == expected[3:]
    assert await off_loop(lambda: list(client.logs(container, stderr=False))) == expected[::2]


async def test_load_reports_and_raises(daemon: Daemon) -> None:
    client = daemon.client
    lines = await off_loop(lambda: list(client.load(io.BytesIO(archive("team/app:1")))))
    assert lines[-1] == {"stream": "Loaded image: team/app:1\n"}
    detail = {"current": 2000, "total": 3000}
    assert {"status": "Loading layer", "id": "0123456789ab", "progressDetail": detail} in lines
    with pytest.raises(errors.InvalidRequest) as caught:
        await off_loop(lambda: list(client.load(io.BytesIO(archive("team/app:2", fail_after=2)))))
    assert caught.value.message == "the archive ends in the middle of layer 1"
    assert caught.value.hint == "Copy or download the archive again."
    assert not list(daemon.paths.scratch.iterdir())


async def test_quiet_load_tells_the_end_only(daemon: Daemon) -> None:
    upload = io.BytesIO(archive("team/app:1"))
    lines = daemon.client.lines("POST", "/images/load", body=upload, quiet=True)
    assert await off_loop(lambda: list(lines)) == [{"stream": "Loaded image: team/app:1\n"}]


async def test_upload_of_many_megabytes_is_spooled_whole(daemon: Daemon) -> None:
    upload = archive("team/big:1") + b" " * 30_000_000
    await off_loop(lambda: list(daemon.client.load(io.BytesIO(upload))))
    assert len(daemon.fakes.images.stored) == 2


async def test_upload_that_is_cut_off_leaves_nothing(daemon: Daemon) -> None:
    def cut() -> None:
        with socket.socket(socket.AF_UNIX) as raw:
            raw.connect(str(daemon.paths.socket))
            raw.sendall(
                b"POST /images/load HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1000
            )

    before = asyncio.all_tasks()
    await off_loop(cut)
    while tasks := asyncio.all_tasks() - before:
        await asyncio.wait(tasks, timeout=10)
    assert await daemon.nothing_left()


async def test_templates(daemon: Daemon) -> None:
    client = daemon.client
    (template,) = await off_loop(lambda: client.get("/linwin/templates"))
    assert (template["Name"], template["Kind"], template["MinimumMemory"]) == ("wine", "wine", 384)
    assert await off_loop(lambda: client.get("/linwin/templates/wine")) == template
    lines = await off_loop(lambda: list(client.lines("POST", "/linwin/templates/wine/build")))
    assert lines[-2:] == [{"status": "Built template wine"}, {"aux": {"ID": template["Digest"]}}]
    with pytest.raises(errors.Unavailable, match="the package mirror did not answer"):
        await off_loop(lambda: list(client.lines("POST", "/linwin/templates/broken/build")))
    with pytest.raises(errors.NotFound, match="No such template: none"):
        await off_loop(lambda: list(client.lines("POST", "/linwin/templates/none/build")))
    container = await off_loop(lambda: create(client, "echo"))
    with pytest.raises(errors.Conflict, match="template wine is in use by container"):
        await off_loop(lambda: client.delete("/linwin/templates/wine"))
    await off_loop(lambda: client.delete(f"/containers/{container}"))
    await off_loop(lambda: client.delete("/linwin/templates/wine"))
    assert await off_loop(lambda: client.get("/linwin/templates")) == []
    with pytest.raises(errors.NotFound, match="No such template: wine"):
        await off_loop(lambda: client.get("/linwin/templates/wine"))


async def test_a_build_ends_with_its_client(daemon: Daemon) -> None:
    lines = daemon.client.lines("POST", "/linwin/templates/slow/build")
    before = asyncio.all_tasks()
    assert (await off_loop(lambda: next(lines)))["status"] == "Fetching packages"
    assert daemon.fakes.templates.building == {"slow"}
    handlers = asyncio.all_tasks() - before
    await off_loop(lines.close)  # type: ignore[attr-defined]
    await asyncio.wait(handlers, timeout=10)
    assert not daemon.fakes.templates.building


@pytest.mark.parametrize(
    ("method", "path", "kind", "message", "hint"),
    [
        ("GET", "/containers/nobody/json", errors.NotFound, "No such container: nobody", None),
        ("GET", "/nowhere", errors.NotFound, "page not found", None),
        (
            "POST",
            "/containers/create?platform=linux",
            errors.InvalidRequest,
            "the platform linux is not supported",
            "linwin runs windows/amd64 images.",
        ),
    ],
)
async def test_errors_are_kinds(
    daemon: Daemon, method: str, path: str, kind: type[errors.LinwinError], message: str, hint: str | None
) -> None:
    with pytest.raises(kind) as caught:
        await off_loop(lambda: daemon.client.request(method, path))
    assert (caught.value.message, caught.value.hint) == (message, hint)


async def test_missing_program_is_its_own_kind(daemon: Daemon) -> None:
    client = daemon.client
    container = await off_loop(lambda: create(client, "nothing.exe"))
    with pytest.raises(
        errors.CommandNotFound, match=r"nothing\.exe: The system cannot find the file specified\."
    ):
        await off_loop(lambda: client.post(f"/containers/{container}/start"))
    container = await off_loop(lambda: create(client, "denied"))
    with pytest.raises(errors.CommandNotExecutable, match="permission denied"):
        await off_loop(lambda: client.post(f"/containers/{container}/start"))


async def test_start_without_effect_answers_nothing(daemon: Daemon) -> None:
    client = daemon.client
    container = await off_loop(lambda: create(client, "hang"))
    for _ in range(2):
        assert await off_loop(lambda: client.post(f"/containers/{container}/start")) is None


async def test_filters_travel_as_json(daemon: Daemon) -> None:
    client = daemon.client
    await off_loop(lambda: create(client, "echo", Labels={"a": "b c/ü"}))
    for text, count in (("a=b c/ü", 1), ("a=x", 0)):
        get = partial(client.get, "/containers/json", all=True, filters={"label": [text]})
        assert len(await off_loop(get)) == count


async def test_no_daemon_is_unreachable(tmp_path: Path) -> None:
    host = f"unix://{tmp_path}/nothing.sock"
    with pytest.raises(Unreachable) as caught:
        Client(host).ping()
    assert (
        caught.value.message
        == f"Cannot connect to the linwin daemon at {host}. Is the linwin daemon running?"
    )
    assert caught.value.hint == "No such file or directory; start it with: linwin daemon start"


async def test_ping(daemon: Daemon) -> None:
    await off_loop(daemon.client.ping)
