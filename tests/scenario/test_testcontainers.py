"""testcontainers-python against the daemon. Its reaper, a Linux image, is off."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from docker import errors, types
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import (
    CompositeWaitStrategy,
    ExecWaitStrategy,
    HealthcheckWaitStrategy,
    LogMessageWaitStrategy,
)
from testcontainers.core.waiting_utils import WaitStrategy

from tests.scenario.docker_py import off_loop
from tests.scenario.harness import IMAGE, Daemon

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture(autouse=True)
def settings(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", daemon.host)
    monkeypatch.setattr(testcontainers_config, "ryuk_disabled", True)


def container(command: str, **options: object) -> DockerContainer:
    return DockerContainer(IMAGE, network_mode="none", **options).with_command(command)


async def test_a_container_is_ready_when_it_says_so(daemon: Daemon) -> None:
    def use() -> None:
        waiting = container("hang").with_env("A", "1").waiting_for(LogMessageWaitStrategy("hanging"))
        with waiting as running:
            assert running.get_logs() == (b"hanging\n", b"")
            assert running.exec(["echo", "hi"]) == (0, b"hi\n")
            assert b"A=1\n" in running.exec("set").output
            assert running.get_wrapped_container().labels["org.testcontainers.lang"] == "python"

    await off_loop(use)
    assert await daemon.nothing_left()


@pytest.mark.parametrize(
    "strategy",
    [
        lambda: HealthcheckWaitStrategy(),
        lambda: ExecWaitStrategy(["doctor"]),
        lambda: CompositeWaitStrategy(LogMessageWaitStrategy("hanging"), HealthcheckWaitStrategy()),
    ],
    ids=["health", "exec", "both"],
)
async def test_other_ways_to_be_ready(daemon: Daemon, strategy: Callable[[], WaitStrategy]) -> None:
    check = types.Healthcheck(test=["CMD", "doctor"], interval=10**9)

    def use() -> str:
        with container("hang", healthcheck=check).waiting_for(strategy()) as running:
            wrapped = running.get_wrapped_container()
            wrapped.reload()
            return str(wrapped.status)

    assert await off_loop(use) == "running"
    assert await daemon.nothing_left()


async def test_one_that_ends_before_it_is_ready(daemon: Daemon) -> None:
    def use() -> None:
        ended = container("exit 3").waiting_for(LogMessageWaitStrategy("never"))
        try:
            with pytest.raises(RuntimeError, match=r"Container exited \(status: exited, exit code: 3\)"):
                ended.start()
        finally:
            ended.stop()

    await off_loop(use)
    assert await daemon.nothing_left()


async def test_an_image_that_cannot_be_had() -> None:
    with pytest.raises(errors.APIError, match="pull access denied for no/such"):
        await off_loop(lambda: DockerContainer("no/such").start())
