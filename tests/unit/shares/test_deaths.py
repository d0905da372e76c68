"""The file server's death, the daemon's, and who goes on."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from linwin.errors import Unavailable
from linwin.host.pidfd import ProcessIdentity
from linwin.paths import Paths
from linwin.shares import SambaShares, samba
from tests.unit.shares.client import Client
from tests.unit.shares.observed import (
    BOX,
    LOGON_FAILURE,
    SHOP,
    kill,
    left,
    next_daemon,
    pid,
    server_sees,
    share,
    started_again,
)

pytestmark = pytest.mark.root

# Its death


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that ends early is started again without a pause."""
    monkeypatch.setattr(samba, "_BRIEFLY", 0)


@pytest.mark.usefixtures("at_once")
async def test_a_server_that_was_killed_serves_again(
    room: SambaShares,
    client: Client,
    folders: Sequence[Path],
    paths: Paths,
    caplog: pytest.LogCaptureFixture,
) -> None:
    first, second, third = folders
    mine = await room.offer([share(first), share(second / "second", number=1)])
    (other,) = await room.offer([share(third, SHOP)])
    (third / "third").unlink()
    third.rmdir()
    for _ in range(2):  # it is watched the second time as it was the first
        killed = pid(paths)
        await kill(killed)
        assert "first" in (await client.until_served(mine[0])).text
        await started_again(room)
        assert pid(paths) != killed
    assert "file" in (await client.until_served(mine[1])).text
    assert server_sees(paths) == [f"{paths.shares}/rw/{BOX}-0", f"{paths.shares}/rw/{BOX}-1/file"]
    assert caplog.messages.count("the file server ended; it is started again") == 2
    lost = f"container {SHOP}: a mount is lost: the path {third} does not exist"
    assert caplog.messages.count(lost) == 2
    assert "NT_STATUS" in (await client(other, "mkdir made")).text  # in what is ours, were it let
    await room.withdraw(SHOP)  # though it is not mounted
    await room.withdraw(BOX)
    assert (left(paths), server_sees(paths)) == ([], [])


@pytest.mark.parametrize("when", ["before", "while it mounts"])
async def test_an_offer_notices_a_death_that_nobody_has_seen_yet(
    room: SambaShares,
    client: Client,
    folders: Sequence[Path],
    paths: Paths,
    monkeypatch: pytest.MonkeyPatch,
    when: str,
) -> None:
    (mine,) = await room.offer([share(folders[0])])
    killed, mount = pid(paths), room._server.mount

    async def mount_too_late(pairs: Sequence[tuple[Path, Path]]) -> None:
        monkeypatch.undo()
        await kill(killed)
        await mount(pairs)

    if when == "before":
        await kill(killed)
    else:
        monkeypatch.setattr(room._server, "mount", mount_too_late)
    (other,) = await room.offer([share(folders[1], SHOP)])
    assert pid(paths) != killed
    assert "first" in (await client(mine, "ls")).text
    assert "second" in (await client(other, "ls")).text
    assert server_sees(paths) == [f"{paths.shares}/rw/{BOX}-0", f"{paths.shares}/rw/{SHOP}-0"]


@pytest.mark.usefixtures("at_once")
async def test_a_server_without_shares_is_not_started_again(
    room: SambaShares, folders: Sequence[Path], paths: Paths, caplog: pytest.LogCaptureFixture
) -> None:
    await room.offer([share(folders[0])])
    await room.withdraw(BOX)
    await kill(pid(paths))
    watch = room._watch
    assert watch is not None
    async with asyncio.timeout(10):
        await watch
    assert caplog.messages == []
    await room.offer([share(folders[0])])
    assert server_sees(paths) == [f"{paths.shares}/rw/{BOX}-0"]


