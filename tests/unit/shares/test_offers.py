"""Offers and withdrawals, those that come to nothing, and hosts that cannot."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from linwin.errors import NotFound, Unavailable
from linwin.model.mount import Access
from linwin.paths import Paths
from linwin.shares import SambaShares, server
from tests.unit.shares.client import Client
from tests.unit.shares.observed import BOX, LOGON_FAILURE, SHOP, left, server_sees, share

pytestmark = pytest.mark.root

REASON = "this host cannot share files with guests: "

# Offers


async def test_offers_one_right_after_the_other_are_all_good(
    room: SambaShares, client: Client, tmp_path: Path
) -> None:
    """Also those that come in one second, in which the server sees the times of its files alike."""
    accesses = list[Access]()
    for number in range(20):
        folder = tmp_path / f"folder {number}"
        folder.mkdir(mode=0o700)
        (folder / f"note {number}").touch()
        os.chown(folder, 5000 + number, 6000 + number)
        accesses += await room.offer([share(folder, f"{number:012x}")])
        said = await client(accesses[-1], "ls", "mkdir made")
        assert f"note {number}" in said.text, said.text
        status = (folder / "made").stat()
        assert (status.st_uid, status.st_gid) == (5000 + number, 6000 + number)
    for number, access in enumerate(accesses):
        assert f"note {number} " in (await client(access, "ls")).text


async def test_two_offers_at_once(
    room: SambaShares, client: Client, folders: Sequence[Path], paths: Paths
) -> None:
    first, second, third = folders
    (mine, more), (other,) = await asyncio.gather(
        room.offer([share(first), share(second, number=1, read_only=True)]), room.offer([share(third, SHOP)])
    )
    for access, name in ((mine, "first"), (more, "second"), (other, "third")):
        assert name in (await client(access, "ls")).text
    assert server_sees(paths) == [
        f"{paths.shares}/ro/{BOX}-1",
        f"{paths.shares}/rw/{BOX}-0",
        f"{paths.shares}/rw/{SHOP}-0",
    ]


async def test_a_withdrawal_is_of_one_container(
    room: SambaShares, client: Client, folders: Sequence[Path], paths: Paths
) -> None:
    first, second, third = folders
    mine = await room.offer([share(first), share(second / "second", number=1)])
    (other,) = await room.offer([share(third, SHOP)])
    await room.withdraw(BOX)
    for access in mine:
        assert LOGON_FAILURE in (await client(access, "ls")).text
    assert "third" in (await client(other, "ls")).text
    assert server_sees(paths) == [f"{paths.shares}/rw/{SHOP}-0"]
    await room.withdraw(BOX)
    await room.withdraw("never there")
    await room.withdraw(SHOP)
    assert (left(paths), server_sees(paths)) == ([], [])
    assert all((folder / folder.name).exists() for folder in folders)


async def test_an_offer_that_was_not_taken_back_is_replaced(
    room: SambaShares, client: Client, folders: Sequence[Path], paths: Paths
) -> None:
    (before,) = await room.offer([share(folders[0])])
    (after,) = await room.offer([share(folders[1])])
    assert LOGON_FAILURE in (await client(before, "ls")).text
    said = await client(after, "ls")
    assert "second" in said.text
    assert "first" not in said.text
    await room.withdraw(BOX)
    assert (left(paths), server_sees(paths)) == ([], [])


@pytest.mark.parametrize("others", [False, True], ids=["the first of all", "beside others"])
async def test_of_an_offer_with_a_source_that_is_gone_nothing_is_left(
    room: SambaShares, client: Client, folders: Sequence[Path], paths: Paths, others: bool
) -> None:
    if others:
        (other,) = await room.offer([share(folders[2], SHOP)])
    before = left(paths)
    gone = folders[0].parent / "gone"
    with pytest.raises(NotFound) as caught:
        await room.offer([share(folders[0]), share(gone, number=1)])
    assert caught.value.message == f"the path {gone} does not exist"
    assert caught.value.hint == "It is to be mounted: make it first."
    assert left(paths) == before
    if others:
        assert server_sees(paths) == [f"{paths.shares}/rw/{SHOP}-0"]
        assert "third" in (await client(other, "ls")).text


async def test_a_folder_that_cannot_be_written_is_said(
    room: SambaShares, folders: Sequence[Path], paths: Paths
) -> None:
    paths.shares.mkdir(mode=0o711)
    (paths.shares / "private").write_text("in the way")
    with pytest.raises(Unavailable) as caught:
        await room.offer([share(folders[0])])
    assert caught.value.message == f"cannot share files: {paths.shares}/private: File exists"
    assert caught.value.hint == "Check the disk that holds LINWIN_ROOT."


@pytest.mark.parametrize("step", ["add_user", "mount", "start"])
async def test_a_step_that_fails_leaves_nothing(
    room: SambaShares, folders: Sequence[Path], paths: Paths, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    async def fails(*_: Any) -> None:
        raise Unavailable(f"{step} failed")

    monkeypatch.setattr(room._server, step, fails)
    with pytest.raises(Unavailable, match=f"^{step} failed$"):
        await room.offer([share(folders[0]), share(folders[1] / "second", number=1)])
    assert left(paths) == []
    monkeypatch.undo()
    await room.offer([share(folders[0])])
    assert server_sees(paths) == [f"{paths.shares}/rw/{BOX}-0"]


async def test_a_caller_who_gives_up_leaves_a_whole_offer(
    room: SambaShares, client: Client, folders: Sequence[Path], paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which is taken back as any other."""
    adding, real, passwords = asyncio.Event(), room._server.add_user, dict[str, str]()

    async def add_user(name: str, password: str) -> None:
        passwords[name] = password
        adding.set()
        await real(name, password)

    monkeypatch.setattr(room._server, "add_user", add_user)
    offering = asyncio.create_task(room.offer([share(folders[0]), share(folders[1], number=1)]))
    await adding.wait()
    offering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await offering
    (other,) = await room.offer([share(folders[2], SHOP)])  # waits for its turn
    for name, number in (("first", 0), ("second", 1)):
        access = Access("rw", f"{BOX}-{number}", passwords[f"{BOX}-{number}"])
        assert name in (await client(access, "ls")).text
    await room.withdraw(BOX)
    assert server_sees(paths) == [f"{paths.shares}/rw/{SHOP}-0"]
    assert not any(BOX in line for line in left(paths))
    assert "third" in (await client(other, "ls")).text


