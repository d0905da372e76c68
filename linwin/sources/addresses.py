"""Where a context is fetched from: what docker takes for a repository of git, and its parts."""

from __future__ import annotations

import re
from dataclasses import dataclass

from linwin.errors import InvalidRequest

WEB = ("http://", "https://")
GIT = ("git://", "ssh://", "git@", "github.com/")
REPOSITORY = re.compile(r"\.git(#.+)?$")
DEFAULT_REF = "HEAD"
REF = re.compile(r"[^-\x00-\x20\x7f~^:?*\[\\][^\x00-\x20\x7f~^:?*\[\\]*")
"""What git takes for the name of a branch or tag, or for a commit (git-check-ref-format(1))."""


@dataclass(frozen=True, slots=True)
class Repository:
    """``folder`` of the commit that ``ref`` names at ``url``; empty for all of it."""

    url: str
    ref: str
    folder: str


def git_address(address: str) -> Repository | None:
    """``URL[#REF[:FOLDER]]``; None for an address that is not of git. Raises InvalidRequest."""
    is_git = address.startswith(GIT) or (address.startswith(WEB) and REPOSITORY.search(address))
    if not is_git:
        return None
    url, _, fragment = address.partition("#")
    ref, _, folder = fragment.partition(":")
    if url.startswith("github.com/"):
        url = f"https://{url}"
    if ref and not REF.fullmatch(ref):
        raise InvalidRequest(
            f'"{ref}" is not the name of a branch, a tag or a commit', hint="Write URL#REF or URL#REF:FOLDER."
        )
    if any(character.isspace() or not character.isprintable() for character in url):
        raise InvalidRequest("the address of the repository has blanks or control characters in it")
    return Repository(url, ref or DEFAULT_REF, folder)


def without_secret(address: str) -> str:
    """An address for people: with no password that it may have."""
    return re.sub(r"(?<=://)[^/@#]*@", "", address)
