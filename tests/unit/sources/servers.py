"""Servers of this host that builds fetch from."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(**routes: Handler | web.Response | bytes) -> AsyncIterator[str]:
    """A web server on this host; yields its address. Routes are named by the first part of their path."""
    app = web.Application()
    for name, answer in routes.items():
        app.router.add_get(f"/{name}{{rest:.*}}", handler(answer))
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def handler(answer: Handler | web.Response | bytes) -> Handler:
    async def give(request: web.Request) -> web.StreamResponse:
        if isinstance(answer, bytes):
            return web.Response(body=answer)
        return web.Response(status=answer.status, body=answer.body, headers=answer.headers)  # type: ignore[union-attr]

    return give if isinstance(answer, bytes | web.Response) else answer


@asynccontextmanager
async def serving_git(folder: Path) -> AsyncIterator[str]:
    """git's own server of the repositories in ``folder``; yields its address."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        "git", "daemon", "--listen=127.0.0.1", f"--port={port}", "--reuseaddr", "--export-all", "--verbose",
        f"--base-path={folder}", str(folder),
        stderr=asyncio.subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    assert process.stderr is not None
    try:
        while b"Ready to rumble" not in (line := await process.stderr.readline()):
            assert line
        yield f"git://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, 15)
        await process.wait()


def git(folder: Path, *words: str) -> str:
    """Run git as a developer."""
    identity = {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    dates = {"GIT_AUTHOR_DATE": "1600000000 +0000", "GIT_COMMITTER_DATE": "1600000000 +0000"}
    environment = {**os.environ, **identity, **dates, "GIT_CONFIG_GLOBAL": os.devnull}
    words = ("-c", "protocol.file.allow=always", "-c", "init.defaultBranch=main", *words)
    done = subprocess.run(["git", *words], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def commit(repository: Path, files: dict[str, str], *, tag: str = "", branch: str = "") -> str:
    """Commit files, in a repository that is made where there is none; return the commit's id."""
    if not (repository / ".git").exists():
        repository.mkdir(parents=True)
        git(repository, "init", "-q")
    if branch:
        git(repository, "checkout", "-q", "-b", branch)
    for name, content in files.items():
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        (repository / name).write_text(content)
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "x")
    if tag:
        git(repository, "tag", tag)
    return git(repository, "rev-parse", "HEAD")
