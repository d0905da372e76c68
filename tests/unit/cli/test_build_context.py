"""What of a folder a build sends, by docker's rules, and what it refuses to send."""

from __future__ import annotations

import io
import os
import re
import socket
import stat
import sys
import tarfile
from pathlib import Path

import pytest

from linwin.cli import build_context
from linwin.cli.build_context import local_context
from linwin.errors import InvalidRequest, Unavailable

FILES = {"Dockerfile": "FROM x\n", "app/main.py": "main", "app/deep/er.txt": "er", "notes.md": "notes"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "context"
    for name, content in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


def sent(folder: Path, dockerfile: str | None = None) -> dict[str, tarfile.TarInfo]:
    return members(packed(folder, dockerfile))


def packed(folder: Path, dockerfile: str | None = None) -> bytes:
    with local_context(str(folder), dockerfile).packed() as stream:
        return stream.read()


def members(archive: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {member.name: member for member in tar}


def content(archive: bytes, name: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        file = tar.extractfile(name)
        assert file is not None
        return file.read()


def test_a_whole_folder(folder: Path) -> None:
    os.utime(folder / "notes.md", ns=(0, 1_500_000_000_987_654_321))
    (folder / "notes.md").chmod(0o4750)
    (folder / "link").symlink_to("app/main.py")
    found = sent(folder)
    assert list(found) == [
        "Dockerfile",
        "app",
        "link",
        "notes.md",
        "app/deep",
        "app/main.py",
        "app/deep/er.txt",
    ]
    notes, link = found["notes.md"], found["link"]
    assert (notes.mode, notes.mtime, notes.uid, notes.gid, notes.uname) == (0o750, 1_500_000_000, 0, 0, "")
    assert (link.issym(), link.linkname) == (True, "app/main.py")
    assert content(packed(folder), "app/deep/er.txt") == b"er"


@pytest.mark.parametrize(
    ("rules", "names"),
    [
        ("*", {"Dockerfile", ".dockerignore"}),
        ("Dockerfile\n.dockerignore\napp", {"Dockerfile", ".dockerignore", "notes.md"}),
        ("app\n!app/main.py", {"Dockerfile", ".dockerignore", "notes.md", "app/main.py"}),
        (
            "**/*.txt\nnotes.md\n",
            {"Dockerfile", ".dockerignore", "app", "app/main.py", "app/deep"},
        ),
        ("# app\n\n", {"Dockerfile", ".dockerignore", "notes.md", *("app", "app/deep"), *FILES}),
    ],
)
def test_what_is_ignored(folder: Path, rules: str, names: set[str]) -> None:
    (folder / ".dockerignore").write_text(rules)
    assert sent(folder).keys() == names


def test_an_ignored_folder_is_not_looked_into(folder: Path) -> None:
    (folder / ".dockerignore").write_text("big\n!app/x")
    (folder / "big").mkdir()
    if os.geteuid() == 0:
        os.mknod(folder / "big" / "device", 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    else:
        (folder / "big").chmod(0)
    assert "big" not in sent(folder)


def test_a_dockerfile_in_an_ignored_folder(folder: Path) -> None:
    (folder / ".dockerignore").write_text("app")
    (folder / "app" / "Own").write_text("FROM y")
    context = local_context(str(folder), f"{folder}/app/Own")
    assert context.dockerfile == "app/Own"
    assert sent(folder, f"{folder}/app/Own").keys() == {"app/Own", ".dockerignore", "Dockerfile", "notes.md"}


def test_a_dockerfile_is_named_from_the_working_directory(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder / "app")
    (folder / "app" / "Own").write_text("FROM y")
    assert local_context("..", "Own").dockerfile == "app/Own"
    assert local_context("..", None).dockerfile == "Dockerfile"


def test_a_dockerfile_in_lower_case(folder: Path) -> None:
    (folder / "Dockerfile").rename(folder / "dockerfile")
    assert local_context(str(folder), None).dockerfile == "dockerfile"


def test_a_dockerfile_that_is_a_link_is_sent_as_what_it_leads_to(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "shared").write_text("FROM shared")
    (folder / "Dockerfile").unlink()
    (folder / "Dockerfile").symlink_to(tmp_path / "shared")
    archive = packed(folder)
    assert content(archive, "Dockerfile") == b"FROM shared"
    assert list(members(archive)).count("Dockerfile") == 1


@pytest.mark.parametrize("rules", [None, "notes.md"])
def test_a_dockerfile_outside_has_a_random_name(folder: Path, tmp_path: Path, rules: str | None) -> None:
    if rules is not None:
        (folder / ".dockerignore").write_text(rules)
    (tmp_path / "Other").write_text("FROM other")
    context = local_context(str(folder), f"{tmp_path}/Other")
    assert re.fullmatch(r"\.dockerfile\.[0-9a-f]{20}", context.dockerfile)
    with context.packed() as stream:
        archive = stream.read()
    assert content(archive, context.dockerfile) == b"FROM other"
    assert content(archive, ".dockerignore").decode() == f"{rules or ''}\n{context.dockerfile}\n"
    assert ("notes.md" in members(archive)) is (rules is None)
    assert list(members(archive)).count(".dockerignore") == 1


def test_a_dockerfile_on_standard_input(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"FROM stdin")))
    context = local_context(str(folder), "-")
    assert context.texts[context.dockerfile] == b"FROM stdin"
    assert "Dockerfile" in {entry.name for entry in context.entries}


def test_rules_of_a_dockerfiles_own_come_first(folder: Path, tmp_path: Path) -> None:
    (folder / ".dockerignore").write_text("app")
    (folder / "Dockerfile.dockerignore").write_text("notes.md\nDockerfile*")
    assert sent(folder).keys() == {
        *("Dockerfile", "Dockerfile.dockerignore", ".dockerignore"),
        *("app", "app/main.py", "app/deep", "app/deep/er.txt"),
    }
    (tmp_path / "Other").write_text("FROM other")
    (tmp_path / "Other.dockerignore").write_text("*.md")
    context = local_context(str(folder), f"{tmp_path}/Other")
    assert context.texts[".dockerignore"] == f"*.md\n{context.dockerfile}\n".encode()
    assert "app/main.py" in {entry.name for entry in context.entries}


def test_sockets_and_pipes_are_left_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(folder / "pipe")
    monkeypatch.chdir(folder)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        assert sent(folder).keys().isdisjoint({"pipe", "socket"})


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_device_is_refused_unless_it_is_ignored(folder: Path) -> None:
    os.mknod(folder / "null", 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    with pytest.raises(InvalidRequest) as caught:
        local_context(str(folder), None)
    assert str(caught.value) == (
        f"{folder}/null is a device, which Windows cannot have as a file\n"
        "Change that, or name it in .dockerignore."
    )
    (folder / ".dockerignore").write_text("null")
    assert "null" not in sent(folder)


def test_what_may_not_be_read_is_said_before_anything_is_sent(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = f"{folder}/notes.md"
    monkeypatch.setattr(build_context.os, "access", lambda path, mode: path != notes)  # root may read all
    with pytest.raises(InvalidRequest) as caught:
        local_context(str(folder), None)
    assert str(caught.value) == (
        f"no permission to read from {notes}\nChange that, or name it in .dockerignore."
    )


def test_a_name_that_windows_cannot_have(folder: Path) -> None:
    Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9")).touch()
    with pytest.raises(InvalidRequest) as caught:
        local_context(str(folder), None)
    assert caught.value.message == "the name of caf\\udce9 is not UTF-8, and Windows has no other"
    (folder / ".dockerignore").write_text("caf*")
    assert len(sent(folder)) == 7


def test_what_is_no_context(tmp_path: Path, folder: Path) -> None:
    def said(path: str, dockerfile: str | None = None) -> str:
        with pytest.raises(InvalidRequest) as caught:
            local_context(path, dockerfile)
        return str(caught.value)

    assert said("/no/such") == 'unable to prepare context: path "/no/such" not found'
    file = f"{folder}/notes.md"
    assert said(file) == f"unable to prepare context: context must be a directory: {file}"
    assert said(f"{folder}/app") == (
        f"there is no Dockerfile in {folder}/app\nName another file or folder: linwin build -f FILE PATH"
    )
    assert said(str(folder), f"{folder}/none") == f"cannot open {folder}/none: No such file or directory"
    assert said(str(folder), f"{tmp_path}/none") == f"cannot open {tmp_path}/none: No such file or directory"
    assert said(str(folder), f"{folder}/app") == f"{folder}/app is not a regular file"
    ignore = folder / ".dockerignore"
    ignore.write_bytes(b"\xff")
    assert said(str(folder)) == f"{ignore} is not UTF-8\nWrite it in that encoding."
    ignore.write_text("a[")
    assert said(str(folder)) == f'cannot use {ignore}: syntax error in pattern "a["\nCorrect that line.'


def test_a_dockerfile_without_an_end(folder: Path) -> None:
    with pytest.raises(InvalidRequest, match="/dev/zero is larger than 16777216 bytes"):
        local_context(str(folder), "/dev/zero")


def test_a_file_that_goes_while_it_is_sent_breaks_the_archive_off(folder: Path) -> None:
    context = local_context(str(folder), None)
    (folder / "app" / "main.py").unlink()
    with pytest.raises(Unavailable) as caught, context.packed() as stream:
        list(iter(stream.read1, b""))
    assert caught.value.message == f"cannot read {folder}/app/main.py: No such file or directory"


def test_a_file_that_became_a_pipe_is_not_waited_for(folder: Path) -> None:
    context = local_context(str(folder), None)
    (folder / "notes.md").unlink()
    os.mkfifo(folder / "notes.md")
    with pytest.raises(Unavailable, match=r"notes\.md: it is no file any more"), context.packed() as stream:
        stream.read()


def test_nobody_reads_to_the_end(folder: Path) -> None:
    (folder / "big").write_bytes(bytes(1 << 22))
    with local_context(str(folder), None).packed() as stream:
        assert stream.read1(512)


def test_what_is_an_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for source in (
        *("https://x.example/a.git#main:sub", "http://x.example/Dockerfile", "git://x.example/a"),
        *("git@x.example:a/b.git", "github.com/a/b"),
    ):
        assert build_context.is_remote(source)
    assert not build_context.is_remote(".")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "github.com" / "a").mkdir(parents=True)
    assert not build_context.is_remote("github.com/a")
