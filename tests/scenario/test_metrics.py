"""``/metrics``: what it counts, that its document lists it all, and where it is served."""

from __future__ import annotations

import asyncio
import re
import socket
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from linwin.api import metrics
from linwin.errors import Unavailable
from linwin.model.address import TcpAddress
from linwin.model.container import ContainerSpec
from linwin.model.pool import PoolPlan
from linwin.model.restart import RestartPolicy
from tests.scenario.fakes import Fakes
from tests.scenario.fakes.images import archive
from tests.scenario.fakes.timing import FakeTiming
from tests.scenario.harness import IMAGE, Daemon, Docker, make_root, served
from tests.scenario.test_pool import filled

DOCUMENT = Path(__file__).parents[2] / "docs" / "metrics.md"


class Scraped:
    """One answer of ``/metrics``."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.families: list[Metric] = list(text_string_to_metric_families(text))

    def __getitem__(self, key: tuple[str, ...]) -> float:
        """The value of a sample, by its name and its labels' values in any order; 0 for one there is not."""
        name, *values = key
        for family in self.families:
            for sample in family.samples:
                if sample.name == name and sorted(sample.labels.values()) == sorted(values):
                    return sample.value
        return 0


async def scrape(daemon: Daemon) -> Scraped:
    def ask() -> str:
        with daemon.client.request("GET", "/metrics") as response:
            return response.read().decode()

    return Scraped(await asyncio.to_thread(ask))


async def test_the_document_lists_what_is_exported(daemon: Daemon, docker: Docker) -> None:
    await docker("run", "--rm", IMAGE, "echo", "hello")
    await docker("stop", "nobody")
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| ([^|]*)\|", DOCUMENT.read_text(), re.MULTILINE)
    documented = {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}
    exported = {}
    for family in (await scrape(daemon)).families:
        name = f"{family.name}_total" if family.type == "counter" else family.name
        exported[name] = family.type
        labels = set().union(*(sample.labels for sample in family.samples)) - {"le"}
        assert labels == documented[name][1] or not family.samples, name
    assert exported == {name: kind for name, (kind, _) in documented.items()}


async def test_containers_by_state(daemon: Daemon) -> None:
    for name, program in (("one", "hang"), ("two", "hang"), ("three", "exit"), ("four", "exit")):
        await daemon.engine.create(ContainerSpec(IMAGE, cmd=(program, "0")), name)
    await daemon.engine.start("one")
    await daemon.engine.start("two")
    await daemon.engine.pause("two")
    await daemon.engine.start("three")
    await (await daemon.engine.wait("three", "not-running"))
    await daemon.engine.live((await daemon.engine.inspect("three")).id).task  # type: ignore[misc]
    found = await scrape(daemon)
    states = ("created", "running", "paused", "exited", "dead")
    assert [found["linwin_containers", state] for state in states] == [1, 1, 1, 1, 0]


async def test_starts_by_phase_and_boot(short_folder: Path) -> None:
    fakes = Fakes()
    async with served(fakes, make_root(short_folder), pool=PoolPlan(size=1)) as daemon:
        await filled(daemon)
        first = await scrape(daemon)
        assert (first["linwin_pool_size",], first["linwin_pool_ready",]) == (1, 1)
        for name, cold in (("pooled", False), ("cold", True)):
            await daemon.engine.create(ContainerSpec(IMAGE, cmd=("hang",), cold=cold), name)
            await daemon.engine.start(name)
        await filled(daemon)
        await daemon.engine.pool.close()
        await daemon.engine.create(ContainerSpec(IMAGE, cmd=("hang",)), "restored")
        await daemon.engine.start("restored")
        found = await scrape(daemon)
        for boot in ("pooled", "cold", "restored"):
            assert found["linwin_start_seconds_count", boot] == 1
            for phase in ("overlay", "guest", "prepare", "spawn", "state"):
                assert found["linwin_start_phase_seconds_count", phase, boot] == 1
                assert found["linwin_start_phase_seconds_bucket", phase, boot, "+Inf"] == 1
        assert found["linwin_checkpoint_restores_total", "hit"] == 1
        assert found["linwin_pool_ready",] == 0


