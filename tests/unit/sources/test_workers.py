"""The processes that read contexts: what they answer, and that nothing is left of them."""

from __future__ import annotations

import asyncio
import gzip
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from linwin.engine.source_interface import Source, Sources
from linwin.errors import Internal, InvalidRequest, NotFound, Unavailable
from linwin.model.build import FromArchive, FromContext, FromFile, FromText, Instruction, NewFolder, Selected
from linwin.paths import Paths
from linwin.sources import BuildSources, messages, supervise
from linwin.sources.worker import Serving, answer
from tests.conftest import children
from tests.unit.layers import raw_tar
from tests.unit.sources.tars import tar_of, unpacked

FILES = {"Dockerfile": "FROM a AS b\nRUN dir\nONBUILD COPY <<x c:/\nhi\nx\n", "src/a": "1", "src/b": "2"}


@pytest.fixture
def body(tmp_path: Path) -> Path:
    file = tmp_path / "body"
    file.write_bytes(tar_of(FILES))
    return file


def workers() -> list[int]:
    return [pid for pid, line in children().items() if "linwin.sources.worker" in line]


def write(file: Path, data: bytes) -> None:
    file.write_bytes(data)


def nothing_is_left(paths: Paths) -> bool:
    return not workers() and list(paths.scratch.iterdir()) == []


def the_room_is_what_the_engine_wants(sources: BuildSources) -> Sources:
    """For mypy."""
    return sources


async def test_a_build_reads_selects_and_packs(
    sources: BuildSources, paths: Paths, body: Path, tmp_path: Path
) -> None:
    async with sources.open(body) as opened:
        source: Source = opened
        dockerfile = await source.dockerfile("Dockerfile")
        assert [stage.name for stage in dockerfile.stages] == ["b"]
        run, onbuild = dockerfile.stages[0].instructions
        assert run == Instruction("RUN", ("dir",), "RUN dir", 2)
        assert onbuild.trigger is not None
        assert onbuild.trigger.heredocs[0].content == "hi\n"
        (folder,) = await source.select("src")
        assert folder == Selected("src", True, folder.digest)
        assert [found.path for found in await source.select("src/*")] == ["src/a", "src/b"]
        await source.pack([NewFolder("x"), FromContext("src", "x"), FromText("t", "y")], tmp_path / "pack")
        assert list(unpacked(tmp_path / "pack")) == ["x", "x/a", "x/b", "y"]
    assert nothing_is_left(paths)


async def test_what_is_wrong_is_said_as_what_it_is(
    sources: BuildSources, paths: Paths, body: Path, tmp_path: Path
) -> None:
    async with sources.open(body) as source:
        with pytest.raises(NotFound, match="Cannot locate specified Dockerfile: x"):
            await source.dockerfile("x")
        with pytest.raises(InvalidRequest, match="forbidden path outside the build context"):
            await source.select("../x")
        with pytest.raises(NotFound):
            await source.pack([FromContext("missing", "x")], tmp_path / "pack")
        assert not (tmp_path / "pack").exists()
        assert await source.select("src/a")  # it goes on after each
    write(body, b"\xff")
    with pytest.raises(InvalidRequest, match="neither a tar archive nor a Dockerfile"):
        async with sources.open(body):
            pass
    assert nothing_is_left(paths)


async def test_what_was_unpacked_is_gone_afterwards(sources: BuildSources, paths: Paths, body: Path) -> None:
    write(body, gzip.compress(tar_of(FILES)))
    async with sources.open(body):
        assert [file.name for file in paths.scratch.glob("*/*")] == ["spool"]
    assert nothing_is_left(paths)


async def test_a_worker_answers_soon(sources: BuildSources, body: Path) -> None:
    """Its processor time, which does not depend on who else is busy on this host."""
    before = os.times()
    async with sources.open(body) as source:
        await source.dockerfile("Dockerfile")
        await source.select(".")
    after = os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    assert spent < 0.4


def test_a_worker_loads_nothing_that_it_does_not_need() -> None:
    script = "import sys, linwin.sources.worker; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert {"aiohttp", "asyncio", "dockerfile"} & set(loaded.split()) == set()


async def test_two_tasks_take_turns(sources: BuildSources, body: Path) -> None:
    async with sources.open(body) as source:
        found = await asyncio.gather(*(source.select(f"src/{name}") for name in "abab"))
    assert [selected[0].path for selected in found] == ["src/a", "src/b", "src/a", "src/b"]


async def test_a_worker_that_dies_fails_its_own_build(
    sources: BuildSources, paths: Paths, body: Path
) -> None:
    async with sources.open(body) as other:
        async with sources.open(body) as source:
            os.kill(source._worker._process.pid, signal.SIGKILL)
            with pytest.raises(Internal) as failure:
                await source.select(".")
        assert failure.value.message == "the process that reads the build's context was ended by SIGKILL"
        assert failure.value.hint == "Nothing was changed; try again, and report it if it happens again."
        assert await other.select(".")
    assert nothing_is_left(paths)


