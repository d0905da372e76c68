"""What a container has mounted: offered for a start, mounted by its guest, taken back at every end."""

from __future__ import annotations

import asyncio
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from linwin.errors import NotFound, Unavailable
from linwin.model.container import Container, ContainerSpec
from linwin.model.mount import GuestMount, Mount, Share
from linwin.model.network import EndpointSpec
from tests.scenario.fakes import Fakes
from tests.scenario.fakes.guest import FakeGuest
from tests.scenario.harness import IMAGE, Daemon, Docker, killed_at_the_end, make_root, served
from tests.scenario.networking import attached, complaint, inspected, ok
from tests.scenario.test_small_verbs import guest_of

TOO_OLD = Unavailable(
    "the guest's agent is too old for mounts", hint="rebuild its template: linwin template build NAME"
)


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """Two folders, one of them in the other, and a file."""
    (tmp_path / "src" / "inner").mkdir(parents=True)
    (tmp_path / "note.txt").write_text("note")
    return tmp_path


async def the(daemon: Daemon, name: str = "box") -> Container:
    (found,) = [one for one in await daemon.engine.list() if one.name == name]
    return found


def offered(daemon: Daemon) -> dict[str, list[str]]:
    """The sources of what is shared, by container."""
    shares = daemon.fakes.shares.offered
    return {container: [share.source for share in found] for container, found in shares.items()}


async def events(docker: Docker, kind: str) -> list[Any]:
    words = ["events", "--since", "1h", "--until=-1s", "--filter", f"type={kind}", "--format", "{{json .}}"]
    return [json.loads(line) for line in (await ok(docker, *words)).splitlines()]


# A start


async def test_what_is_mounted_is_offered_first_and_from_the_outside_in(
    docker: Docker, daemon: Daemon, here: Path
) -> None:
    binds = [
        *("-v", f"{here}/src/inner:C:\\SRC\\inner:ro", "-v", "data:D:\\", "-v", f"{here}/src:c:\\src"),
        *("-v", f"{here}/note.txt:C:\\note.txt", "--tmpfs", "C:\\src\\tmp:size=1m"),
    ]
    await ok(docker, "run", "-d", "--name", "box", *binds, IMAGE, "hang")
    id = (await the(daemon)).short_id
    assert daemon.fakes.shares.offered == {
        id: (
            Share(f"{id}-0", f"{here}/note.txt", False),
            Share(f"{id}-1", f"{here}/src", False),
            Share(f"{id}-2", f"{here}/src/inner", True),
            Share(f"{id}-3", str(daemon.paths.volume("data")), False),
        )
    }
    (attachment,) = attached(daemon)
    assert attachment.files
    _, guest = guest_of(daemon)

    def reached(target: str, number: int, *, read_only: bool = False, file: str = "") -> GuestMount:
        share = f"{id}-{number}"
        return GuestMount(target, read_only, "10.1.0.1", share, share, f"secret of {share}", file)

    assert guest.mounts == [
        reached("C:\\note.txt", 0, file="note.txt"),
        reached("C:\\src", 1),
        reached("C:\\SRC\\inner", 2, read_only=True),
        GuestMount("C:\\src\\tmp", size=1 << 20),
        reached("D:\\", 3),
    ]


async def test_memory_needs_no_server(docker: Docker, daemon: Daemon) -> None:
    daemon.fakes.shares.why_not = "this host shares nothing"
    words = ["--name", "box", "--network", "none", "--tmpfs", "C:\\tmp", IMAGE, "hang"]
    await ok(docker, "run", "-d", *words)
    _, guest = guest_of(daemon)
    assert guest.mounts == [GuestMount("C:\\tmp")]
    assert (daemon.fakes.shares.offered, attached(daemon)) == ({}, ())


async def test_who_mounts_nothing_is_asked_for_nothing(docker: Docker, daemon: Daemon) -> None:
    daemon.fakes.guests.unmountable = TOO_OLD
    await ok(docker, "run", "-d", "--name", "box", IMAGE, "hang")
    assert not attached(daemon)[0].files


async def test_an_owner_is_passed_on(daemon: Daemon, here: Path) -> None:
    mounts = (Mount("bind", "C:\\src", str(here / "src"), uid=4000, gid=4001),)
    made = await daemon.engine.create(ContainerSpec(IMAGE, cmd=("hang",), mounts=mounts), "box")
    await daemon.engine.start("box")
    assert daemon.fakes.shares.offered[made.id[:12]] == (
        Share(f"{made.id[:12]}-0", str(here / "src"), False, 4000, 4001),
    )


# Ends


