"""Who reaches what on the file server: real smbd, asked by real clients."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from linwin.host import process
from linwin.model.mount import Access, Share
from linwin.paths import Paths
from linwin.shares import SambaShares, server
from linwin.shares.configuration import FILE
from tests.conftest import children
from tests.unit.shares.client import Client

pytestmark = pytest.mark.root

BOX, SHOP = "0123456789ab", "ba9876543210"
LOGON_FAILURE = "session setup failed: NT_STATUS_LOGON_FAILURE"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What is shared: below folders that nobody but root may enter."""
    made = tmp_path / "folder"
    made.mkdir()
    (made / "note").write_text("hello")
    os.chown(made, 4000, 4001)
    assert tmp_path.stat().st_mode & 0o777 == 0o700
    return made


@pytest.fixture
def news(tmp_path: Path) -> Path:
    """What clients have to write."""
    made = tmp_path / "news"
    made.write_text("news")
    return made


async def offer(room: SambaShares, source: Path, *, read_only: bool = False, id: str = f"{BOX}-0") -> Access:
    (access,) = await room.offer([Share(id, str(source), read_only)])
    return access


async def read(client: Client, access: Access, name: str) -> str:
    """A file of a share; or what is said instead of it."""
    return (await client(access, f'get "{name}" -')).text