async def test_a_worker_dies_with_its_daemon(tmp_path: Path, body: Path) -> None:
    """Killed, a daemon cannot close anything. The worker is busy then, and not looking at its stdin."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    daemon = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "import asyncio, sys\nfrom linwin.sources.supervise import working\n"
        "async def main():\n async with working() as worker:\n"
        "  print(worker._process.pid, flush=True)\n"
        "  await worker.ask('open', body=sys.argv[1], spool=sys.argv[1])\n"
        "asyncio.run(main())",
        str(fifo),
        stdout=asyncio.subprocess.PIPE,
    )
    assert daemon.stdout is not None
    pid = int(await daemon.stdout.readline())
    # It opens the fifo, and waits there for as long as somebody may write to it.
    writer = await asyncio.to_thread(os.open, fifo, os.O_WRONLY)
    daemon.kill()
    await daemon.wait()
    ended = asyncio.Event()
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        pass
    else:
        asyncio.get_running_loop().add_reader(pidfd, ended.set)
        await asyncio.wait_for(ended.wait(), 10)
        asyncio.get_running_loop().remove_reader(pidfd)
        os.close(pidfd)
    os.close(writer)
    assert pid not in children()


async def test_cancelling_leaves_nothing(sources: BuildSources, paths: Paths, tmp_path: Path) -> None:
    """At twenty seeded moments of a build."""
    data = random.Random(0).randbytes(1 << 20)
    body = tmp_path / "body"
    body.write_bytes(gzip.compress(tar_of({f"f{number}": data for number in range(12)}), 1))
    chance = random.Random(1)

    async def build() -> None:
        async with sources.open(body) as source:
            await source.select(".")
            await source.pack([FromContext("", "x")], tmp_path / "pack")
            whole.append("pack")

    for _ in range(20):
        whole: list[str] = []
        task = asyncio.create_task(build())
        await asyncio.wait([task], timeout=chance.random() * 0.6)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert nothing_is_left(paths)
        assert (tmp_path / "pack").exists() == bool(whole)
        (tmp_path / "pack").unlink(missing_ok=True)


async def test_a_request_that_was_given_up_is_not_mistaken_for_another(
    sources: BuildSources, body: Path
) -> None:
    async with sources.open(body) as source:
        asking = asyncio.create_task(source.select("src/a"))
        await asyncio.sleep(0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        with pytest.raises(Internal) as failure:
            await source.select("src/b")
    assert failure.value.message == ("the build's context is no longer read: a request about it was given up")


async def test_a_context_of_nothing_but_folders_is_bounded(
    sources: BuildSources, paths: Paths, tmp_path: Path
) -> None:
    """Each entry, of three blocks, makes nine hundred of them."""
    deep = "/".join("d" * 900)
    body = tmp_path / "body"
    body.write_bytes(b"".join(raw_tar.member(f"{number}/{deep}") for number in range(2000)))
    with pytest.raises(InvalidRequest) as refusal:
        async with sources.open(body):
            pass
    assert refusal.value.message.endswith(": there are more than 1000000 files and folders")
    assert nothing_is_left(paths)


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    def need_too_much(path: str) -> None:
        raise MemoryError

    serving = Serving()
    monkeypatch.setattr(serving, "dockerfile", need_too_much)
    with pytest.raises(Unavailable) as failure:
        messages.answer_in(answer(serving, messages.of_request("dockerfile", path="x")))
    assert failure.value.message == "reading the build context needs more memory than it may use"
    assert failure.value.hint == "Leave files out of it with .dockerignore."


async def test_a_root_that_cannot_be_written_is_said(tmp_path: Path, body: Path) -> None:
    (tmp_path / "root").write_text("a file")
    with pytest.raises(Unavailable) as failure:
        async with BuildSources(Paths(tmp_path / "root", tmp_path / "socket")).open(body):
            pass
    assert failure.value.message == "failed while a build began: Not a directory"


async def test_changes_are_read(sources: BuildSources) -> None:
    assert await sources.changes(["ENV a=b", "USER c"]) == (
        Instruction("ENV", ("a", "b"), "ENV a=b", 1),
        Instruction("USER", ("c",), "USER c", 1),
    )
    with pytest.raises(InvalidRequest, match="RUN is not a valid change command"):
        await sources.changes(["RUN dir"])
    assert workers() == []


async def test_no_changes_need_no_worker(sources: BuildSources, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervise, "working", None)
    assert await sources.changes([]) == ()


def test_items_and_errors_come_through_as_they_are() -> None:
    items = [
        FromContext("a", "b", unpack=True),
        FromArchive(Path("/x"), "y"),
        FromFile(Path("/z\udce9"), "é"),
        FromText("\0", "t"),
        NewFolder("n"),
    ]
    _, arguments = messages.request_in(messages.of_request("pack", items=messages.of_items(items)))
    assert messages.items_in(arguments["items"]) == items
    with pytest.raises(NotFound) as failure:
        messages.answer_in(messages.of_error(NotFound("message", hint="hint")))
    assert (failure.value.message, failure.value.hint) == ("message", "hint")


def test_an_answer_has_a_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "LARGEST", 1 << 20)
    with pytest.raises(Unavailable) as failure:
        messages.answer_in(messages.of_answer("x" * (1 << 20)))
    assert (failure.value.message, failure.value.hint) == (
        "the answer has more than 1 MiB",
        "Build from less.",
    )
