"""What a container is, whichever driver runs its machine; and what libvirt's users see of it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from linwin.engine.verify.table import CHECKS
from linwin.engine.verify.windows import NO_WINDOWS
from tests.scenario.terminal import at_terminal
from tests.vm.conftest import GUEST_TIMEOUT, NANOSERVER, REPOSITORY, Linwin, daemon, until
from tests.vm.libvirt_host import LibvirtHost, libvirt_host
from tests.vm.test_lifecycle import FOREVER, until_started

SERVER = "require('http').createServer((_, answer) => answer.end('from the guest')).listen(8080)"
LOST = 255
VERIFICATION = 2400
"""Seconds for a dozen guests one after the other, on a busy machine."""


@pytest.fixture(scope="module")
def libvirt(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LibvirtHost]:
    with libvirt_host(tmp_path_factory.mktemp("libvirt")) as host:
        yield host


@pytest.fixture(scope="module")
def by_libvirt(libvirt: LibvirtHost, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Linwin]:
    settings = tmp_path_factory.mktemp("settings") / "linwin.toml"
    settings.write_text('[machine]\ndriver = "libvirt"\n')
    with daemon(inside=libvirt.inside, settings=settings) as linwin:
        yield linwin
    assert libvirt.virsh("list", "--all", "--name").split() == []


@pytest.fixture(params=["qemu", "libvirt"])
def driven(request: pytest.FixtureRequest) -> Iterator[Linwin]:
    """A daemon with either driver; what a test leaves in it fails that test."""
    linwin: Linwin = request.getfixturevalue(
        {"qemu": "shared_daemon", "libvirt": "by_libvirt"}[request.param]
    )
    yield linwin
    left = linwin.containers()
    if left:
        linwin("rm", "-f", *left)
    assert left == []
    assert linwin.guests() == {}


@pytest.fixture
def node(driven: Linwin, shared_daemon: Linwin, program: Any, tmp_path: Path) -> str:
    """An image with a program that listens."""
    image: str = program("node")
    if driven is not shared_daemon:
        archive = str(tmp_path / "node.tar")
        shared_daemon("save", "-o", archive, image)
        driven("load", "-i", archive)
    return image


def test_a_program_runs_and_its_exit_code_is_the_containers(driven: Linwin) -> None:
    done = driven("run", "--rm", NANOSERVER, "cmd", "/c", "echo out& echo err>&2& exit 42", code=42)
    assert done.stdout == b"out\r\n"
    assert done.stderr.endswith(b"err\r\n")
    assert driven.text("run", "-i", "--rm", NANOSERVER, "sort", input=b"b\na\n") == "a\nb\n"


def test_a_guest_boots_cold(driven: Linwin) -> None:
    """Most are restored; what the console has tells which it was."""
    driven("run", "-d", "--cold", "--name", "cold", NANOSERVER, *FOREVER)
    assert "linwin-agent: root is /dev/vda" in driven.text("console", "cold")
    driven("rm", "-f", "cold")
    driven("run", "-d", "--name", "restored", NANOSERVER, *FOREVER)
    assert "linwin-agent: root is /dev/vda" not in driven.text("console", "restored")
    driven("rm", "-f", "restored")


def test_exec(driven: Linwin) -> None:
    driven("run", "-d", "--name", "box", NANOSERVER, *FOREVER)
    assert driven("exec", "box", "cmd", "/c", "echo hi& exit 7", code=7).stdout == b"hi\r\n"
    driven("rm", "-f", "box")


async def test_a_terminal(driven: Linwin) -> None:
    words = [*driven.words, "run", "--rm", "-it", NANOSERVER, "cmd"]
    async with at_terminal(*words, env=driven.environment) as terminal:
        await terminal.shows(b"C:\\>", timeout=GUEST_TIMEOUT)
        terminal.type(b"exit 5\r")
        assert await terminal.ends(GUEST_TIMEOUT) == 5


def test_a_published_port_leads_to_the_guest(driven: Linwin, node: str) -> None:
    for network in ("bridge", "user"):
        words = ("--network", network, "-p", "127.0.0.1::8080", node, "node", "-e", SERVER)
        name = driven.text("run", "-d", *words).strip()
        address = driven.text("port", name, "8080").strip()
        until(lambda address=address: fetched(address) == "from the guest", f"nobody answers at {address}")  # type: ignore[misc]
        driven("rm", "-f", name)


def test_a_container_comes_into_a_network_and_leaves_it(driven: Linwin) -> None:
    driven("network", "create", "second")
    driven("run", "-d", "--name", "box", NANOSERVER, *FOREVER)
    before = addresses(driven)
    for _ in range(2):
        driven("network", "connect", "second", "box")
        assert addresses(driven) == before + 1
        driven("network", "disconnect", "second", "box")
        assert addresses(driven) == before
    driven("rm", "-f", "box")
    driven("network", "rm", "second")


def test_a_mount(driven: Linwin, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("from the host\n")
    script = "type C:\\m\\in.txt& echo from the guest> C:\\m\\out.txt"
    shown = driven.text("run", "--rm", "-v", f"{tmp_path}:C:\\m", NANOSERVER, "cmd", "/c", script)
    assert shown == "from the host\n"
    assert (tmp_path / "out.txt").read_text().strip() == "from the guest"


def test_a_stopped_container_starts_again_with_its_files(driven: Linwin) -> None:
    script = "if exist C:\\mark (echo again) else (echo kept> C:\\mark& echo started)"
    stay = "& ping -n 100000 127.0.0.1 >nul"
    driven("run", "-d", "--name", "box", NANOSERVER, "cmd", "/c", f"({script}){stay}")
    until_started(driven, "box")
    driven("stop", "box")
    assert driven.guests() == {}
    driven("start", "box")
    until(lambda: driven.text("logs", "box").split() == ["started", "again"], "it did not start again")
    driven("rm", "-f", "box")


def test_a_qemu_that_is_killed_ends_its_container(driven: Linwin) -> None:
    driven("run", "-d", "--name", "box", NANOSERVER, *FOREVER)
    until_started(driven, "box")
    (pid,) = driven.guests()
    os.kill(pid, signal.SIGKILL)
    assert driven.text("wait", "box") == f"{LOST}\n"
    assert driven.inspect("box")["State"]["Error"].startswith("the container's machine ended")
    driven("start", "box")  # as soon as its end is told, there is room for it
    driven("rm", "-f", "box")


@pytest.mark.parametrize("halted", [False, True], ids=["running", "paused"])
def test_a_daemon_that_is_killed_loses_no_container(driven: Linwin, halted: bool) -> None:
    driven("run", "-d", "--name", "box", NANOSERVER, *FOREVER)
    until_started(driven, "box")
    if halted:
        driven("pause", "box")
    guests = driven.guests().keys()
    driven.kill_daemon()
    assert driven.inspect("box")["State"]["Status"] == ("paused" if halted else "running")
    assert driven.guests().keys() == guests
    if halted:
        driven("unpause", "box")
    assert driven.text("exec", "box", "cmd", "/c", "echo hi") == "hi\n"
    driven("stop", "box")
    driven("rm", "box")


def test_a_paused_guest_does_nothing_until_it_goes_on(driven: Linwin) -> None:
    count = "for /l %i in (1,1,100000) do @(echo %i& ping -n 2 127.0.0.1 >nul)"
    driven("run", "-d", "--name", "box", NANOSERVER, "cmd", "/c", f"echo started& {count}")
    until_started(driven, "box")
    driven("pause", "box")
    (pid,) = driven.guests()
    ticks = cpu_time(pid)
    for _ in range(20):
        driven("ps", "-q")
    assert cpu_time(pid) - ticks < 0.5
    lines = len(driven.text("logs", "box").splitlines())
    driven("unpause", "box")
    until(lambda: len(driven.text("logs", "box").splitlines()) > lines, "it does not go on")
    driven("rm", "-f", "box")


UNCHECKED = {
    "guest build": "the template runs images of every build; its ver says Microsoft Windows 10.0.19043",
    "windows agent-service": "the agent of a wine guest is its first process, and no service",
    "windows drivers": f"{NO_WINDOWS}: its drivers are those of the Linux kernel in the template",
    "windows devices": f"{NO_WINDOWS}: it has no Plug and Play whose problems could be listed",
    "windows activation": f"{NO_WINDOWS}, and Wine has no activation",
}
"""What a verification of the wine template says that it could not find out, and why."""


def test_the_template_is_verified(driven: Linwin, tmp_path: Path) -> None:
    """All that can be checked is in order, and the rest is told."""
    report = tmp_path / "report.md"
    words = ("template", "verify", "--format", "json", "--report", str(report), "wine")
    checks = [json.loads(line) for line in driven.text(*words, timeout=VERIFICATION).splitlines()]
    outcomes = {f"{check['Group']} {check['Name']}": check for check in checks}
    assert {
        title: check["Detail"] for title, check in outcomes.items() if check["Outcome"] != "passed"
    } == UNCHECKED
    assert list(outcomes)[-1] == "host clean"
    assert len(checks) == len(CHECKS) + 1
    assert "| network published | ok |" in report.read_text()
    assert driven.text("network", "ls", "-q", "--filter", "label=linwin.verify") == ""
    assert "573" not in driven.text("checkpoint", "ls", "--format", "{{.Memory}}")


def test_each_guest_has_a_host_user_of_its_own(driven: Linwin) -> None:
    for name in ("one", "two"):
        driven("run", "-d", "--name", name, NANOSERVER, *FOREVER)
    users = {Path(f"/proc/{pid}").stat().st_uid for pid in driven.guests()}
    assert len(users) == 2
    assert 0 not in users
    driven("rm", "-f", "one", "two")


# libvirt alone


def test_virsh_shows_containers(by_libvirt: Linwin, libvirt: LibvirtHost) -> None:
    identity = by_libvirt.text("run", "-d", "--name", "web", NANOSERVER, *FOREVER).strip()
    name, title = libvirt.virsh("list", "--title").splitlines()[2].split(maxsplit=3)[1::2]
    assert name.endswith(f"-{identity[:12]}")
    assert title.strip() == "linwin: web"
    metadata = libvirt.virsh("metadata", name, "urn:linwin:machine:1")
    assert f"<id>{identity}</id>" in metadata
    assert libvirt.virsh("domiflist", name).count("ethernet") == 1
    libvirt.virsh("destroy", name)
    assert by_libvirt.text("wait", "web") == f"{LOST}\n"
    by_libvirt("rm", "web")


GOLDEN = ["tcg", "kvm", "screen", "session", "windows-tcg", "windows-kvm", "windows-discs"]


@pytest.mark.parametrize("name", GOLDEN)
def test_libvirts_schema_accepts_the_golden_files(libvirt: LibvirtHost, name: str, tmp_path: Path) -> None:
    description = tmp_path / "domain.xml"
    shutil.copy(REPOSITORY / "tests/golden/machine" / f"{name}.xml", description)
    if name.endswith("kvm"):  # which this libvirt has not
        description.write_text(description.read_text().replace('type="kvm"', 'type="qemu"', 1))
        description.write_text(description.read_text().replace("host-passthrough", "maximum"))
    libvirt.virsh("define", "--validate", str(description))
    libvirt.virsh("undefine", "linwin-0badcafe-0123456789ab")


def test_a_daemon_does_not_start_without_its_libvirt(by_libvirt: Linwin, tmp_path: Path) -> None:
    settings = tmp_path / "linwin.toml"
    settings.write_text(
        '[machine]\ndriver = "libvirt"\nuri = "qemu+unix:///system?socket=/nonexistent/sock"\n'
    )
    alone = Linwin(tmp_path / "root")
    alone.environment["LINWIN_CONFIG"] = str(settings)
    refused = alone("daemon", "start", code=1)
    assert b"libvirt at qemu+unix:///system?socket=/nonexistent/sock does not answer: " in refused.stderr


def addresses(linwin: Linwin) -> int:
    """How many the guest of the container "box" has; Wine shows a NIC that is gone a little longer."""
    return linwin.text("exec", "box", "ipconfig").count("IPv4 address")


def fetched(address: str) -> str:
    try:
        with urllib.request.urlopen(f"http://{address}", timeout=5) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""  # it does not listen yet


def cpu_time(pid: int) -> float:
    """Seconds of CPU that a process has taken (proc(5), fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
