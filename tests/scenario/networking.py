"""What the tests of networks ask docker's client and the host."""

from __future__ import annotations

import json
from typing import Any

from linwin.model.network import Attachment
from tests.scenario.harness import Daemon, Docker, Finished


async def inspected(docker: Docker, name: str, kind: str = "container") -> Any:
    done = await docker(kind, "inspect", name)
    assert done.code == 0, done.err
    return json.loads(done.out)[0]


async def endpoint(docker: Docker, container: str, network: str) -> Any:
    return (await inspected(docker, container))["NetworkSettings"]["Networks"][network]


async def ok(docker: Docker, *words: str) -> str:
    done = await docker(*words)
    assert done.code == 0, done.err
    return done.out.decode().strip()


def attached(daemon: Daemon) -> tuple[Attachment, ...]:
    return daemon.fakes.networks.applied.attachments


def complaint(done: Finished) -> str:
    assert done.code != 0
    return done.err.decode()
