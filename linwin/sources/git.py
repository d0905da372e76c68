"""Repositories of git as contexts, fetched by the host's git.

What a repository says is not trusted: no hook of it runs, no program that a configuration names, and
no transport but those that docker takes. Nothing asks for a password: one that is needed fails.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from linwin.errors import InvalidRequest, LinwinError, Unavailable
from linwin.host.process import Completed, run
from linwin.sources.addresses import DEFAULT_REF, Repository, without_secret

TIMEOUT = 900.0
"""Seconds for a fetch."""
TRANSPORTS = "git:http:https:ssh"
SETTINGS = {
    "core.hooksPath": os.devnull,
    "core.fsmonitor": "false",
    "credential.helper": "",
    "advice.detachedHead": "false",
    "http.lowSpeedLimit": "1",
    "http.lowSpeedTime": "60",
}
KEPT = ("PATH", "HOME", "SSH_AUTH_SOCK", "http_proxy", "https_proxy", "no_proxy", "HTTPS_PROXY", "NO_PROXY")
"""Of the daemon's environment: where programs, keys and proxies are."""
COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Checkout:
    """A commit's files in ``folder``. ``time`` is the commit's, in seconds since 1970."""

    folder: Path
    time: int


async def check_out(repository: Repository, folder: Path) -> Checkout:
    """Fetch a repository's commit, with its submodules, into ``folder``, which git makes.

    Raises InvalidRequest for a ref that it does not have, Unavailable for what cannot be fetched.
    """
    await git(folder.parent, "init", "--quiet", "--template=", "--", str(folder))
    await git(folder, "remote", "add", "--", "origin", repository.url)
    commit = await fetch(repository, folder)
    await git(folder, "checkout", "--quiet", "--detach", commit)
    done = await attempt(folder, "submodule", "--quiet", "update", "--init", "--recursive", "--depth=1")
    if done.returncode:
        raise failure(f"the submodules of {without_secret(repository.url)}", done)
    time = await git(folder, "log", "-1", "--format=%ct", "HEAD")
    return Checkout(folder, int(time.stdout))


async def fetch(repository: Repository, folder: Path) -> str:
    """Fetch one commit alone, or where a server does not give that, all that leads to it; return its name."""
    words = ("fetch", "--quiet", "--no-tags", "--no-recurse-submodules")
    done = await attempt(folder, *words, "--depth=1", "--", "origin", repository.ref)
    if done.returncode and (b"shallow" in done.stderr or b"dumb" in done.stderr):
        done = await attempt(folder, *words, "--", "origin", repository.ref)
    if not done.returncode:
        return "FETCH_HEAD"
    if COMMIT.fullmatch(repository.ref):
        # A server may refuse to be asked for a commit by its id.
        done = await attempt(folder, *words, "--", "origin", "+refs/*:refs/remotes/origin/*")
        if not done.returncode:
            done = await attempt(folder, "rev-parse", "--quiet", "--verify", f"{repository.ref}^{{commit}}")
            if not done.returncode:
                return repository.ref
            raise unknown(repository)
    if b"couldn't find remote ref" in done.stderr:
        raise unknown(repository)
    raise failure(without_secret(repository.url), done)


def unknown(repository: Repository) -> InvalidRequest:
    what = "commit" if repository.ref == DEFAULT_REF else f'branch, tag or commit "{repository.ref}"'
    return InvalidRequest(
        f"{without_secret(repository.url)} has no {what}", hint="Name another one: URL#REF."
    )


def failure(what: str, done: Completed) -> LinwinError:
    return Unavailable(
        f"cannot fetch {what}: {without_secret(done.last_words)}",
        hint="Check the address, and that this host can reach it without being asked for a password.",
    )


async def git(folder: Path, *words: str) -> Completed:
    """Run git in the repository at ``folder``. Raises Unavailable in its own words."""
    return (await attempt(folder, *words)).check()


async def attempt(folder: Path, *words: str) -> Completed:
    return await run(["git", *words], cwd=folder, env=environment(folder), timeout=TIMEOUT)


def environment(folder: Path) -> dict[str, str]:
    kept = {name: value for name in KEPT if (value := os.environ.get(name)) is not None}
    settings = {"GIT_CONFIG_COUNT": str(len(SETTINGS))}
    for index, (key, value) in enumerate(SETTINGS.items()):
        settings |= {f"GIT_CONFIG_KEY_{index}": key, f"GIT_CONFIG_VALUE_{index}": value}
    return {
        **kept,
        **settings,
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ALLOW_PROTOCOL": TRANSPORTS,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "",
        "SSH_ASKPASS": "",
        "GIT_SSH_COMMAND": "ssh -oBatchMode=yes",
        # No repository that the folder may lie in is anything to it.
        "GIT_CEILING_DIRECTORIES": str(folder.parent),
    }