async def test_a_folder_is_read_and_written_as_its_owner(
    room: SambaShares, client: Client, folder: Path, news: Path
) -> None:
    access = await offer(room, folder)
    assert (access.share, access.user, access.file) == ("rw", f"{BOX}-0", "")
    assert "hello" in await read(client, access, "note")
    said = await client(access, f"put {news} new", "mkdir sub", f"put {news} sub/deep")
    assert said.code == 0, said.text
    for name, mode in (("new", 0o644), ("sub", 0o755), ("sub/deep", 0o644)):
        status = (folder / name).stat()
        assert (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (4000, 4001, mode)
    assert (folder / "sub" / "deep").read_text() == "news"
    said = await client(access, "rename new newer", "rm sub/deep", "rmdir sub")
    assert (said.code, sorted(os.listdir(folder))) == (0, ["newer", "note"])
    (folder / "later").write_text("from the host")
    assert "from the host" in await read(client, access, "later")


async def test_what_the_host_denies_the_owner_is_denied(
    room: SambaShares, client: Client, folder: Path
) -> None:
    secret = folder / "roots"
    secret.write_text("roots own")
    secret.chmod(0o600)
    access = await offer(room, folder)
    assert "NT_STATUS_ACCESS_DENIED" in await read(client, access, "roots")


async def test_another_owner_may_be_chosen(
    room: SambaShares, client: Client, folder: Path, news: Path
) -> None:
    os.chmod(folder, 0o777)
    (access,) = await room.offer([Share(f"{BOX}-0", str(folder), False, uid=5000, gid=5001)])
    assert (await client(access, f"put {news} new")).code == 0
    status = (folder / "new").stat()
    assert (status.st_uid, status.st_gid) == (5000, 5001)
    await room.withdraw(BOX)
    (access,) = await room.offer([Share(f"{BOX}-0", str(folder), False, gid=5002)])
    assert (await client(access, f"put {news} newer")).code == 0
    status = (folder / "newer").stat()
    assert (status.st_uid, status.st_gid) == (4000, 5002)


async def test_a_read_only_one_is_not_written(
    room: SambaShares, client: Client, folder: Path, news: Path
) -> None:
    access = await offer(room, folder, read_only=True)
    assert access.share == "ro"
    assert "hello" in await read(client, access, "note")
    for command in (f"put {news} new", f"put {news} note", "rm note", "mkdir sub", "rename note other"):
        said = await client(access, command)
        assert "NT_STATUS_MEDIA_WRITE_PROTECTED" in said.text or "NT_STATUS_ACCESS_DENIED" in said.text
    assert (os.listdir(folder), (folder / "note").read_text()) == (["note"], "hello")
    said = await client(replace(access, share="rw"), "ls")
    assert "tree connect failed: NT_STATUS_BAD_NETWORK_NAME" in said.text


@pytest.mark.parametrize("owner", [0, 4000])
async def test_a_single_file_is_alone_and_changed_in_place(
    room: SambaShares, client: Client, folder: Path, news: Path, paths: Paths, owner: int
) -> None:
    note = folder / "note"
    (folder / "sibling").write_text("not shared")
    os.chown(note, owner, owner)
    access = await offer(room, note)
    assert access.file == FILE
    listed = await client(access, "ls")
    assert FILE in listed.text
    assert "sibling" not in listed.text
    before = note.stat().st_ino
    assert (await client(access, f"put {news} {FILE}")).code == 0
    assert (note.read_text(), note.stat().st_ino) == ("news", before)
    for command in (f"put {news} beside", "mkdir sub", f"rename {FILE} other", f"rm {FILE}"):
        said = await client(access, command)
        assert "NT_STATUS" in said.text, command
    assert os.listdir(paths.shares / "rw" / access.user) == [FILE]
    assert (sorted(os.listdir(folder)), note.read_text()) == (["note", "sibling"], "news")


@pytest.mark.parametrize("late", [False, True], ids=["before", "after the offer"])
async def test_links_lead_nowhere_else(
    room: SambaShares, client: Client, folder: Path, news: Path, late: bool
) -> None:
    (folder.parent / "secret").write_text("you found it")
    access = None if late else await offer(room, folder)
    links = {"absolute": folder.parent / "secret", "up": Path("../secret"), "etc": Path("/etc")}
    links |= {"folder": folder.parent, "root": Path("/"), "inside": Path("note")}
    for name, target in links.items():
        (folder / name).symlink_to(target)
    access = access or await offer(room, folder)
    assert "hello" in await read(client, access, "inside")
    ways = ["absolute", "up", "folder/secret", f"root{folder.parent}/secret", "../secret", "../../etc/passwd"]
    for way in [*ways, "etc/passwd", r"..\secret", str(folder.parent / "secret")]:
        said = await client(access, f'get "{way}" -')
        assert "NT_STATUS" in said.text, way
        assert "you found it" not in said.text
        assert "root:" not in said.text
    for way in ("up", "folder/new", "etc/linwin-was-here"):
        assert "NT_STATUS" in (await client(access, f'put {news} "{way}"')).text, way
    assert (folder.parent / "secret").read_text() == "you found it"
    assert "linwin-was-here" not in os.listdir("/etc")
    assert not (folder.parent / "new").exists()


async def test_a_source_that_is_a_link_is_what_it_leads_to(
    room: SambaShares, client: Client, folder: Path, tmp_path: Path, news: Path
) -> None:
    (tmp_path / "to folder").symlink_to("folder")
    (tmp_path / "to note").symlink_to(folder / "note")
    access, single = await room.offer(
        [Share(f"{BOX}-0", f"{tmp_path}/to folder", False), Share(f"{BOX}-1", f"{tmp_path}/to note", False)]
    )
    assert "hello" in await read(client, access, "note")
    assert (await client(access, f"put {news} new")).code == 0
    assert (folder / "new").stat().st_uid == 4000
    assert (await client(single, f"put {news} {FILE}")).code == 0
    assert (folder / "note").read_text() == "news"
    assert (tmp_path / "to note").is_symlink()


async def test_a_source_with_other_mounts_in_it_is_shared_with_them(
    room: SambaShares, client: Client, folder: Path
) -> None:
    access = await offer(room, Path("/dev"))  # devpts is mounted in it
    assert "pts" in (await client(access, "ls")).text
    assert "ptmx" in (await client(access, "ls pts/*")).text


@pytest.mark.parametrize("name", ["a b", "Ünï-日本", "-rf", 'it\'s "so"', "50%u;#$x", "a:b*c", "x" * 255])
async def test_sources_with_odd_names(room: SambaShares, client: Client, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "odd" / name
    folder.mkdir(parents=True)
    (folder / "note").write_text("hello")
    file = tmp_path / "files" / name
    file.parent.mkdir()
    file.write_text("alone")
    access, single = await room.offer(
        [Share(f"{BOX}-0", str(folder), False), Share(f"{BOX}-1", str(file), True)]
    )
    assert "hello" in await read(client, access, "note")
    assert "alone" in await read(client, single, single.file)


async def test_a_file_whose_name_is_no_text(room: SambaShares, client: Client, tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff\xfe.bin")
    (tmp_path / name).write_text("alone")
    access = await offer(room, tmp_path / name)
    assert "alone" in await read(client, access, access.file)


# Who is let in


async def test_a_credential_is_good_for_its_own_share_alone(
    room: SambaShares, client: Client, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "theirs").write_text("theirs")
    mine, other = await offer(room, folder), await offer(room, tmp_path / "other", id=f"{SHOP}-0")
    assert mine.password != other.password
    for wrong in (
        replace(mine, password="wrong"),
        replace(mine, password=""),
        replace(mine, user=other.user),
        replace(mine, user="nobody", password=""),
        replace(mine, user="root"),
    ):
        assert LOGON_FAILURE in (await client(wrong, "ls")).text
    for share in ("rw", mine.user, other.user):  # each sees its own, by whatever name
        said = await client(replace(mine, share=share), "ls")
        assert "theirs" not in said.text
    said = await client(replace(mine, share="ro"), "ls")
    assert "tree connect failed: NT_STATUS_BAD_NETWORK_NAME" in said.text
    assert "note" in (await client(replace(mine, user=mine.user.upper()), "ls")).text


async def test_users_of_one_owner_are_kept_apart(room: SambaShares, client: Client, tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    first = await offer(room, tmp_path / "first")
    second = await offer(room, tmp_path / "second", id=f"{SHOP}-0")
    for _ in range(2):
        assert "second" not in (await client(first, "ls")).text
        assert "first" not in (await client(second, "ls")).text
    assert "first" in (await client(first, "ls")).text


async def test_nobody_comes_without_a_name(room: SambaShares, client: Client, folder: Path) -> None:
    await offer(room, folder)
    for share in ("rw", "ro", "IPC$"):
        said = await client.connect(share, "--no-pass", "--user=%", "--command=ls")
        assert "NT_STATUS_ACCESS_DENIED" in said.text
    said = await client.connect("rw", "--no-pass", "--user=guest", "--command=ls")
    assert LOGON_FAILURE in said.text


@pytest.mark.parametrize("protocol", ["NT1", "SMB2_02", "SMB2_10", "SMB3_00", "SMB3_02"])
async def test_old_protocols_are_not_spoken(
    room: SambaShares, client: Client, folder: Path, protocol: str
) -> None:
    access = await offer(room, folder)
    options = (f"--option=client min protocol={protocol}", f"--max-protocol={protocol}")
    said = await client(access, "ls", options=options)
    assert said.code != 0
    assert "protocol negotiation failed" in said.text
    assert (await client(access, "ls", options=("--option=client min protocol=SMB3_11",))).code == 0


async def test_who_would_not_sign_is_told_that_all_do(
    room: SambaShares, client: Client, folder: Path
) -> None:
    await offer(room, folder)
    dialect, security_mode = await client.negotiate()
    assert dialect == 0x0311
    assert security_mode == 3  # signing is enabled, and required


async def test_no_procedure_of_the_server_is_called(room: SambaShares, client: Client, folder: Path) -> None:
    os.chown(folder, 0, 0)
    access = await offer(room, folder)
    for call in ("enumdomusers", "netshareenumall", "lsaquery", "winreg_enumkey HKLM", "srvinfo"):
        said = await client.call(access, call)
        assert said.code != 0 or "NT_STATUS_OBJECT_NAME_NOT_FOUND" in said.text, call
        assert access.user not in said.text
    assert "dcerpcd" not in " ".join(children().values())


async def test_passwords_are_on_no_command_line(
    room: SambaShares, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, real = list[list[str]](), process.run

    async def run(argv: list[str], **options: Any) -> process.Completed:
        started.append([*map(str, argv), str(options.get("env"))])
        return await real(argv, **options)

    monkeypatch.setattr(server, "run", run)
    access = await offer(room, folder)
    words = [word for argv in started for word in argv]
    assert "smbpasswd" in words
    assert not any(access.password in word for word in words)