@pytest.mark.parametrize("end", ["exit", "stop", "kill", "crash", "remove"])
async def test_what_was_offered_is_taken_back(docker: Docker, daemon: Daemon, here: Path, end: str) -> None:
    program = {"exit": ["cat"], "crash": ["crash"]}.get(end, ["hang"])
    source = f"{here}/src:C:\\src"
    await ok(docker, "create", "-i", "--name", "box", "-v", source, "-v", "data:C:\\data", IMAGE, *program)
    assert offered(daemon) == {}
    if end == "exit":
        assert (await docker("start", "-ai", "box", stdin=b"")).code == 0
    else:
        await ok(docker, "start", "box")
    match end:
        case "stop" | "kill":
            await ok(docker, end, "box")
        case "remove":
            await ok(docker, "rm", "-f", "box")
    await daemon.settled()
    assert offered(daemon) == {}
    told = [(one["Action"], one["Actor"]["ID"]) for one in await events(docker, "volume")]
    assert told == [("create", "data"), ("mount", "data"), ("unmount", "data")]


async def test_the_events_of_a_volume_say_who_has_it_where(docker: Docker, daemon: Daemon) -> None:
    await ok(docker, "run", "--name", "box", "-v", "data:C:\\data:ro", IMAGE, "exit", "0")
    id = (await the(daemon)).id
    _, mounted, unmounted = await events(docker, "volume")
    assert mounted["Actor"]["Attributes"] == {
        "container": id,
        "destination": "C:\\data",
        "driver": "local",
        "propagation": "",
        "read/write": "false",
    }
    assert unmounted["Actor"]["Attributes"] == {"container": id, "driver": "local"}


@pytest.mark.parametrize("why", ["too old", "no machine", "no such program", "gone"])
async def test_a_start_that_fails_leaves_nothing_shared(
    docker: Docker, daemon: Daemon, here: Path, why: str
) -> None:
    await ok(docker, "create", "--name", "other", "-v", f"{here}/note.txt:C:\\note", IMAGE, "hang")
    await ok(docker, "start", "other")
    program = "no-such-program" if why == "no such program" else "hang"
    await ok(docker, "create", "--name", "box", "-v", f"{here}/src:C:\\src", IMAGE, program)
    match why:
        case "too old":
            daemon.fakes.guests.unmountable = TOO_OLD
            words = "the guest's agent is too old for mounts\nrebuild its template: linwin template build"
        case "no machine":
            daemon.fakes.guests.silent = True
            words = "the guest's agent did not say hello"
        case "no such program":
            words = "The system cannot find the file specified."
        case _:
            (here / "src" / "inner").rmdir()
            (here / "src").rmdir()
            words = f"{here}/src is gone"
    assert words in complaint(await docker("start", "box"))
    assert offered(daemon) == {(await the(daemon, "other")).short_id: [f"{here}/note.txt"]}
    assert len(attached(daemon)) == 1
    assert len(daemon.fakes.machines.running) == 1


