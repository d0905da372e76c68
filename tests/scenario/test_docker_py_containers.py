"""docker-py's containers: every verb, every stream, every listing."""

from __future__ import annotations

import io
import tarfile
from typing import Any

import pytest
from docker import errors, types

from tests.scenario.docker_py import off_loop
from tests.scenario.harness import IMAGE, Daemon

# docker-py leaves the sockets of hijacked connections to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture
async def pet(python: Any) -> Any:
    """A container that runs until it is told to end."""
    return await off_loop(
        lambda: python.containers.run(
            IMAGE, "hang", detach=True, name="pet", labels={"tier": "front"}, network_mode="none"
        )
    )


async def test_what_is_created_is_inspected(python: Any) -> None:
    made = await off_loop(
        lambda: python.containers.create(
            IMAGE,
            ["echo", "a b"],
            name="made",
            hostname="box",
            environment={"A": "1"},
            labels=["bare"],
            working_dir="C:\\work",
            user="ContainerUser",
            mem_limit="1g",
            nano_cpus=2_000_000_000,
            stop_signal="SIGTERM",
            auto_remove=False,
            tty=True,
            stdin_open=True,
            healthcheck=types.Healthcheck(test=["CMD", "doctor"], interval=2_000_000_000),
            restart_policy={"Name": "on-failure", "MaximumRetryCount": 3},
            log_config=types.LogConfig(type="json-file", config={"max-size": "1m"}),
        )
    )
    config, host = made.attrs["Config"], made.attrs["HostConfig"]
    assert (made.name, made.status, made.labels) == ("made", "created", {"maker": "tests", "bare": ""})
    assert (config["Hostname"], config["WorkingDir"], config["User"]) == ("box", "C:\\work", "ContainerUser")
    assert "A=1" in config["Env"]
    assert (host["Memory"], host["CpuCount"]) == (1 << 30, 2)
    assert host["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 3}
    assert host["LogConfig"] == {"Type": "json-file", "Config": {"max-size": "1m"}}
    assert config["Healthcheck"] == {"Test": ["CMD", "doctor"], "Interval": 2_000_000_000}


async def test_filters_of_a_listing(python: Any, pet: Any, daemon: Daemon) -> None:
    ended = await off_loop(lambda: python.containers.run(IMAGE, ["exit", "4"], detach=True, name="ended"))
    await off_loop(ended.wait)

    async def names(**filters: Any) -> set[str]:
        found = await off_loop(lambda: python.containers.list(all=True, filters=filters))
        return {one.name for one in found}

    assert await names(status="running") == {"pet"}
    assert await names(status=["running", "exited"]) == {"pet", "ended"}
    assert await names(exited=4) == {"ended"}
    assert await names(label="tier") == await names(label=["tier=front"]) == {"pet"}
    assert await names(name="^/en") == {"ended"}
    assert await names(id=pet.id) == {"pet"}
    assert await names(ancestor=IMAGE) == {"pet", "ended"}
    assert await names(since="pet") == await names(before="ended") ^ {"pet", "ended"} == {"ended"}
    last = await off_loop(lambda: python.containers.list(limit=1))
    assert [one.name for one in last] == ["ended"]
    assert [one.id for one in await off_loop(lambda: python.containers.list(sparse=True))] == [pet.id]
    with pytest.raises(errors.APIError, match="invalid filter 'colour'"):
        await names(colour="red")


async def test_wait_ends_with_the_container(python: Any, pet: Any) -> None:
    with pytest.raises(Exception, match="timed out"):
        await off_loop(lambda: pet.wait(timeout=0.2))
    await off_loop(lambda: pet.kill(signal="SIGINT"))
    assert await off_loop(lambda: pet.wait(condition="not-running")) == {"StatusCode": 0xC000013A}
    assert await off_loop(lambda: pet.logs(tail=1)) == b"got INT\n"


async def test_a_wait_for_removal(python: Any) -> None:
    made = await off_loop(lambda: python.containers.run(IMAGE, ["exit", "2"], auto_remove=True, detach=True))
    try:
        assert (await off_loop(lambda: made.wait(condition="removed")))["StatusCode"] == 2
    except errors.NotFound:  # it may be gone by then
        assert await off_loop(lambda: python.containers.list(all=True)) == []


async def test_logs_are_selected(python: Any) -> None:
    six = await off_loop(lambda: python.containers.run(IMAGE, ["lines", "6"], detach=True))
    await off_loop(six.wait)
    assert await off_loop(lambda: six.logs(stdout=True, stderr=False)) == b"line 0\nline 2\nline 4\n"
    assert await off_loop(lambda: six.logs(tail=2)) == b"line 4\nline 5\n"
    stamped = await off_loop(lambda: six.logs(timestamps=True, tail=1))
    assert stamped.partition(b" ")[0].endswith(b"Z")
    assert await off_loop(lambda: six.logs(until=1)) == b""
    assert len((await off_loop(lambda: six.logs(since=1))).splitlines()) == 6


async def test_attached_streams_apart(python: Any) -> None:
    made = await off_loop(lambda: python.containers.create(IMAGE, "complain"))
    stream = await off_loop(lambda: made.attach(stream=True, demux=True, stdout=True, stderr=True))
    await off_loop(made.start)
    assert await off_loop(lambda: list(stream)) == [(b"to stdout\n", None), (None, b"to stderr\n")]


async def test_exec(python: Any, pet: Any) -> None:
    assert await off_loop(lambda: pet.exec_run(["echo", "hi"])) == (0, b"hi\n")
    assert await off_loop(lambda: pet.exec_run("complain", demux=True)) == (
        3,
        (b"to stdout\n", b"to stderr\n"),
    )
    assert (await off_loop(lambda: pet.exec_run("set", environment={"X": "y"}))).output.endswith(b"X=y\n")
    code, stream = await off_loop(lambda: pet.exec_run(["lines", "4"], stream=True))
    assert (code, await off_loop(lambda: b"".join(stream))) == (None, b"line 0\nline 1\nline 2\nline 3\n")
    assert not (await off_loop(lambda: pet.exec_run(["echo", "x"], detach=True))).output
    code, output = await off_loop(lambda: pet.exec_run("nothing.exe"))
    assert code == 127
    assert b"cannot find the file" in output


async def test_exec_through_a_socket(python: Any, pet: Any) -> None:
    def talk() -> bytes:
        _, attached = pet.exec_run("cat", stdin=True, socket=True)
        raw = attached._sock
        raw.sendall(b"ping\n")
        received = b""
        while len(received) < 8 + 5:
            received += raw.recv(100)
        attached.close()
        raw.close()
        return received

    assert await off_loop(talk) == b"\x01\0\0\0\0\0\0\x05ping\n"


async def test_exec_with_a_terminal(python: Any, pet: Any) -> None:
    api = python.api
    made = await off_loop(lambda: api.exec_create(pet.id, "screen", tty=True, stdin=True))

    def watch() -> bytes:
        attached = api.exec_start(made["Id"], tty=True, socket=True)
        raw = attached._sock
        seen = b""
        while b"0x0" not in seen and b"x" not in seen:
            seen += raw.recv(100)
        api.exec_resize(made["Id"], height=30, width=100)
        while b"30x100" not in seen:
            seen += raw.recv(100)
        raw.sendall(b"q")
        while raw.recv(100):
            continue
        attached.close()
        raw.close()
        return seen

    assert b"30x100" in await off_loop(watch)
    shown = await off_loop(lambda: api.exec_inspect(made["Id"]))
    assert (shown["Running"], shown["ExitCode"], shown["ProcessConfig"]["tty"]) == (False, 5, True)


def packed(name: str, content: bytes) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as tar:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
    return target.getvalue()


async def test_archives(python: Any, pet: Any) -> None:
    assert await off_loop(lambda: pet.put_archive("C:\\", packed("a.txt", b"content")))
    pieces, stat = await off_loop(lambda: pet.get_archive("C:/a.txt"))
    whole = await off_loop(lambda: b"".join(pieces))
    assert (stat["name"], stat["size"]) == ("a.txt", 7)
    with tarfile.open(fileobj=io.BytesIO(whole)) as tar:
        found = tar.extractfile("a.txt")
        assert found is not None
        assert found.read() == b"content"
    with pytest.raises(errors.NotFound, match="Could not find the file"):
        await off_loop(lambda: pet.get_archive("C:/no/such"))


async def test_stats_and_top(python: Any, pet: Any) -> None:
    one = await off_loop(lambda: pet.stats(stream=False))
    assert one["num_procs"] >= 1
    assert one["cpu_stats"]["cpu_usage"]["total_usage"] > one["precpu_stats"]["cpu_usage"]["total_usage"]
    samples = await off_loop(lambda: pet.stats(decode=True))
    assert (await off_loop(lambda: next(samples)))["name"] == "/pet"
    await off_loop(samples.close)
    top = await off_loop(pet.top)
    assert top["Titles"] == ["Name", "PID", "CPU", "Private Working Set"]
    assert top["Processes"][0][0] == "hang.exe"


async def test_small_verbs(python: Any, pet: Any, daemon: Daemon) -> None:
    async def status() -> str:
        await off_loop(pet.reload)
        return str(pet.status)

    await off_loop(pet.pause)
    assert await status() == "paused"
    await off_loop(pet.unpause)
    await off_loop(lambda: pet.rename("crate"))
    await off_loop(lambda: pet.update(restart_policy={"Name": "always"}))
    assert await status() == "running"
    assert (pet.name, pet.attrs["HostConfig"]["RestartPolicy"]["Name"]) == ("crate", "always")
    before = pet.attrs["State"]["StartedAt"]
    await off_loop(lambda: pet.restart(timeout=5))
    assert await status() == "running"
    assert pet.attrs["State"]["StartedAt"] > before
    await off_loop(lambda: pet.resize(30, 100))
    await off_loop(pet.kill)
    assert await off_loop(pet.wait) == {"StatusCode": 137}
    await off_loop(pet.start)
    assert await status() == "running"
    with pytest.raises(errors.APIError, match="container is running"):
        await off_loop(pet.remove)
    await off_loop(lambda: pet.remove(force=True, v=True))
    assert await daemon.nothing_left()


async def test_prune_takes_what_has_ended(python: Any, pet: Any) -> None:
    ended = await off_loop(
        lambda: python.containers.run(IMAGE, ["exit", "0"], detach=True, labels={"a": "b"})
    )
    await off_loop(ended.wait)
    pruned = await off_loop(lambda: python.containers.prune(filters={"label": "a=b"}))
    assert pruned["ContainersDeleted"] == [ended.id]
    assert [one.name for one in await off_loop(lambda: python.containers.list(all=True))] == ["pet"]


async def test_ignored_removal_and_auto_removal(python: Any, daemon: Daemon) -> None:
    lines = await off_loop(
        lambda: python.containers.run(IMAGE, ["lines", "2"], stdout=True, stderr=True, remove=True)
    )
    assert lines == b"line 0\nline 1\n"
    stream = await off_loop(lambda: python.containers.run(IMAGE, ["lines", "4"], stream=True, remove=True))
    assert await off_loop(lambda: b"".join(stream)) == b"line 0\nline 2\n"
    assert await daemon.nothing_left()
