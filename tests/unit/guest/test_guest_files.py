"""Copying files through the real agent, and through one that lies."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import tarfile
from contextlib import aclosing
from pathlib import Path

import pytest

from linwin.errors import Internal, InvalidRequest, NotFound, Unavailable, Unsupported
from linwin.guest import AgentGuest, AgentGuests, frames
from linwin.guest.frames import FrameType
from linwin.guest.messages import Malformed
from linwin.guest.tar_guard import TarGuard
from linwin.model.files import parse_path
from tests.unit.guest.conftest import FakeMachine, ScriptedAgent, ScriptedMachine


@pytest.fixture
def c(tmp_path: Path) -> Path:
    """The folder that the agent takes for C:."""
    return tmp_path / "c"


def pack(*members: tuple[str, bytes | str | None], **pax: str) -> bytes:
    """A tar: bytes make a file, None a folder, a text a symbolic link."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.mtime = 1_600_000_000
            info.pax_headers = dict(pax)
            if content is None:
                info.type = tarfile.DIRTYPE
            elif isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
            else:
                info.size = len(content)
            tar.addfile(info, io.BytesIO(content) if isinstance(content, bytes) else None)
    return target.getvalue()


async def put(guest: AgentGuest, data: bytes, path: str, tmp_path: Path, *, keep_kinds: bool = True) -> None:
    archive = tmp_path / "plain.tar"
    archive.write_bytes(data)
    await guest.files.write(parse_path(path), archive, keep_kinds=keep_kinds)


async def get(guest: AgentGuest, path: str) -> bytes:
    async with aclosing(guest.files.read(parse_path(path))) as pieces:
        return b"".join([piece async for piece in pieces])


def listed(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.name != "plain.tar")