async def test_a_server_that_fails_to_take_back_keeps_no_container_from_its_end(
    docker: Docker,
    daemon: Daemon,
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def withdraw(_: str) -> None:
        raise Unavailable("this is a fake")

    monkeypatch.setattr(daemon.fakes.shares, "withdraw", withdraw)
    await ok(docker, "run", "--name", "box", "-v", f"{here}/src:C:\\src", IMAGE, "exit", "0")
    id = (await the(daemon)).short_id
    assert f"container {id}: its mounts are still shared: this is a fake" in caplog.messages
    assert (await inspected(docker, "box"))["State"]["Status"] == "exited"


async def test_a_container_that_is_removed_at_its_end_writes_its_mounts_out(
    docker: Docker, daemon: Daemon, here: Path
) -> None:
    """Its disk is of no use to anybody; what it wrote on the host is."""
    mount = ["-v", f"{here}/src:C:\\src"]
    for words, end in (
        (["--rm", *mount], "unmount"),
        (["--rm"], ""),
        (["--rm", "--tmpfs", "C:\\tmp"], ""),
        (mount, "shutdown"),
        ([], "shutdown"),
    ):
        await ok(docker, "run", *words, IMAGE, "exit", "0")
        await daemon.settled()
        assert daemon.fakes.guests.last_guest.ended_by == end, words


async def test_mounts_that_were_not_written_out_are_said(
    docker: Docker,
    daemon: Daemon,
    here: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def unmount(_: FakeGuest, *, timeout: float) -> None:
        raise Unavailable("the server does not answer")

    monkeypatch.setattr(FakeGuest, "unmount", unmount)
    lost = complaint(await docker("run", "--rm", "-v", f"{here}/src:C:\\src", IMAGE, "exit", "0"))
    assert "the container's mounts may lack what was written last: the server does not answer" in lost
    await daemon.settled()
    assert any(
        message.endswith("its mounts were not written out: the server does not answer")
        for message in caplog.messages
    )
    assert offered(daemon) == {}


# The next daemon


async def test_the_next_daemon_shares_for_those_that_run(tmp_path: Path, here: Path) -> None:
    fakes, paths = Fakes(), make_root(tmp_path / "root")
    mounts = (Mount("bind", "C:\\src", str(here / "src")),)
    async with killed_at_the_end(fakes, paths) as daemon:
        for name in ("runs", "ends", "rests"):
            await daemon.engine.create(ContainerSpec(IMAGE, cmd=("hang",), mounts=mounts), name)
        await daemon.engine.start("runs")
        await daemon.engine.start("ends")
        runs, ends = await the(daemon, "runs"), await the(daemon, "ends")
        assert offered(daemon).keys() == {runs.short_id, ends.short_id}
    fakes.machines.running[ends.pid].end(0)
    fakes.shares.offered["feedfeedfeed"] = ()
    async with served(fakes, paths) as daemon:
        assert offered(daemon) == {runs.short_id: [str(here / "src")]}
        await daemon.engine.remove("runs", force=True)
        assert offered(daemon) == {}


async def test_a_next_daemon_that_cannot_share_runs_all_the_same(
    tmp_path: Path, here: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fakes, paths = Fakes(), make_root(tmp_path / "root")
    mounts = (Mount("bind", "C:\\src", str(here / "src")),)
    async with killed_at_the_end(fakes, paths) as daemon:
        await daemon.engine.create(ContainerSpec(IMAGE, cmd=("hang",), mounts=mounts), "box")
        await daemon.engine.start("box")

    async def recover(_: set[str]) -> None:
        raise Unavailable("this is a fake")

    monkeypatch.setattr(fakes.shares, "recover", recover)
    async with served(fakes, paths) as daemon:
        assert "what containers have mounted is not shared: this is a fake" in caplog.messages
        assert (await the(daemon)).status == "running"
        await daemon.engine.remove("box", force=True)


# Networks


async def test_without_a_network_a_link_leads_to_the_server_alone(
    docker: Docker, daemon: Daemon, here: Path
) -> None:
    words = ["--network", "none", "-v", f"{here}/src:C:\\src"]
    await ok(docker, "run", "-d", "--name", "box", *words, IMAGE, "hang")
    (attachment,) = attached(daemon)
    (link,) = [one for one in daemon.fakes.networks.applied.networks if one.id == attachment.network_id]
    assert (link.name, link.internal, link.isolated, attachment.files) == ("linwin-files", True, True, True)
    _, guest = guest_of(daemon)
    (mount,) = guest.mounts
    assert mount.server == link.subnets[0].gateway
    (interface,) = guest.interfaces.values()
    assert (interface.gateway4, interface.dns) == ("", ())
    # Nobody sees any of it.
    settings = (await inspected(docker, "box"))["NetworkSettings"]
    assert "linwin-files" not in json.dumps(settings)
    assert set(settings["Networks"]) <= {"none"}
    assert "linwin-files" not in await ok(docker, "network", "ls", "--format", "{{.Name}}")
    for reference in ("linwin-files", link.id):
        assert "not found" in complaint(await docker("network", "inspect", reference))
        assert "not found" in complaint(await docker("network", "connect", reference, "box"))
        assert "not found" in complaint(await docker("network", "disconnect", reference, "box"))
        assert "not found" in complaint(await docker("network", "rm", reference))
    await ok(docker, "rename", "box", "crate")
    await ok(docker, "network", "prune", "-f")
    await ok(docker, "rm", "-f", "crate")
    assert "linwin-files" not in json.dumps(await events(docker, "network"))
    assert (attached(daemon), offered(daemon)) == ((), {})


async def test_the_link_is_shared_by_all_who_need_it(docker: Docker, daemon: Daemon, here: Path) -> None:
    words = ["-d", "--network", "none", "-v", f"{here}/src:C:\\src", IMAGE, "hang"]
    done = await asyncio.gather(*(docker("run", *words) for _ in range(4)))
    assert [one.code for one in done] == [0] * 4
    assert len({one.network_id for one in attached(daemon)}) == 1
    assert len({one.ipv4 for one in attached(daemon)}) == 4


async def test_the_links_name_is_nobodys_to_use(docker: Docker, daemon: Daemon, here: Path) -> None:
    refused = complaint(await docker("network", "create", "linwin-files"))
    assert "linwin-files" in refused
    made = await docker("run", "--network", "linwin-files", "-v", f"{here}/src:C:\\src", IMAGE, "hang")
    assert "linwin-files" in complaint(made)
    assert (attached(daemon), daemon.fakes.machines.running) == ((), {})
    spec = ContainerSpec(IMAGE, cmd=("hang",), endpoints=(EndpointSpec("linwin-files"),))
    made_by_itself = await daemon.engine.create(spec, "sly")
    with pytest.raises(NotFound, match=r"^network linwin-files not found\n"):
        await daemon.engine.start(made_by_itself.id)


async def test_the_network_of_the_mounts_is_kept(docker: Docker, daemon: Daemon, here: Path) -> None:
    for name in ("mine", "other"):
        await ok(docker, "network", "create", name)
    networks = ["--network", "mine", "--network", "other"]
    words = ["--name", "box", *networks, "-v", f"{here}/src:C:\\src", IMAGE, "hang"]
    await ok(docker, "run", "-d", *words)
    assert [one.files for one in attached(daemon)] == [True, False]
    refused = complaint(await docker("network", "disconnect", "mine", "box"))
    assert (
        "container box reaches its mounts through the network mine\n"
        "Stop it first; with --force its programs wait for files that do not come."
    ) in refused
    await ok(docker, "network", "disconnect", "other", "box")
    assert len(attached(daemon)) == 1
    await ok(docker, "network", "connect", "other", "box")
    await ok(docker, "network", "disconnect", "--force", "mine", "box")
    assert [one.files for one in attached(daemon)] == [False]
    await ok(docker, "stop", "box")
    assert offered(daemon) == {}
    await ok(docker, "start", "box")
    assert [one.files for one in attached(daemon)] == [True]
    await ok(docker, "stop", "box")
    await ok(docker, "network", "disconnect", "other", "box")


# Copy-up


async def test_new_volumes_begin_with_what_the_image_has(docker: Docker, daemon: Daemon, here: Path) -> None:
    (here / "src" / "inner" / "deep").write_text("deep")
    volumes = ["-v", "data:C:\\src", "-v", "none:C:\\nothing", "-v", "more:D:\\src", "-v", f"{here}:C:\\host"]
    named = ["--mount", "type=volume,source=kept,target=C:\\src\\inner,volume-nocopy"]
    await ok(docker, "create", "--name", "box", *volumes, *named, IMAGE, "hang")
    await ok(docker, "cp", f"{here}/src", "box:C:\\src")
    await ok(docker, "cp", f"{here}/note.txt", "box:C:\\note.txt")
    assert daemon.fakes.shares.filled == {}
    await ok(docker, "start", "box")
    filled = daemon.fakes.shares.filled
    assert list(filled) == [daemon.paths.volume("data")]
    with tarfile.open(fileobj=io.BytesIO(filled[daemon.paths.volume("data")])) as tar:
        assert tar.getnames() == [".", "./inner", "./inner/deep"]
    filled.clear()
    await ok(docker, "stop", "box")
    await ok(docker, "start", "box")
    assert filled == {}  # it has run before


async def test_a_volume_at_a_file_begins_empty(docker: Docker, daemon: Daemon, here: Path) -> None:
    await ok(docker, "create", "--name", "box", "-v", "data:C:\\note.txt", IMAGE, "hang")
    await ok(docker, "cp", f"{here}/note.txt", "box:C:\\note.txt")
    await ok(docker, "start", "box")
    assert daemon.fakes.shares.filled == {}


async def test_a_volume_with_something_in_it_stays_as_it_is(
    docker: Docker, daemon: Daemon, here: Path
) -> None:
    await ok(docker, "create", "--name", "box", "-v", "data:C:\\src", IMAGE, "hang")
    await ok(docker, "cp", f"{here}/src", "box:C:\\src")
    (daemon.paths.volume("data") / "mine").write_text("mine")
    await ok(docker, "start", "box")
    assert daemon.fakes.shares.filled == {}


async def test_a_volume_that_cannot_be_filled_fails_the_start(
    docker: Docker, daemon: Daemon, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fill(*_: object) -> None:
        raise Unavailable("this is a fake")

    await ok(docker, "create", "--name", "box", "-v", "data:C:\\src", IMAGE, "hang")
    await ok(docker, "cp", f"{here}/src", "box:C:\\src")
    monkeypatch.setattr(daemon.fakes.shares, "fill", fill)
    assert "this is a fake" in complaint(await docker("start", "box"))
    assert (offered(daemon), daemon.fakes.machines.running) == ({}, {})
    monkeypatch.undo()
    await ok(docker, "start", "box")
    assert list(daemon.fakes.shares.filled) == [daemon.paths.volume("data")]