async def test_a_caller_who_gives_up_before_its_turn(
    room: SambaShares, folders: Sequence[Path], paths: Paths
) -> None:
    first = asyncio.create_task(room.offer([share(folders[0])]))
    second = asyncio.create_task(room.offer([share(folders[1], SHOP)]))
    await asyncio.sleep(0)
    second.cancel()
    await first
    await room.withdraw(SHOP)
    assert server_sees(paths) == [f"{paths.shares}/rw/{BOX}-0"]
    assert not any(SHOP in line for line in left(paths))


# What a host lacks


@pytest.mark.parametrize(
    ("program", "package"),
    [
        ("smbd", "samba"),
        ("smbpasswd", "samba-common-bin"),
        ("smbcontrol", "samba-common-bin"),
        ("unshare", "util-linux"),
        ("nsenter", "util-linux"),
    ],
)
async def test_a_program_that_is_missing_is_named(
    room: SambaShares,
    folders: Sequence[Path],
    paths: Paths,
    monkeypatch: pytest.MonkeyPatch,
    program: str,
    package: str,
) -> None:
    real = shutil.which
    monkeypatch.setattr(
        shutil, "which", lambda name, path=None: None if name == program else real(name, path=path)
    )
    sentence = f"the program {program} is not installed"
    hint = f"install it with: apt-get install {package}"
    assert await room.unavailable() == f"{REASON}{sentence} ({hint})"
    with pytest.raises(Unavailable) as caught:
        await room.offer([share(folders[0])])
    assert (caught.value.message, caught.value.hint) == (sentence, hint)
    assert left(paths) == []


async def test_a_library_that_is_missing_is_named(
    room: SambaShares, folders: Sequence[Path], paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await room.unavailable() == ""
    monkeypatch.setattr(server, "_LIBRARIES", (str(paths.root),))
    sentence = "the library libnss_wrapper.so is not installed"
    hint = "install it with: apt-get install libnss-wrapper"
    assert await room.unavailable() == f"{REASON}{sentence} ({hint})"
    with pytest.raises(Unavailable) as caught:
        await room.offer([share(folders[0])])
    assert (caught.value.message, caught.value.hint) == (sentence, hint)
    assert left(paths) == []


async def test_nobody_but_root_shares(room: SambaShares, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert await room.unavailable() == "mounts need root: linwin's daemon does not run as root"


async def test_a_server_that_does_not_start_says_why(
    room: SambaShares, folders: Sequence[Path], paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    (paths.shares / "lock").mkdir(parents=True)
    (paths.shares / "lock" / "locking.tdb").mkdir()
    with pytest.raises(Unavailable) as caught:
        await room.offer([share(folders[0])])
    assert caught.value.message.startswith("the file server did not start: ")
    assert caught.value.hint == f"Read {paths.shares}/log."
    assert left(paths) == []


async def test_an_address_that_is_taken_is_said(
    room: SambaShares, client: Client, folders: Sequence[Path], paths: Paths
) -> None:
    address, port = paths.file_server
    with socket.create_server((address, port)):
        with pytest.raises(Unavailable) as caught:
            await room.offer([share(folders[0])])
        assert caught.value.message == (
            f"the file server did not start: {address}:{port}: Address already in use"
        )
        assert caught.value.hint == "Another program holds its address: ss -ltnp tells which."
        assert left(paths) == []
    (mine,) = await room.offer([share(folders[0])])
    assert "first" in (await client(mine, "ls")).text


async def test_a_server_that_ends_before_it_listens_did_not_start(
    room: SambaShares, folders: Sequence[Path], paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says that it is ready, and ends for want of a socket."""
    monkeypatch.setattr(server, "_check_free", lambda _: None)
    monkeypatch.setattr(room._server, "_address", ("127.0.0.1", 1))
    with socket.create_server(paths.file_server), pytest.raises(Unavailable) as caught:
        await room.offer([share(folders[0])])
    assert caught.value.message.startswith("the file server did not start: ")
    assert left(paths) == []


async def test_a_root_whose_path_is_too_long_is_said(tmp_path: Path) -> None:
    root = tmp_path / ("x" * 80)
    assert await SambaShares(Paths(root, root / "socket")).unavailable() == (
        f"mounts need a shorter LINWIN_ROOT: Samba's sockets have no names below {root}/shares"
    )