def below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def names(data: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return tar.getnames()


async def test_names_are_found_in_any_case(guest: AgentGuest, c: Path) -> None:
    (c / "Users" / "Me").mkdir(parents=True)
    (c / "Users" / "Me" / "Note.TXT").write_bytes(b"12345")
    found = await guest.files.stat(parse_path("C:\\USERS/me\\note.txt"))
    assert (found.size, found.is_directory, found.is_read_only) == (5, False, False)
    assert names(await get(guest, "/users")) == ["users", "users/Me", "users/Me/Note.TXT"]
    assert names(await get(guest, "/users/.")) == [".", "./Me", "./Me/Note.TXT"]
    assert names(await get(guest, "/"))[1] == "/Users"
    for path in ("/nothing", "/users/me/note.txt/", "/users/me/note.txt/x"):
        with pytest.raises(NotFound):
            await guest.files.stat(parse_path(path))


async def test_a_large_file_round_trip(guest: AgentGuest, c: Path, tmp_path: Path) -> None:
    data = os.urandom(20 << 20)
    await put(guest, pack(("big.bin", data), ("f", b"")), "/", tmp_path)
    assert hashlib.sha256((c / "big.bin").read_bytes()).digest() == hashlib.sha256(data).digest()
    with tarfile.open(fileobj=io.BytesIO(await get(guest, "/BIG.BIN"))) as tar:
        found = tar.extractfile("BIG.BIN")
        assert found is not None
        assert found.read() == data
        assert tar.getmember("BIG.BIN").mtime == 1_600_000_000


async def test_what_is_there_is_replaced_or_merged(guest: AgentGuest, c: Path, tmp_path: Path) -> None:
    (c / "Dir").mkdir()
    (c / "Dir" / "Old").write_bytes(b"old")
    await put(guest, pack(("dir", None), ("dir/OLD", b"new"), ("dir/more/deep", b"x")), "/", tmp_path)
    assert below(c) == [
        "Dir", "Dir/Old", "Dir/more", "Dir/more/deep"
    ]  # fmt: skip
    assert (c / "Dir" / "Old").read_bytes() == b"new"
    assert (c / "Dir").stat().st_mtime == 1_600_000_000


@pytest.mark.parametrize(
    ("archive", "sentence"),
    [
        (pack(("dir", b"x")), 'cannot overwrite directory "C:\\\\Dir" with non-directory'),
        (pack(("file", None)), 'cannot overwrite non-directory "C:\\\\File" with directory'),
        (pack(("file/x", b"x")), '"file" on its path is not a folder'),
        (pack(("out/x", b"x")), '"out" on its path is not a folder'),
        (pack(("../x", b"x")), '"../x" is no path'),
        (pack(("a\\b", b"x")), "is no path"),
        (pack(("l", "../x")), "its link leads out of C:"),
        (pack(("l", "D:/x")), "its link leads to another drive"),
        (pack(("x", bytes(5000)))[:1000], "the archive is damaged"),
    ],
)
async def test_what_the_agent_refuses(
    guest: AgentGuest, c: Path, tmp_path: Path, archive: bytes, sentence: str
) -> None:
    (c / "Dir").mkdir()
    (c / "File").write_bytes(b"")
    (c / "out").symlink_to(tmp_path)
    before = listed(tmp_path)
    with pytest.raises(InvalidRequest) as caught:
        await put(guest, archive, "/", tmp_path)
    assert sentence in caught.value.message
    assert listed(c) == [c / "Dir", c / "File", c / "out"]
    assert listed(tmp_path) == before
    with pytest.raises(InvalidRequest, match="extraction point is not a directory"):
        await put(guest, pack(("x", b"")), "/file", tmp_path)


async def test_links_lead_nowhere_else(guest: AgentGuest, c: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    (c / "in").mkdir()
    (c / "in" / "f").write_bytes(b"1")
    for name, target in {"up": "../../secret", "abs": "/secret", "win": "C:\\in", "d": "D:\\x"}.items():
        (c / name).symlink_to(target)
    (c / "round").symlink_to("round")
    assert (await guest.files.stat(parse_path("/win/f"))).size == 1
    assert (await guest.files.stat(parse_path("/win"))).link == "/in"
    for path in ("/up/", "/abs/x", "/round/x", "/d/x"):
        with pytest.raises(NotFound):
            await guest.files.stat(parse_path(path))
    await put(guest, pack(("sub/l", "/in/f")), "/", tmp_path)
    assert os.readlink(c / "sub" / "l") == "../in/f"
    await put(guest, pack(("g", b"22")), "/win", tmp_path)
    assert (c / "in" / "g").read_bytes() == b"22"


async def test_an_archive_that_is_given_up(guest: AgentGuest, c: Path) -> None:
    (c / "big").write_bytes(bytes(30 << 20))
    for _ in range(20):
        async with aclosing(guest.files.read(parse_path("/big"))) as pieces:
            async for _piece in pieces:
                break
    assert (await guest.files.stat(parse_path("/big"))).size == 30 << 20


async def test_a_session_that_ends_leaves_no_half_file(machine: FakeMachine, c: Path, tmp_path: Path) -> None:
    guest = await AgentGuests().connect(machine, timeout=10)
    archive = tmp_path / "plain.tar"
    os.mkfifo(archive)
    writing = asyncio.create_task(guest.files.write(parse_path("/"), archive, keep_kinds=True))
    feed = await asyncio.to_thread(os.open, archive, os.O_WRONLY)
    await asyncio.to_thread(os.write, feed, pack(("half", bytes(10 << 20)))[: 2 << 20])
    while not (c / "half").exists():
        await guest.files.stat(parse_path("/"))
    await guest.close()
    os.close(feed)
    with pytest.raises(Unavailable):
        await writing
    again = await AgentGuests().connect(machine, timeout=10)
    while (c / "half").exists():
        await again.files.stat(parse_path("/"))
    await again.close()


# ---- an agent that lies -------------------------------------------------------


@pytest.mark.parametrize(
    ("archive", "sentence"),
    [
        (pack(("other", b"x")), "begins with another name"),
        (pack(("f", b"x"), ("g", b"x")), "a name that lies elsewhere"),
        (pack(("f", None), ("f/../../x", b"x")), "a name that lies elsewhere"),
        (pack(("f", None), ("/etc/passwd", b"x")), "a name that lies elsewhere"),
        (pack(("f", "/etc"), ("f/passwd", b"x")), "a name that lies elsewhere"),
        (pack(("f", None), ("f/l", "/etc"), ("f/l/passwd", b"x")), "a name that lies elsewhere"),
        (pack(("f", b"x"))[:600], "ends too early"),
        (bytes(100) + b"x" * 924, "a number that is none"),
        (pack(("f", b""))[1:] + b"x", "a number that is none|a damaged header"),
        (pack(("f", b""), size="99999999999999999999999"), "a number that is none"),
        (pack(("f", b"")) + b"more" * 512, "goes on behind its end"),
        (pack(("f", b""), **{"GNU.sparse.name": "../x"}), "gives a member another name"),
        (pack(("f", b""), path=""), "gives a member another name"),
    ],
)
def test_archives_that_no_agent_sends(archive: bytes, sentence: str) -> None:
    for step in (1, 511, len(archive) or 1):
        guard = TarGuard("f")
        with pytest.raises(Malformed, match=sentence):
            feed_all(guard, archive, step)


def feed_all(guard: TarGuard, archive: bytes, step: int) -> None:
    for at in range(0, len(archive), step):
        guard.feed(archive[at : at + step])
    guard.end()


async def greeted(scripted: ScriptedMachine) -> tuple[AgentGuest, ScriptedAgent]:
    """A session with a scripted agent that says it can copy files."""
    connecting = asyncio.create_task(AgentGuests().connect(scripted, timeout=10))
    agent = await scripted.agent()
    frame = await agent.receive()
    session = json.loads(frame.payload)["session"]
    hello = {"session": session, "version": 1, "capabilities": ["get", "put", "stat", "drop"]}
    agent.send(frames.RESYNC, frames.encode(FrameType.HELLO, 0, json.dumps(hello).encode()))
    await agent.answer_ping()
    return await connecting, agent


async def test_an_agent_that_sends_something_else(scripted: ScriptedMachine) -> None:
    guest, agent = await greeted(scripted)
    reading = asyncio.create_task(get(guest, "/f"))
    number, body = await agent.request()
    stream = body["stream"]
    assert isinstance(stream, int)
    agent.send(frames.encode_data(stream, 0, pack(("../x", b"1"))))
    with pytest.raises(Internal, match="the guest's agent sent no archive: the archive begins with another"):
        await reading
    dropped, body = await agent.request()
    assert body == {"op": "drop", "stream": stream}
    agent.send(frames.encode_data(stream, 10240, b"late"))
    agent.respond(dropped, {"ok": {}})
    stat = asyncio.create_task(guest.files.stat(parse_path("/")))
    number, _ = await agent.request()
    agent.respond(number, {"ok": {"size": -1, "directory": True, "read_only": False, "modified": 0}})
    with pytest.raises(Unavailable, match="size is no number"):
        await stat
    await guest.close()


async def test_an_archive_that_failed_is_not_given_up_again(scripted: ScriptedMachine) -> None:
    guest, agent = await greeted(scripted)
    reading = asyncio.create_task(get(guest, "/f"))
    number, _ = await agent.request()
    agent.respond(number, {"error": {"kind": "not-found", "message": "no such file"}})
    with pytest.raises(NotFound, match="no such file"):
        await reading
    stat = asyncio.create_task(guest.files.stat(parse_path("/")))
    number, body = await agent.request()
    assert body["op"] == "stat"
    agent.respond(number, {"ok": {"size": 0, "directory": True, "read_only": False, "modified": 0}})
    await stat
    await guest.close()


async def test_reading_can_be_stopped_after_the_session_ended(scripted: ScriptedMachine) -> None:
    guest, agent = await greeted(scripted)
    pieces = guest.files.read(parse_path("/f"))
    first = asyncio.ensure_future(anext(pieces))
    _, body = await agent.request()
    stream = body["stream"]
    assert isinstance(stream, int)
    agent.send(frames.encode_data(stream, 0, pack(("f", b"1"))))
    await first
    await guest.close()
    await pieces.aclose()


async def test_windows_says_what_to_do_instead(scripted: ScriptedMachine) -> None:
    guest, _ = await scripted.connect(kind="windows")
    with pytest.raises(Unsupported, match="cannot be copied while it runs") as refused:
        await guest.files.stat(parse_path("/"))
    assert "Stop the container first" in (refused.value.hint or "")
    await guest.close()


async def test_an_old_agent_says_so(scripted: ScriptedMachine) -> None:
    guest, _ = await scripted.connect()
    with pytest.raises(Unavailable, match="the guest's agent cannot copy files"):
        await guest.files.stat(parse_path("/"))
    await guest.close()
