"""Which addresses are repositories of git, and what they say."""

from __future__ import annotations

import pytest

from linwin.errors import InvalidRequest
from linwin.sources.addresses import Repository, git_address, without_secret


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("https://host/a/b.git", ("https://host/a/b.git", "HEAD", "")),
        ("http://host/b.git#v1", ("http://host/b.git", "v1", "")),
        ("https://host/b.git#pull/42/head:docker/win", ("https://host/b.git", "pull/42/head", "docker/win")),
        ("https://host/b.git#:docker", ("https://host/b.git", "HEAD", "docker")),
        ("git://host/b", ("git://host/b", "HEAD", "")),
        ("git@host:a/b.git#main", ("git@host:a/b.git", "main", "")),
        ("ssh://git@host/a/b", ("ssh://git@host/a/b", "HEAD", "")),
        ("github.com/a/b#main", ("https://github.com/a/b", "main", "")),
    ],
)
def test_addresses_of_git(address: str, expected: tuple[str, str, str]) -> None:
    assert git_address(address) == Repository(*expected)


@pytest.mark.parametrize(
    "address",
    [
        "https://host/a.tar.gz",
        "http://host/Dockerfile",
        "https://host/a.git/x",
        "file:///x.git",
        "ext::sh",
        "/x",
    ],
)
def test_others_are_not(address: str) -> None:
    assert git_address(address) is None


@pytest.mark.parametrize("ref", ["--upload-pack=x", "a b", "a..b^", "a~1", "x\x7f", "@{1}?"])
def test_what_cannot_be_a_ref_never_reaches_git(ref: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        git_address(f"https://host/a.git#{ref}")
    assert refusal.value.message == f'"{ref}" is not the name of a branch, a tag or a commit'
    assert refusal.value.hint == "Write URL#REF or URL#REF:FOLDER."


def test_an_address_has_no_blanks() -> None:
    with pytest.raises(InvalidRequest) as refusal:
        git_address("git@host:a b")
    assert refusal.value.message == "the address of the repository has blanks or control characters in it"


def test_passwords_are_not_shown() -> None:
    assert without_secret("https://me:secret@host/a@b") == "https://host/a@b"
    assert without_secret("git@host:a") == "git@host:a"
