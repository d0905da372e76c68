"""A daemon in no swarm, without plugins, by docker's own client."""

from __future__ import annotations

import re

import pytest

from linwin.api import swarm
from tests.scenario.harness import Docker, Finished
from tests.scenario.raw_http import RawConnection


@pytest.mark.parametrize(
    "words", [("node", "ls"), ("service", "ls"), ("secret", "ls"), ("config", "ls"), ("stack", "ls")]
)
async def test_what_a_swarm_manager_answers(docker: Docker, words: tuple[str, ...]) -> None:
    refused = await docker(*words)
    assert refused.code == 1
    assert b"This node is not a swarm manager." in refused.err


async def test_there_is_no_swarm_to_make_or_leave(docker: Docker) -> None:
    made = await docker("swarm", "init")
    assert made.code == 1
    assert b"linwin does not support swarm mode" in made.err
    left = await docker("swarm", "leave")
    assert left.code == 1
    assert b"This node is not part of a swarm" in left.err


async def test_there_are_no_plugins(docker: Docker) -> None:
    assert await docker("plugin", "ls", "-q") == Finished(0, b"", b"")
    missing = await docker("plugin", "inspect", "vieux/sshfs")
    assert missing.code == 1
    assert b"vieux/sshfs" in missing.err  # in words of the client's own, up to 20.10


async def test_there_is_no_buildkit(connection: RawConnection) -> None:
    answer = await connection.request("POST", "/v1.50/session")
    assert answer.status == 400
    assert answer.json["message"].startswith("linwin has no BuildKit")


@pytest.mark.parametrize(("method", "path", "_"), swarm.ROUTES)
async def test_every_route_is_answered_in_dockers_words(
    connection: RawConnection, method: str, path: str, _: object
) -> None:
    where = re.sub(r"\{[^}]*\}", "any", path)
    answer = await connection.request(method, f"/v1.50{where}", None if method == "GET" else {"Name": "any"})
    if path == "/plugins":
        assert (answer.status, answer.json) == (200, [])
        return
    assert answer.status in (400, 404, 501, 503)
    assert answer.json["message"]