async def test_checkpoints_that_miss_and_fail(daemon: Daemon) -> None:
    daemon.fakes.machines.warm = False
    await daemon.engine.create(ContainerSpec(IMAGE, cmd=("hang",)), "missing")
    await daemon.engine.start("missing")
    daemon.fakes.machines.spoilt = "it is spoilt"
    await daemon.engine.create(ContainerSpec(IMAGE, cmd=("hang",)), "failing")
    await daemon.engine.start("failing")
    found = await scrape(daemon)
    results = [found["linwin_checkpoint_restores_total", result] for result in ("hit", "miss", "failed")]
    assert results == [0, 1, 1]
    assert found["linwin_start_seconds_count", "cold"] == 2


async def test_requests_by_route_and_errors_by_kind(daemon: Daemon, docker: Docker) -> None:
    await docker("create", "--name", "pet", IMAGE)
    for name in ("pet", "nobody", "no-one"):
        await docker("inspect", "--type", "container", name)
    found = await scrape(daemon)
    route = "/containers/{id}/json"
    assert found["linwin_api_requests_total", "GET", route, "200"] == 1
    assert found["linwin_api_requests_total", "GET", route, "404"] == 2
    assert found["linwin_api_request_seconds_count", "GET", route] == 3
    assert found["linwin_errors_total", f"GET {route}", "NotFound"] == 2
    assert found["linwin_api_requests_in_flight",] == 1
    assert "nobody" not in found.text
    assert "pet" not in found.text


async def test_a_stranger_adds_no_label(daemon: Daemon) -> None:
    def ask(method: str, path: str) -> int:
        with pytest.raises(Exception, match="page not found"), daemon.client.request(method, path):
            raise AssertionError("it was answered")
        return 0

    for method, path in (("GET", "/a"), ("LOCK", "/b"), ("LOCK", "/info"), ("GET", "/v1.40/c")):
        await asyncio.to_thread(ask, method, path)
    found = await scrape(daemon)
    assert found["linwin_api_requests_total", "(unknown)", "(unknown)", "404"] == 4
    assert "LOCK" not in found.text


