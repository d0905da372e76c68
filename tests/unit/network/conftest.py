"""A host of the test's own, and containers on it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from linwin.paths import Paths
from tests.conftest import children
from tests.unit.network.namespaces import Namespace, own_host, wire
from tests.unit.network.world import World


@pytest.fixture
def host() -> Iterator[Namespace]:
    with own_host() as found:
        yield found


@pytest.fixture(params=["0", "1"], ids=["bridged-unseen", "bridged-filtered"])
def bridged_packets(request: pytest.FixtureRequest, host: Namespace) -> None:
    """Do packets that are bridged pass the rules of family inet too (br_netfilter, as docker loads it)?"""
    setting = Path("/proc/sys/net/bridge")
    if not setting.is_dir():
        if request.param == "1":
            pytest.skip("this kernel has no br_netfilter")
        return
    for family in ("iptables", "ip6tables", "arptables"):
        (setting / f"bridge-nf-call-{family}").write_text(request.param)


@pytest.fixture
def elsewhere(host: Namespace) -> Iterator[Namespace]:
    """Another host on the same cable: 192.0.2.9 and 2001:db8::9 to our 192.0.2.1 and 2001:db8::1."""
    other = Namespace()
    wire(host, "wan0", other, "wan0")
    for where, number in ((host, 1), (other, 9)):
        where.run(f"ip addr add 192.0.2.{number}/24 dev wan0")
        where.run(f"ip addr add 2001:db8::{number}/64 dev wan0 nodad")
    yield other
    other.close()


@pytest.fixture
def root() -> Iterator[Path]:
    """A root that name servers pass through once they have become nobody."""
    folder = Path(tempfile.mkdtemp(prefix="linwin-network-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
async def world(host: Namespace, root: Path) -> AsyncIterator[World]:
    before = children().keys()
    found = World(host, Paths(root, root / "socket"))
    yield found
    await found.close()
    assert children().keys() == before
    assert host.run("nft list ruleset") == ""
    assert "lw" not in host.run("ip -br link")
    assert not _networks(root)


def _networks(root: Path) -> list[Path]:
    return list(root.glob("networks/*"))
