"""What the host and its neighbours see: ports from another host, and nothing once all is taken away."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.vm.conftest import NANOSERVER, Linwin, daemon, until

OTHER = "linwin-other-host"
HERE, THERE = "198.51.100.1", "198.51.100.2"
"""Of addresses that are nobody's (RFC 5737)."""
SERVER = "require('http').createServer((_, answer) => answer.end('from the guest')).listen(8080)"


def ip(words: str) -> str:
    return subprocess.run(["ip", *words.split()], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def other_host() -> Iterator[str]:
    """A network namespace on the other end of a cable; it is called so."""
    ip(f"netns add {OTHER}")
    try:
        ip(f"link add linwin-cable type veth peer name cable netns {OTHER}")
        ip(f"addr add {HERE}/24 dev linwin-cable")
        ip("link set linwin-cable up")
        ip(f"-n {OTHER} addr add {THERE}/24 dev cable")
        ip(f"-n {OTHER} link set cable up")
        yield OTHER
    finally:
        ip(f"netns delete {OTHER}")  # and the cable with it


def fetched(where: str, url: str) -> str:
    """What a host gets from a URL; empty where nobody answers."""
    script = f"import urllib.request; print(urllib.request.urlopen({url!r}, timeout=5).read().decode())"
    words = ["ip", "netns", "exec", where, sys.executable, "-c", script]
    return subprocess.run(words, capture_output=True, text=True).stdout.strip()


def test_a_published_port_is_reached_from_another_host(
    linwin: Linwin, program: Callable[[str], str], other_host: str
) -> None:
    words = ("run", "-d", "-p", "8080", program("node"), "node", "-e", SERVER)
    name = linwin.text(*words).strip()
    try:
        port = linwin.text("port", name, "8080").split()[0].rpartition(":")[2]
        url = f"http://{HERE}:{port}"
        until(lambda: fetched(other_host, url) == "from the guest", "nobody answers at the published port")
    finally:
        linwin("rm", "-f", name)
    assert fetched(other_host, url) == ""


@dataclass
class HostState:
    """Links, rules, mounts, and the command lines of the processes that name a root's path."""

    links: set[str]
    rules: str
    mounts: set[str]
    processes: set[str]


def host_state(root: str) -> HostState:
    rules = subprocess.run(["nft", "list", "ruleset"], check=True, capture_output=True, text=True)
    return HostState(
        links={line.split()[0] for line in ip("-brief link").splitlines()},
        rules=rules.stdout,
        mounts={line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()},
        processes={line for line in command_lines() if root in line},
    )


def command_lines() -> Iterator[str]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(FileNotFoundError, ProcessLookupError):  # it ended while we looked
                yield (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")


@pytest.mark.alone
def test_purging_leaves_the_host_as_it_was(shared_daemon: Linwin, tmp_path: Path) -> None:
    before = host_state(str(tmp_path))  # which no process names yet, whatever else runs on this host
    with daemon(like=shared_daemon) as linwin:
        linwin("network", "create", "mine")
        mounted = ("-v", f"{tmp_path}:C:\\src", NANOSERVER, "cmd", "/c", "echo x> C:\\src\\x")
        linwin("run", "--network", "mine", "-p", "80", *mounted)
        linwin("run", "--network", "none", *mounted)
        linwin("run", "-v", "data:C:\\data", *mounted)
        during = host_state(str(linwin.root))
        assert during.links != before.links
        assert during.rules != before.rules
        assert during.mounts == before.mounts
        for program in ("dnsmasq", "smbd"):
            assert any(program in line for line in during.processes)
        root = str(linwin.root)
    assert host_state(root) == before