async def test_a_defect_is_counted(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("broken")

    with monkeypatch.context() as patch:
        patch.setattr(daemon.engine, "info", broken)
        with pytest.raises(Exception, match="internal error"):
            await asyncio.to_thread(daemon.client.get, "/info")
    found = await scrape(daemon)
    assert found["linwin_errors_total", "GET /info", "Internal"] == 1
    assert found["linwin_api_requests_total", "GET", "/info", "500"] == 1


async def test_clients_that_hang_up(daemon: Daemon) -> None:
    await daemon.engine.create(ContainerSpec(IMAGE, cmd=("hang",)), "pet")
    requests = (("GET", "/events"), ("POST", "/containers/pet/wait"))
    # Heads come once events are followed, and the wait is registered.
    opened = [await asyncio.to_thread(daemon.client.request, "GET", "/events")]
    await daemon.engine.start("pet")
    opened.append(await asyncio.to_thread(daemon.client.request, "POST", "/containers/pet/wait"))
    found = await scrape(daemon)
    assert found["linwin_events_followers",] == 1
    assert found["linwin_api_requests_in_flight",] == 3
    for response in opened:
        response.close()
    async with asyncio.timeout(30):
        while found["linwin_api_requests_in_flight",] > 1:
            found = await scrape(daemon)
    assert found["linwin_events_followers",] == 0
    for method, path in requests:
        route = path.replace("pet", "{id}")
        assert found["linwin_api_requests_total", method, route, "gone"] == 1


async def test_bytes_of_output_and_images(daemon: Daemon, docker: Docker) -> None:
    await docker("run", "--name", "pet", IMAGE, "echo", "hello")
    assert (await scrape(daemon))["linwin_output_bytes_total", "stdout"] == len(b"hello\n")
    brought = archive("team/app:1")
    assert (await docker("load", stdin=brought)).code == 0
    saved = await docker("save", "team/app:1")
    found = await scrape(daemon)
    assert found["linwin_image_bytes_total", "loaded"] == len(brought)
    assert found["linwin_image_bytes_total", "saved"] == len(saved.out) > 0


@pytest.mark.parametrize("program", ["hang", "echo"])
async def test_bytes_of_copies(daemon: Daemon, docker: Docker, tmp_path: Path, program: str) -> None:
    """Of a container that runs, and of one at rest."""
    await docker("run", "-d", "--name", "pet", IMAGE, program)
    (tmp_path / "file").write_bytes(b"x" * 5000)
    assert (await docker("cp", str(tmp_path / "file"), "pet:C:/")).code == 0
    assert 5000 < (await scrape(daemon))["linwin_copy_bytes_total", "in"] < 20000
    assert (await docker("cp", "pet:C:/file", str(tmp_path / "back"))).code == 0
    assert (tmp_path / "back").read_bytes() == b"x" * 5000
    assert 5000 < (await scrape(daemon))["linwin_copy_bytes_total", "out"] < 20000


async def test_background_work_that_fails(short_folder: Path) -> None:
    fakes = Fakes()
    fakes.machines.spoilt = "it is spoilt"
    async with served(fakes, make_root(short_folder), pool=PoolPlan(size=1)) as daemon:
        await filled(daemon)
        assert (await scrape(daemon))["linwin_errors_total", "pool", "Unavailable"] == 1


async def test_restarts_and_their_failures(daemon: Daemon) -> None:
    daemon.engine.timing = timing = FakeTiming()
    spec = ContainerSpec(IMAGE, cmd=("hang",), restart=RestartPolicy("always"))
    await daemon.engine.create(spec, "pet")
    await daemon.engine.start("pet")
    daemon.fakes.machines.broken = "this host is full"
    await daemon.fakes.guests.last.signal("KILL")
    timing.advance(await timing.waits.get())
    await timing.waits.get()
    found = await scrape(daemon)
    assert found["linwin_restarts_total",] == 1
    assert found["linwin_errors_total", "restart", "Unavailable"] == 1


async def test_two_engines_do_not_meet(daemon: Daemon, docker: Docker, tmp_path: Path) -> None:
    await docker("run", "--rm", IMAGE, "echo", "hello")
    (tmp_path / "other").mkdir()
    async with served(Fakes(), make_root(tmp_path / "other")) as other:
        assert (await scrape(other))["linwin_output_bytes_total", "stdout"] == 0
    assert (await scrape(daemon))["linwin_output_bytes_total", "stdout"] > 0


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        number: int = free.getsockname()[1]
    return number


async def test_a_listener_of_its_own(short_folder: Path, port: int) -> None:
    def ask(path: str) -> tuple[int, str, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as response:
                return response.status, response.headers["Content-Type"], response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, "", ""

    paths, at = make_root(short_folder), TcpAddress("127.0.0.1", port)
    async with served(Fakes(), paths, metrics_at=at) as daemon:
        status, kind, text = await asyncio.to_thread(ask, "/metrics")
        assert (status, kind) == (200, "text/plain; version=0.0.4; charset=utf-8")
        assert Scraped(text)["linwin_containers", "running"] == 0
        assert text.startswith("# HELP process_virtual_memory_bytes")
        for path in ("/", "/info", "/containers/json", "/v1.41/metrics"):
            assert (await asyncio.to_thread(ask, path))[0] == 404
        with pytest.raises(Unavailable) as taken:
            async with served(Fakes(), paths, metrics_at=at):
                raise AssertionError("two listen on one port")
        assert taken.value.message.startswith(f"cannot serve metrics on 127.0.0.1:{port}: ")
        assert taken.value.hint == "Choose an address of this host and a port that is free."
        assert await daemon.engine.list() == []
    with pytest.raises(urllib.error.URLError):
        await asyncio.to_thread(ask, "/metrics")


async def test_strangers_do_not_take_the_daemons_descriptors(
    short_folder: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "MOST_CONNECTIONS", 3)
    async with served(Fakes(), make_root(short_folder), metrics_at=TcpAddress("127.0.0.1", port)) as daemon:
        idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            assert await asyncio.wait_for(reader.read(), 10) == b""
            assert await daemon.engine.list() == []
            idle[0][1].write(b"GET /metrics HTTP/1.0\r\n\r\n")
            assert (await asyncio.wait_for(idle[0][0].readline(), 10)).startswith(b"HTTP/1.0 200")
        finally:
            for each in (writer, *(kept for _, kept in idle)):
                each.transport.abort()
