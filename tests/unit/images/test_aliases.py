"""Aliases: where retired names live now, and the user's own lines."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from linwin.errors import InvalidRequest
from linwin.images import references
from linwin.images.aliases import Aliases

HINT = "Write one line an alias, as in: microsoft/nanoserver: mcr.microsoft.com/windows/nanoserver"


def home(aliases: Aliases, name: str) -> str:
    return str(aliases.home(references.parse(name)))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("microsoft/nanoserver", "mcr.microsoft.com/windows/nanoserver:latest"),
        ("microsoft/nanoserver:1809", "mcr.microsoft.com/windows/nanoserver:1809"),
        ("microsoft/windowsservercore:ltsc2016", "mcr.microsoft.com/windows/servercore:ltsc2016"),
        ("microsoft/iis", "mcr.microsoft.com/windows/servercore/iis:latest"),
        ("mcr.microsoft.com/windows/nanoserver:1809", "mcr.microsoft.com/windows/nanoserver:1809"),
        ("example/app", "docker.io/example/app:latest"),
    ],
)
def test_the_packaged_table_knows_the_retired_names(tmp_path: Path, old: str, new: str) -> None:
    assert home(Aliases(tmp_path / "absent"), old) == new


def test_a_digest_moves_with_its_name(tmp_path: Path) -> None:
    digest = "sha256:" + "a" * 64
    moved = home(Aliases(tmp_path / "absent"), f"microsoft/nanoserver@{digest}")
    assert moved == f"mcr.microsoft.com/windows/nanoserver@{digest}"


def test_the_users_file_adds_replaces_and_removes_lines_while_we_run(tmp_path: Path) -> None:
    file = tmp_path / "aliases.yaml"
    aliases = Aliases(file)
    assert home(aliases, "old/app") == "docker.io/old/app:latest"
    file.write_text(
        "old/app: registry.test/new/app\n"
        "'old/app:1': registry.test/one:2\n"
        "microsoft/nanoserver: null\n"
        "microsoft/iis: registry.test/iis\n"
    )
    assert home(aliases, "old/app") == "registry.test/new/app:latest"
    assert home(aliases, "old/app:1") == "registry.test/one:2"
    assert home(aliases, "microsoft/nanoserver") == "docker.io/microsoft/nanoserver:latest"
    assert home(aliases, "microsoft/iis:x") == "registry.test/iis:x"
    file.write_text("")
    assert home(aliases, "old/app") == "docker.io/old/app:latest"
    file.unlink()
    assert home(aliases, "microsoft/nanoserver") == "mcr.microsoft.com/windows/nanoserver:latest"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a\n", "{file} is not a table of aliases"),
        ("1: a\n", "{file}: 1: both sides of an alias are image names"),
        ("a: [b]\n", "{file}: 'a': both sides of an alias are image names"),
        ("a: B\n", "{file}: a: invalid reference format: repository name (library/B) must be lowercase"),
        ("a b: c\n", "{file}: a b: invalid reference format"),
    ],
)
def test_says_which_line_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "aliases.yaml"
    file.write_text(text)
    with pytest.raises(InvalidRequest) as caught:
        home(Aliases(file), "x")
    assert caught.value.message == message.format(file=file)
    assert caught.value.hint == HINT


@pytest.mark.parametrize(
    ("data", "beginning"),
    [
        (b"a: [", "{file} is not YAML: "),
        (b"\xff", "{file} is not UTF-8 text"),
        (b"#" * ((1 << 20) + 1), "{file} is larger than 1048576 bytes"),
        (b"[" * 5000, "{file} is n"),
    ],
)
def test_an_unreadable_file_is_named(tmp_path: Path, data: bytes, beginning: str) -> None:
    file = tmp_path / "aliases.yaml"
    file.write_bytes(data)
    with pytest.raises(InvalidRequest) as caught:
        home(Aliases(file), "x")
    assert caught.value.message.startswith(beginning.format(file=file))


def test_a_folder_in_the_files_place_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest) as caught:
        home(Aliases(tmp_path), "x")
    assert caught.value.message == f"cannot read {tmp_path}: {os.strerror(21)}"