@pytest.mark.usefixtures("at_once")
async def test_a_server_that_does_not_start_again_is_tried_again(
    room: SambaShares,
    client: Client,
    folders: Sequence[Path],
    paths: Paths,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (mine,) = await room.offer([share(folders[0])])
    real, fails = room._server.start, asyncio.Event()

    async def start(pairs: Sequence[tuple[Path, Path]]) -> None:
        if not fails.is_set():
            fails.set()
            raise Unavailable("no memory")
        await real(pairs)

    monkeypatch.setattr(room._server, "start", start)
    await kill(pid(paths))
    assert "first" in (await client.until_served(mine)).text
    assert "the file server does not start: no memory" in caplog.messages


# The daemon's death


async def test_the_next_daemon_goes_on_with_the_server(
    room: SambaShares, client: Client, folders: Sequence[Path], paths: Paths
) -> None:
    (mine,) = await room.offer([share(folders[0])])
    (other,) = await room.offer([share(folders[1], SHOP)])
    before = pid(paths)
    async with next_daemon(paths, room) as second:
        await second.recover({BOX})
        assert pid(paths) == before
        assert "first" in (await client(mine, "ls")).text
        assert LOGON_FAILURE in (await client(other, "ls")).text
        assert server_sees(paths) == [f"{paths.shares}/rw/{BOX}-0"]
        (third,) = await second.offer([share(folders[2], SHOP)])
        assert "third" in (await client(third, "ls")).text
        await second.withdraw(BOX)
        await second.withdraw(SHOP)
        await second.close()  # nothing is offered
        assert not (paths.shares / "pid").exists()
        assert ProcessIdentity.of(before) is None


@pytest.mark.usefixtures("at_once")
async def test_a_server_that_was_taken_over_is_watched(
    room: SambaShares, client: Client, folders: Sequence[Path], paths: Paths
) -> None:
    (mine,) = await room.offer([share(folders[0])])
    async with next_daemon(paths, room) as second:
        await second.recover({BOX})
        await kill(pid(paths))
        assert "first" in (await client.until_served(mine)).text


async def test_a_server_that_no_daemon_wrote_down_is_found(
    room: SambaShares, folders: Sequence[Path], paths: Paths
) -> None:
    """The daemon died when it had started it."""
    await room.offer([share(folders[0])])
    before = pid(paths)
    (paths.shares / "pid").rename(paths.shares / "aside")
    async with next_daemon(paths, room) as second:
        await second.recover(set())
        assert ProcessIdentity.of(before) is None


async def test_the_next_daemon_starts_a_server_that_died_with_the_last(
    room: SambaShares, client: Client, folders: Sequence[Path], paths: Paths
) -> None:
    (mine,) = await room.offer([share(folders[0] / "first")])
    (other,) = await room.offer([share(folders[1], SHOP)])
    await room.close()
    await kill(pid(paths))
    async with next_daemon(paths, room) as second:
        await second.recover({BOX})
        assert server_sees(paths) == [f"{paths.shares}/rw/{BOX}-0/file"]
        assert "file" in (await client(mine, "ls")).text
        assert LOGON_FAILURE in (await client(other, "ls")).text


async def test_the_next_daemon_leaves_it_at_that_where_nobody_runs(
    room: SambaShares, folders: Sequence[Path], paths: Paths
) -> None:
    await room.offer([share(folders[0])])
    before = pid(paths)
    async with next_daemon(paths, room) as second:
        await second.recover(set())
        assert left(paths) == []
        assert ProcessIdentity.of(before) is None
        await second.recover(set())


async def test_the_next_daemon_goes_on_trying(
    room: SambaShares,
    client: Client,
    folders: Sequence[Path],
    paths: Paths,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (mine,) = await room.offer([share(folders[0])])
    await room.close()
    await kill(pid(paths))
    monkeypatch.setattr(samba, "_BRIEFLY", 0)
    async with next_daemon(paths, room) as second:
        real, tried = second._server.start, list[None]()

        async def start(pairs: Sequence[tuple[Path, Path]]) -> None:
            tried.append(None)
            if len(tried) == 1:
                raise OSError(28, "No space left on device", str(paths.shares / "output"))
            await real(pairs)

        monkeypatch.setattr(second._server, "start", start)
        with pytest.raises(Unavailable) as caught:
            await second.recover({BOX})
        assert caught.value.message == (f"cannot share files: {paths.shares}/output: No space left on device")
        assert "first" in (await client.until_served(mine)).text


async def test_recovery_takes_a_share_without_a_source_for_a_loss(
    room: SambaShares, client: Client, folders: Sequence[Path], paths: Paths, caplog: pytest.LogCaptureFixture
) -> None:
    (mine,) = await room.offer([share(folders[0])])
    await room.offer([share(folders[1], SHOP)])
    await room.close()
    await kill(pid(paths))
    (paths.shares / "sources" / f"{SHOP}-0").unlink()
    async with next_daemon(paths, room) as second:
        await second.recover({BOX, SHOP})
        assert "first" in (await client(mine, "ls")).text
        assert any(f"container {SHOP}: a mount is lost: " in line for line in caplog.messages)


async def test_nothing_is_ever_mounted_where_the_host_sees_it(
    room: SambaShares, folders: Sequence[Path], paths: Paths
) -> None:
    """Whatever process the server is taken for: what removes our folders would remove a user's files."""
    await room.offer([share(folders[0])])
    await room._server.stop()
    (paths.shares / "pid").write_text(f"{ProcessIdentity.of(os.getpid())}\n")
    assert room._server.find()
    with pytest.raises(Unavailable, match=r"^the file server does not run$"):
        await room._server.mount([(folders[0], paths.shares / "rw" / f"{BOX}-0")])
    room._server._forget()


# The end


async def test_close_ends_a_server_without_shares_alone(
    room: SambaShares, client: Client, folders: Sequence[Path], paths: Paths
) -> None:
    await room.close()
    (mine,) = await room.offer([share(folders[0])])
    await room.close()
    await room.close()
    assert "first" in (await client(mine, "ls")).text
    await room.withdraw(BOX)
    await room.close()
    assert not (paths.shares / "pid").exists()
    assert (await client(mine, "ls")).code != 0


async def test_purge_ends_it_and_those_who_are_served(
    room: SambaShares, client: Client, folders: Sequence[Path], paths: Paths
) -> None:
    (mine,) = await room.offer([share(folders[0])])
    own = ("--configfile=/dev/null", f"--port={client.port}", f"--user={mine.user}%{mine.password}")
    staying = await asyncio.create_subprocess_exec(
        *("smbclient", f"//{client.address}/rw", *own),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert staying.stdin is not None
    assert staying.stdout is not None
    staying.stdin.write(b"!echo connected\n")
    async with asyncio.timeout(20):
        await staying.stdout.readuntil(b"connected\n")
    await room.purge()
    assert not paths.shares.exists()
    await staying.communicate()
    await room.purge()
    assert (folders[0] / "first").exists()
