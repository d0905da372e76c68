"""A hundred and more command lines against the daemon: docker prints what it prints against its own."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.scenario.docker_commands import LINES
from tests.scenario.docker_commands.line import Line, as_linwin, matches
from tests.scenario.fakes.images import image_of
from tests.scenario.harness import IMAGE, Daemon, Docker, Finished
from tests.scenario.test_linwin_cli import Linwin

REPOSITORY = Path(__file__).parents[2]
LEAST, OLDEST = 100, 20
"""So many are promised (docs/cli.md), to those too who have the client of Debian 12, which is docker 20."""
MORE_HELP = re.compile(r"\.?\n+S?(?:Run|See) 'docker [a-z ]*--help'[^\n]*\n\Z")
"""What docker puts under an error, in other words with each version, and misprinted in 28.2."""
NOTICE = re.compile(rb'linwin: [^\n]* runs on the template "wine" \(Wine, not Windows\)\n')
"""What linwin says once to each user."""


def by_words(lines: Sequence[Line]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("line", lines, ids=[line.words for line in lines])


@pytest.fixture
async def world(daemon: Daemon) -> Daemon:
    """What the commands speak of: see :mod:`tests.scenario.docker_commands.line`."""
    daemon.fakes.images.store(image_of("docker.io/team/app:1", ("echo", "loaded"), ()))
    await asyncio.to_thread(furnish, daemon)
    return daemon


def furnish(daemon: Daemon) -> None:
    client = daemon.client

    def create(name: str, *command: str, **labels: str) -> None:
        body = {"Image": IMAGE, "Cmd": list(command), "Labels": labels}
        client.post("/containers/create", name=name, body=body)

    create("box", "lines", "3", tier="web")
    with client.wait("box", "next-exit") as waiting:
        client.post("/containers/box/start")
        waiting.result()
    create("live", "hang")
    client.post("/containers/live/start")
    create("fresh", "echo", 'a "quoted" word and more')


@pytest.fixture(scope="session")
def client_version(docker_client: str) -> int:
    """The major version of docker's client."""
    import subprocess

    said = subprocess.run([docker_client, "--version"], check=True, capture_output=True, text=True).stdout
    found = re.search(r"version (\d+)\.", said)
    assert found, said
    return int(found[1])


@by_words(LINES)
async def test_docker(line: Line, docker: Docker, world: Daemon, client_version: int) -> None:
    if client_version < line.needs:
        pytest.skip(f"docker {client_version} has other words or no such flag: docker {line.needs} and later")
    stdin = None if line.stdin is None else line.stdin.encode()
    done = await docker(*line.arguments, stdin=stdin)
    assert_prints(line, done)


@by_words([line for line in LINES if line.own is not None])
async def test_linwin(line: Line, world: Daemon, short_folder: Path) -> None:
    linwin = Linwin(world.host, short_folder)
    stdin = None if line.stdin is None else line.stdin.encode()
    done = await linwin(*line.arguments, stdin=stdin)
    assert_prints(as_linwin(line), Finished(done.code, done.out, NOTICE.sub(b"", done.err)))


def test_there_are_as_many_as_promised() -> None:
    words = [line.words for line in LINES]
    assert len(set(words)) == len(words)
    assert sum(line.needs <= OLDEST for line in LINES) >= LEAST


def test_users_are_told_of_every_difference() -> None:
    told = " ".join((REPOSITORY / "docs" / "cli.md").read_text(encoding="utf-8").split())
    reasons = {line.own.why for line in LINES if line.own is not None and line.own.why}
    assert {reason for reason in reasons if reason not in told} == set()


def _without_help(err: str) -> str:
    return MORE_HELP.sub("", err).rstrip(".\n ")


def assert_prints(line: Line, done: Finished) -> None:
    out, err = done.out.decode(), _without_help(done.err.decode())
    expected = _without_help(line.err + (f"{line.hint}\n" if line.hint else ""))
    assert (done.code, matches(line.out, out), matches(expected, err)) == (line.code, True, True), (
        f"{line.words}\nexit code {done.code}, not {line.code}\n"
        f"stdout:\n{out}\nnot:\n{line.out}\nstderr:\n{err}\nnot:\n{expected}"
    )
