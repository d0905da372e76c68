"""linwin template verify against fake guests: every check can fail, and whatever comes is told and tidied."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from linwin import errors
from linwin.engine.verify import GROUPS, bench, redaction
from linwin.engine.verify.boxes import CALLED, LABEL
from linwin.engine.verify.table import CHECKS
from linwin.errors import Unavailable
from linwin.model.build import CommitRequest
from linwin.model.container import ContainerSpec
from linwin.model.network import NetworkSpec
from linwin.model.upkeep import Finding
from tests.scenario.docker_py import off_loop
from tests.scenario.fakes import Fakes
from tests.scenario.fakes.computer import FakeComputer
from tests.scenario.fakes.guest import FakeGuest
from tests.scenario.fakes.machine import FakeMachine
from tests.scenario.harness import IMAGE, Daemon
from tests.scenario.test_linwin_cli import Linwin
from tests.scenario.verification import left, titles, verified, windows_computer, wine_computer

TITLES = [check.title for check in CHECKS]
OF_WINDOWS = {
    "windows.agent-service",
    "windows.drivers",
    "windows.devices",
    "windows.activation",
    "guest.build",
}
UNCHECKED_ON_WINE = OF_WINDOWS


@pytest.fixture
def computer(daemon: Daemon, short_folder: Path) -> FakeComputer:
    return wine_computer(daemon, short_folder)


@pytest.fixture
def windows(daemon: Daemon, short_folder: Path) -> FakeComputer:
    return windows_computer(daemon, short_folder)


@pytest.fixture
def linwin(daemon: Daemon, short_folder: Path) -> Linwin:
    return Linwin(daemon.host, short_folder)


async def test_a_good_template_passes(daemon: Daemon, computer: FakeComputer) -> None:
    checks, surroundings = await verified(daemon)
    assert titles(checks, "failed") == set(), [c for c in checks if c["Outcome"] == "failed"]
    assert titles(checks, "unchecked") == UNCHECKED_ON_WINE
    assert titles(checks, "passed") == {*TITLES, "host.clean"} - UNCHECKED_ON_WINE
    assert [f"{c['Group']}.{c['Name']}" for c in checks] == [*TITLES, "host.clean"]
    facts = {fact["Name"]: fact["Text"] for fact in surroundings["Facts"]}
    assert facts["Hypervisor"] == "QEMU 7.2.22, tcg"
    assert facts["Template's digest"] == "sha256:" + "a" * 64
    assert surroundings["Picture"] == ""
    assert await left(daemon) == []


def _raise(message: str) -> Callable[..., Any]:
    async def fail(*_: object, **__: object) -> None:
        raise Unavailable(message)

    return fail


def _cold(fakes: Fakes, patch: pytest.MonkeyPatch) -> None:
    boot = fakes.machines.boot
    failed: list[bool] = []

    async def once(*arguments: Any) -> FakeMachine:
        if not failed:
            failed.append(True)
            raise Unavailable("QEMU did not start")
        return await boot(*arguments)

    patch.setattr(fakes.machines, "boot", once)


def _agent(fakes: Fakes, patch: pytest.MonkeyPatch) -> None:
    fakes.guests.agent = dataclasses.replace(fakes.guests.agent, version="older")


def _processes(fakes: Fakes, patch: pytest.MonkeyPatch) -> None:
    async def none(_: FakeGuest) -> list[object]:
        return []

    patch.setattr(FakeGuest, "processes", none)


def _clean(fakes: Fakes, patch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []

    async def check(*_: object, **__: object) -> list[Finding]:
        asked.append(True)
        return [Finding("chain abc", "is torn", "none")] if len(asked) > 1 else []

    patch.setattr(fakes.disks, "check", check)


def _kill(fakes: Fakes, patch: pytest.MonkeyPatch) -> None:
    patch.setattr("tests.scenario.fakes.guest.KILLED", 1)


SABOTAGE: dict[str, Callable[[Fakes, pytest.MonkeyPatch], None]] = {
    "start.cold": _cold,
    "start.checkpoint": lambda fakes, patch: patch.setattr(
        fakes.machines, "mold", _raise("it does not freeze")
    ),
    "start.restored": lambda fakes, patch: setattr(fakes.machines, "spoilt", "it does not thaw"),
    "start.agent": _agent,
    "programs.processes": _processes,
    "guest.stats": lambda fakes, patch: patch.setattr(FakeGuest, "stats", _raise("no idea")),
    "life.pause": lambda fakes, patch: patch.setattr(FakeMachine, "resume", _raise("it is stuck")),
    "life.kill": _kill,
    "host.clean": _clean,
}
"""How a check is made to fail where that is not a program's doing; the others are FakeComputer's."""
ALONG = {
    "start.cold": {"start.cold-clock"},
    "start.cold-clock": {"start.restored-clock"},
    "start.restored-clock": {"start.cold-clock"},
    "start.checkpoint": {"start.restored"},
    "life.at-rest": {"life.start"},
    "guest.name": {"guest.clones"},
}
"""Checks that fail with another, since they ask for more."""


@pytest.mark.parametrize("title", [*TITLES, "host.clean"])
async def test_every_check_can_fail(
    daemon: Daemon, computer: FakeComputer, title: str, request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    if title in OF_WINDOWS:
        computer = request.getfixturevalue("windows")
    monkeypatch.setitem(bench.PATIENCE, "tcg", 0.02)
    computer.wrong.add(title)
    SABOTAGE.get(title, lambda *_: None)(daemon.fakes, monkeypatch)
    group = title.partition(".")[0]
    checks, _ = await verified(daemon, *(() if group == "host" else (group,)))
    failed = titles(checks, "failed")
    assert title in failed
    assert failed <= {title} | ALONG.get(title, set())
    (result,) = [check for check in checks if f"{check['Group']}.{check['Name']}" == title]
    assert result["Expected"]
    assert result["Got"]


async def test_a_program_that_hangs_costs_its_own_check(
    daemon: Daemon, computer: FakeComputer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(bench.PATIENCE, "tcg", 0.02)
    computer.hangs.add("programs.folder")
    checks, surroundings = await verified(daemon, "programs")
    assert titles(checks, "failed") == {"programs.folder"}
    (hung,) = [check for check in checks if check["Name"] == "folder"]
    assert (hung["Expected"], hung["Got"]) == ("an answer within 1 s", "none")
    assert "Guests that were lost" in [text["Name"] for text in surroundings["Texts"]]
    assert await left(daemon) == []


async def test_a_guest_that_dies_is_replaced(daemon: Daemon, computer: FakeComputer) -> None:
    computer.dies.add("programs.folder")
    checks, surroundings = await verified(daemon, "programs")
    assert titles(checks, "failed") == {"programs.folder"}
    (dead,) = [check for check in checks if check["Name"] == "folder"]
    assert dead["Got"].startswith("the guest was lost: ")
    lost = {text["Name"]: text["Text"] for text in surroundings["Texts"]}["Guests that were lost"]
    assert lost.startswith("box: programs.folder: the guest was lost")
    assert await left(daemon) == []


async def test_a_guest_that_dies_again_and_again(daemon: Daemon, computer: FakeComputer) -> None:
    computer.dies |= {"programs.streams", "programs.environment", "programs.folder"}
    checks, _ = await verified(daemon, "programs")
    assert titles(checks, "failed") == computer.dies
    reasons = [check["Detail"] for check in checks if check["Outcome"] == "unchecked"]
    assert len(reasons) == 6
    assert {reason.partition(":")[0] for reason in reasons} == {
        "no more guests are started, since 3 were lost"
    }
    assert await left(daemon) == []


async def test_a_client_that_goes_leaves_nothing(
    daemon: Daemon, computer: FakeComputer, linwin: Linwin
) -> None:
    computer.hangs.add("programs.folder")
    async with linwin.started("template", "verify", "--report", "-", "wine") as running:
        assert running.stdout is not None
        while b"programs environment" not in await running.stdout.readline():
            assert running.returncode is None
        running.kill()
        await running.wait()
    async with asyncio.timeout(20), daemon.engine.verifying:
        assert await left(daemon) == []


async def test_one_at_a_time(daemon: Daemon, computer: FakeComputer) -> None:
    async with daemon.engine.verifying:
        with pytest.raises(errors.Conflict) as caught:
            await verified(daemon)
    assert caught.value.message.partition("\n")[0] == "another verification is under way"


@pytest.mark.parametrize(
    ("only", "name", "kind", "message"),
    [
        (("nonsense",), "wine", errors.InvalidRequest, "there is no group of checks nonsense"),
        ((), "unknown", errors.NotFound, "No such template: unknown"),
    ],
)
async def test_what_cannot_be_verified(
    daemon: Daemon, only: tuple[str, ...], name: str, kind: type[errors.LinwinError], message: str
) -> None:
    with pytest.raises(kind) as caught:
        await off_loop(
            lambda: list(daemon.client.lines("POST", f"/linwin/templates/{name}/verify", only=only))
        )
    assert caught.value.message.partition("\n")[0] == message


async def test_a_template_that_provides_nothing(daemon: Daemon, computer: FakeComputer) -> None:
    (wine,) = daemon.fakes.templates.installed.values()
    daemon.fakes.templates.installed = {"bare": dataclasses.replace(wine, name="bare", provides=())}
    with pytest.raises(errors.Unavailable, match="the template bare provides no base image"):
        await off_loop(lambda: list(daemon.client.lines("POST", "/linwin/templates/bare/verify")))


async def test_hosts_without_networks_and_files(daemon: Daemon, computer: FakeComputer) -> None:
    daemon.fakes.networks.why_not = "there is no nft"
    daemon.fakes.shares.why_not = "there is no smbd"
    checks, _ = await verified(daemon, "network", "mounts")
    assert titles(checks, "failed") == set()
    reasons = {check["Detail"] for check in checks if check["Outcome"] == "unchecked"}
    assert reasons == {
        "this host has no networks: there is no nft",
        "this host shares no files: there is no smbd",
    }


async def test_a_daemon_that_was_killed_left_something(daemon: Daemon, computer: FakeComputer) -> None:
    labels, left, kept = {LABEL: "wine"}, f"{CALLED}0123abcd", "labelled-by-somebody"
    engine = daemon.engine
    for name in (left, kept):
        await engine.create(ContainerSpec(IMAGE, cmd=("cmd",), labels=labels), name)
        await engine.networks.create(NetworkSpec(name, labels=labels))
        await engine.volumes.create(name, labels=labels)
    await engine.open()
    assert [one.name for one in await engine.list()] == [kept]
    assert {one.name for one in await engine.networks.list()} & {left, kept} == {kept}
    assert [one.name for one in await engine.volumes.list()] == [kept]


async def test_an_image_that_somebody_labelled_stays(daemon: Daemon) -> None:
    spec = ContainerSpec(IMAGE, cmd=("cmd",), labels={LABEL: "wine"})
    container = await daemon.engine.create(spec, "box")
    made = [
        await daemon.engine.commit(container.id, CommitRequest(author=author, message=author))
        for author in ("somebody", f"{CALLED}0123abcd")
    ]
    await daemon.engine.remove(container.id, force=True)
    await daemon.engine.open()
    ids = {image.id for image in await daemon.engine.images()}
    assert [image.id in ids for image in made] == [True, False]


# The command line


async def test_the_words_of_a_user(
    linwin: Linwin, daemon: Daemon, computer: FakeComputer, short_folder: Path
) -> None:
    computer.wrong.add("guest.time-zone")
    report = short_folder / "report.md"
    done = await linwin("template", "verify", "--only", "guest", "--report", str(report), "wine")
    assert done.code == 1, done.err
    printed = done.out.decode().splitlines()
    assert re.fullmatch(
        r"not checked  guest build +\d+\.\d s  the template runs images of every build; .*", printed[0]
    )
    at = next(i for i, line in enumerate(printed) if line.startswith("FAILED       guest time-zone "))
    assert printed[at + 1].strip() == "expected: the time zone UTC, as all guests have it"
    assert printed[at + 2].strip() == "got:      Pacific Standard Time"
    assert printed[-2:] == [
        "5 passed, 1 failed, 1 could not be checked.",
        f"The report is {report}",
    ]
    text = report.read_text()
    assert "| guest time-zone | **FAILED** |" in text
    assert "    Pacific Standard Time\n" in text
    assert "| Hypervisor | QEMU 7.2.22, tcg |" in text


async def test_json_and_the_usual_name(
    linwin: Linwin,
    daemon: Daemon,
    computer: FakeComputer,
    short_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(short_folder)
    done = await linwin("template", "verify", "--only", "windows", "--format", "json", "wine")
    assert done.code == 0
    rows = [json.loads(line) for line in done.out.splitlines()]
    assert [row["Outcome"] for row in rows] == ["unchecked", "passed", *["unchecked"] * 3, "passed"]
    assert re.fullmatch(rb"The report is linwin-verify-wine-\d{8}-\d{6}\.md\n", done.err)
    assert (short_folder / done.err.decode().split()[-1]).read_text().startswith("# Verification")


async def test_what_cannot_be_run(linwin: Linwin, daemon: Daemon, short_folder: Path) -> None:
    report = short_folder / "report.md"
    done = await linwin("template", "verify", "--report", str(report), "nowhere")
    assert done.code == 125
    assert done.err.startswith(b"linwin: No such template: nowhere\n")
    assert not report.exists()
    done = await linwin("template", "verify", "--report", "/nonexistent/report.md", "wine")
    assert (done.code, done.err.splitlines()[0]) == (125, b"linwin: there is no directory /nonexistent")


async def test_no_secret_is_told(
    linwin: Linwin, daemon: Daemon, windows: FakeComputer, short_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planted where a guest says what it likes, and where linwin says it itself."""
    planted = (
        "hunter2",
        "workstation-of-bob",
        "bobsmith",
        "Robert Smith",
        "eyJhbGciOiJub25l.eyJzdWIi.c2ln",
        "ABCDE",
    )
    monkeypatch.setattr(socket, "gethostname", lambda: "workstation-of-bob.example.org")
    person = redaction.pwd.struct_passwd(
        ("bobsmith", "x", 1000, 1000, "Robert Smith,,,", "/home/bobsmith", "/bin/sh")
    )
    monkeypatch.setattr(redaction.pwd, "getpwall", lambda: [person])
    said = (
        f"token: hunter2 on workstation-of-bob, of Robert Smith in /home/bobsmith/x, {daemon.paths.root}/y "
        "eyJhbGciOiJub25l.eyJzdWIi.c2ln http://bobsmith:hunter2@proxy VK7JG-NPHTM-C97JM-9MPGT-3V66T"
    )
    monkeypatch.setattr(
        FakeComputer, "_pnputil", lambda self, process, *_: self._say(process, f"PCI\\VEN_1AF4 {said}")
    )
    monkeypatch.setattr(FakeMachine, "version", said, raising=False)
    monkeypatch.setattr(FakeGuest, "stats", _raise(said))
    report = short_folder / "report.md"
    words = ("--only", "windows", "--only", "guest", "--report", str(report), "wine")
    done = await linwin("template", "verify", *words)
    told = report.read_text() + done.out.decode().replace(str(report), "")
    assert "no idea" not in told
    assert "***" in told
    assert [secret for secret in planted if secret in told] == []
    assert "VK7JG" not in told
    assert str(daemon.paths.root) not in told
    assert "no passwords, tokens\nor product keys" in told


def test_groups_are_in_their_order() -> None:
    assert GROUPS == (
        "start", "programs", "terminal", "files", "guest", "windows", "images", "life", "mounts", "network",
    )  # fmt: skip
    assert len(set(TITLES)) == len(TITLES)
