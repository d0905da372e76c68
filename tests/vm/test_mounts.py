"""Files of the host in real guests: mounts and volumes as Windows programs and the host see them."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from linwin.paths import Paths
from tests.vm.conftest import NANOSERVER, Linwin, kill, owners, until

OWNER = (4000, 4001)
STAY = ("cmd", "/c", "ping -n 100000 127.0.0.1 >nul")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of somebody who is not root, below one that he may not enter."""
    tmp_path.chmod(0o700)
    folder = tmp_path / "the source"
    folder.mkdir()
    (folder / "a.txt").write_text("from the host\n")
    for path in (folder, folder / "a.txt"):
        os.chown(path, *OWNER)
    return folder


@pytest.fixture
def running(linwin: Linwin) -> Iterator[Callable[..., Callable[..., str]]]:
    """Starts a container that stays, and returns what runs a command of cmd.exe in it."""
    names: list[str] = []

    def start(*options: str, image: str = NANOSERVER) -> Callable[..., str]:
        names.append(linwin.text("run", "-d", *options, image, *STAY).strip())

        def do(command: str, code: int = 0) -> str:
            return linwin.text("exec", names[-1], "cmd", "/c", command, code=code)

        return do

    yield start
    linwin("rm", "-f", *names)


def test_a_folder_is_read_and_written_as_its_owner(linwin: Linwin, folder: Path) -> None:
    words = "type C:\\src\\A.TXT & (echo out)> C:\\src\\out.txt & mkdir C:\\src\\deep"
    words += " & copy C:\\src\\a.txt C:\\src\\deep"
    printed = linwin.text("run", "--rm", "-v", f"{folder}:C:\\src", NANOSERVER, "cmd", "/c", words)
    assert printed.startswith("from the host\n")
    assert (folder / "out.txt").read_bytes() == b"out\r\n"
    assert (folder / "deep/a.txt").read_bytes() == b"from the host\n"
    assert owners(folder) == {OWNER}
    assert (folder / "out.txt").stat().st_mode & 0o7777 == 0o644
    assert (folder / "deep").stat().st_mode & 0o7777 == 0o755


def test_an_owner_can_be_chosen(linwin: Linwin, folder: Path) -> None:
    folder.chmod(0o777)
    spelled = f"{folder}:C:\\src:uid=4100,gid=4101"
    linwin("run", "--rm", "-v", spelled, NANOSERVER, "cmd", "/c", "echo x> C:\\src\\theirs.txt")
    status = (folder / "theirs.txt").stat()
    assert (status.st_uid, status.st_gid) == (4100, 4101)


def test_a_read_only_folder_is_not_written(linwin: Linwin, folder: Path) -> None:
    words = "type C:\\src\\a.txt & (echo x> C:\\src\\no.txt) & del C:\\src\\a.txt & mkdir C:\\src\\no"
    done = linwin.text("run", "--rm", "-v", f"{folder}:C:\\src:ro", NANOSERVER, "cmd", "/c", words, code=1)
    assert done.startswith("from the host\n")
    assert sorted(path.name for path in folder.iterdir()) == ["a.txt"]


def test_a_single_file_is_mounted_without_its_neighbours(linwin: Linwin, folder: Path) -> None:
    spelled = f"{folder / 'a.txt'}:C:\\conf\\nuget.config"
    words = "type C:\\conf\\NuGet.Config & (echo changed)> C:\\conf\\nuget.config & dir /b C:\\conf"
    printed = linwin.text("run", "--rm", "-v", spelled, NANOSERVER, "cmd", "/c", words)
    assert printed == "from the host\nnuget.config\n"
    assert (folder / "a.txt").read_bytes() == b"changed\r\n"
    assert sorted(path.name for path in folder.iterdir()) == ["a.txt"]


def test_drives_nested_mounts_and_memory(
    running: Callable[..., Callable[..., str]], folder: Path, tmp_path: Path
) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "f.txt").write_text("inner\n")
    do = running(
        *("-v", f"{inner}:C:\\src\\Inner", "-v", f"{folder}:C:\\src", "-v", f"{folder}:D:\\"),
        *("-v", f"{inner}:E:\\sub\\x", "--tmpfs", "C:\\fast:size=16m"),
    )
    assert do("type C:\\SRC\\INNER\\F.TXT") == "inner\n"
    assert (folder / "Inner").is_dir()
    assert list((folder / "Inner").iterdir()) == []
    assert "a.txt" in do("dir D:\\")
    assert do("D: & cd & type a.txt") == "D:\\\nfrom the host\n"
    assert do("cd /d E:\\sub\\x & cd & type f.txt") == "E:\\sub\\x\ninner\n"
    assert do("(echo t)> C:\\fast\\t.txt & type C:\\fast\\t.txt") == "t\n"
    assert "16,7" in do("dir C:\\fast"), "it has the size that was asked for"


