"""What a shell is offered, by the shells themselves."""

from __future__ import annotations

import asyncio
import os
import shutil
from asyncio.subprocess import DEVNULL, PIPE

import pytest

from tests.scenario.harness import IMAGE, Docker


async def offered(line: str, host: str) -> list[str]:
    """The words that bash would offer behind ``line``, by the script that ``completion`` prints."""
    words = line.split(" ")
    script = (
        "source <(linwin completion bash)\n"
        'COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _linwin_completion linwin\n'
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    process = await asyncio.create_subprocess_exec(
        *("bash", "--norc", "-c", script, "bash", *words),
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
        env={**os.environ, "LINWIN_HOST": host, "PYTHONWARNINGS": "ignore"},
    )
    out, err = await asyncio.wait_for(process.communicate(), 30)
    assert err == b""
    return out.decode().split()


async def test_commands_and_options(docker: Docker) -> None:
    assert await offered("linwin pau", docker.host) == ["pause"]
    assert await offered("linwin daemon st", docker.host) == ["start", "status", "stop"]
    assert "--follow" in await offered("linwin logs --f", docker.host)


async def test_containers(docker: Docker) -> None:
    for name in ("box", "bar"):
        await docker("create", "--name", name, IMAGE)
    assert sorted(await offered("linwin start b", docker.host)) == ["bar", "box"]
    assert await offered("linwin rm box ba", docker.host) == ["bar"]
    assert await offered("linwin exec bo", docker.host) == ["box"]
    assert await offered("linwin exec box c", docker.host) == []
    assert await offered("linwin rename box ba", docker.host) == []


async def test_images(docker: Docker) -> None:
    assert f"{IMAGE}:latest" in await offered("linwin history microsoft/n", docker.host)


async def test_volumes(docker: Docker) -> None:
    await docker("volume", "create", "data")
    assert await offered("linwin volume rm d", docker.host) == ["data"]
    assert await offered("linwin volume create d", docker.host) == []


async def test_no_daemon_is_started_for_it() -> None:
    assert await offered("linwin start b", "unix:///nonexistent/linwin.sock") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
async def test_the_scripts_are_the_shells_own_language(shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    script = f'linwin completion {shell} > "$0"; {shell} -n "$0"'
    process = await asyncio.create_subprocess_exec(
        *("sh", "-c", script, f"/tmp/linwin-completion-{os.getpid()}"), stderr=PIPE
    )
    _, err = await process.communicate()
    os.unlink(f"/tmp/linwin-completion-{os.getpid()}")
    assert (process.returncode, err) == (0, b"")
