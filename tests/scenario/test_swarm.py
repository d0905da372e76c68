"""A daemon in no swarm and without plugins, by docker's own client and by the bare API."""

from __future__ import annotations

import re

import pytest

from linwin.api import swarm
from linwin.api.context import Handler
from tests.scenario.harness import Docker, Finished
from tests.scenario.raw_http import RawConnection

STATUS: dict[Handler, int] = {
    swarm.managed: 503,
    swarm.join: 501,
    swarm.leave: 503,
    swarm.plugins: 200,
    swarm.plugin: 404,
    swarm.install: 501,
    swarm.cluster_volume: 503,
    swarm.session: 400,
}
"""What each handler answers, told a second time: the routes' own table is what is tested."""


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


@pytest.mark.parametrize(("method", "path", "handler"), swarm.ROUTES)
async def test_every_route_is_answered_in_dockers_words(
    connection: RawConnection, method: str, path: str, handler: Handler
) -> None:
    where = re.sub(r"\{[^}]*\}", "any", path)
    answer = await connection.request(method, f"/v1.50{where}", None if method == "GET" else {"Name": "any"})
    assert answer.status == STATUS[handler]
    if answer.status == 200:
        assert answer.json == []
    else:
        assert answer.json["message"]