def test_both_sides_see_what_the_other_changes(
    running: Callable[..., Callable[..., str]], folder: Path
) -> None:
    do = running("-v", f"{folder}:C:\\src")
    assert do("type C:\\src\\a.txt") == "from the host\n"
    (folder / "a.txt").write_text("edited on the host\n")
    (folder / "new.txt").write_text("new\n")
    assert do("type C:\\src\\a.txt & type C:\\src\\new.txt") == "edited on the host\nnew\n"
    do("(echo guest)> C:\\src\\a.txt & del C:\\src\\new.txt & ren C:\\src\\a.txt B.txt")
    assert sorted(path.name for path in folder.iterdir()) == ["B.txt"]
    assert (folder / "B.txt").read_bytes() == b"guest\r\n"


def test_cp_reaches_mounts_while_their_container_runs(linwin: Linwin, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("copied\n")
    name = linwin.text("run", "-d", "-v", f"{folder}:C:\\src", NANOSERVER, *STAY).strip()
    try:
        linwin("cp", str(tmp_path / "in.txt"), f"{name}:C:\\src\\in.txt")
        assert (folder / "in.txt").read_text() == "copied\n"
        assert owners(folder) == {OWNER}
        linwin("cp", f"{name}:C:\\src", str(tmp_path / "out"))
        assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.txt", "in.txt"]
        linwin("stop", "-t", "0", name)
        refused = linwin("cp", str(tmp_path / "in.txt"), f"{name}:C:\\SRC\\x.txt", code=1).stderr.decode()
        assert "C:\\src is mounted from the host, and container " in refused
        assert f"Start it, or use {folder} itself." in refused
    finally:
        linwin("rm", "-f", name)


def test_no_link_leads_out(running: Callable[..., Callable[..., str]], folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret\n")
    (folder / "up").symlink_to("..")
    (folder / "absolute").symlink_to(tmp_path / "secret.txt")
    (folder / "within").symlink_to("a.txt")
    do = running("-v", f"{folder}:C:\\src")
    for path in ("up\\secret.txt", "absolute", "..\\secret.txt", "up\\..\\..\\..\\etc\\passwd"):
        assert "secret" not in do(f"type C:\\src\\{path}", code=1)
    assert do("type C:\\src\\within") == "from the host\n"


def test_volumes_are_shared_kept_and_filled(linwin: Linwin, test_programs: str, folder: Path) -> None:
    linwin("volume", "create", "data")
    try:
        linwin("run", "--rm", "-v", "data:C:\\data", NANOSERVER, "cmd", "/c", "echo one> C:\\data\\one.txt")
        first = linwin.text("run", "-d", "-v", "data:C:\\data", NANOSERVER, *STAY).strip()
        try:
            both = ("run", "--rm", "--volumes-from", f"{first}:ro", NANOSERVER, "cmd", "/c")
            assert linwin.text(*both, "type C:\\data\\one.txt") == "one\n"
            refused = linwin(*both, "echo two> C:\\data\\two.txt")  # to Wine's cmd it is no failure
            assert refused.stderr == b"Access denied.\r\n\r\n"
            in_use = linwin("volume", "rm", "data", code=1).stderr.decode()
            assert f"remove data: volume is in use - [{first}]" in in_use
        finally:
            linwin("rm", "-f", first)
        shown = json.loads(linwin("volume", "inspect", "data").stdout)[0]
        assert (Path(shown["Mountpoint"]) / "one.txt").read_bytes() == b"one\r\n"
    finally:
        linwin("volume", "rm", "data")
    # A new one begins with what the image has there, at its first start only.
    words = ("run", "--rm", "-v", "filled:C:\\Windows.old", "-v", f"{folder}:C:\\src", test_programs)
    assert linwin.text(*words, "cmd", "/c", "dir /b C:\\Windows.old") == ""
    linwin("volume", "rm", "filled")


def test_a_new_volume_begins_with_what_the_image_has(linwin: Linwin, program: Callable[[str], str]) -> None:
    image = program("ninja")
    try:
        listed = linwin.text("run", "--rm", "-v", "tools:C:\\ninja", image, "cmd", "/c", "dir /b C:\\ninja")
        assert "ninja.exe" in listed.split()
        shown = json.loads(linwin("volume", "inspect", "tools").stdout)[0]
        data = Path(shown["Mountpoint"])
        assert (data / "ninja.exe").read_bytes()[:2] == b"MZ"
        # It is run from the volume, and what was deleted from that does not come back.
        again = ("run", "--rm", "-v", "tools:C:\\ninja", image)
        assert linwin.text(*again, "C:\\ninja\\ninja.exe", "--version").startswith("1.")
        linwin(*again, "cmd", "/c", "echo x> C:\\ninja\\x & del C:\\ninja\\ninja.exe")
        assert linwin.text(*again, "cmd", "/c", "dir /b C:\\ninja").split() == ["x"]
    finally:
        linwin("volume", "rm", "tools")


def test_without_a_network_mounts_work_and_nothing_else(
    running: Callable[..., Callable[..., str]], linwin: Linwin, folder: Path, test_programs: str
) -> None:
    neighbour = running("--network", "none", "-v", f"{folder}:C:\\src", image=test_programs)
    do = running("--network", "none", "-v", f"{folder}:C:\\src")
    assert do("type C:\\src\\a.txt") == "from the host\n"
    assert neighbour("type C:\\src\\a.txt") == "from the host\n"
    listed = linwin.text("network", "ls", "--format", "{{.Name}}").split()
    assert "linwin-files" not in listed


def test_mounts_go_through_an_internal_network(linwin: Linwin, folder: Path) -> None:
    linwin("network", "create", "--internal", "inside")
    try:
        words = ("run", "--rm", "--network", "inside", "-v", f"{folder}:C:\\src", NANOSERVER, "cmd", "/c")
        assert linwin.text(*words, "type C:\\src\\a.txt") == "from the host\n"
    finally:
        linwin("network", "rm", "inside")


def test_a_long_pause_loses_no_file(linwin: Linwin, folder: Path) -> None:
    """The server takes a guest that is halted for a dead one after 25 s."""
    loop = "for /L %i in (1,1,100000) do @(echo %i> C:\\src\\n.txt & ping -n 1 127.0.0.1 >nul & echo %i)"
    name = linwin.text("run", "-d", "-v", f"{folder}:C:\\src", NANOSERVER, "cmd", "/c", loop).strip()
    try:
        until(lambda: linwin.text("logs", name).count("\n") > 3, "the program does not begin")
        linwin("pause", name)
        until(lambda: connections(linwin) == 0, "the server keeps a guest that is halted")
        linwin("unpause", name)
        lines = linwin.text("logs", name).count("\n")
        until(lambda: linwin.text("logs", name).count("\n") > lines + 5, "the program does not go on")
        assert int((folder / "n.txt").read_text()) > lines
        printed = linwin.text("logs", name).split()
        assert printed == [str(number + 1) for number in range(len(printed))]
    finally:
        linwin("rm", "-f", name)


def connections(linwin: Linwin) -> int:
    """How many guests the file server has a connection with (proc_net_tcp(5); 1 is established)."""
    address, port = Paths(linwin.root, linwin.socket).file_server
    here = f"{socket.inet_aton(address)[::-1].hex().upper()}:{port:04X}"
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return sum(line.split()[1] == here and line.split()[3] == "01" for line in lines)


def smbd_of(linwin: Linwin) -> int:
    return int((linwin.root / "shares" / "pid").read_text().split()[0])


def test_a_build_goes_on_when_server_and_daemon_are_kill(
    own_daemon: Linwin, folder: Path, tmp_path: Path
) -> None:
    linwin = own_daemon
    loop = "for /L %i in (1,1,400) do @(echo %i> C:\\src\\n%i.txt & type C:\\src\\n%i.txt)"
    client = linwin.start(
        "run", "--name", "builder", "-v", f"{folder}:C:\\src", NANOSERVER, "cmd", "/c", loop,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert client.stdout is not None
    assert client.stdout.readline().strip() == b"1"
    before = smbd_of(linwin)
    kill(before)
    linwin.kill_daemon()
    client.communicate(timeout=60)
    linwin("daemon", "start")
    assert smbd_of(linwin) != before
    kill(smbd_of(linwin))
    assert linwin.text("wait", "builder") == "0\n"
    printed = linwin.text("logs", "builder").split()
    assert printed == [str(number) for number in range(1, 401)]
    assert len(list(folder.glob("n*.txt"))) == 400
    assert owners(folder) == {OWNER}
    linwin("rm", "builder")


def test_bad_mounts_are_refused_by_name(linwin: Linwin, folder: Path, tmp_path: Path) -> None:
    for spelled, sentence in (
        ("/no/such:C:\\x", 'invalid mount config for type "bind": bind source path does not exist: /no/such'),
        (f"{folder}:C:\\Windows\\System32", "C:\\Windows\\System32"),
        (f"{folder}:C:\\", "C:\\"),
        (f"{folder}:src", "src"),
    ):
        refused = linwin("run", "--rm", "-v", spelled, NANOSERVER, "cmd", "/c", "ver", code=125)
        assert sentence in refused.stderr.decode()
