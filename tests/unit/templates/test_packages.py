"""Which mirror a template is built from."""

from __future__ import annotations

import pytest

from linwin.errors import Unavailable
from linwin.templates import packages

LISTING = """\
Debian-Security http://mirror.example/debian-security/
Node Source http://node.example/
Debian http://mirror.example/debian/
Debian http://other.example/debian/
"""


def test_the_hosts_own_mirror_is_used() -> None:
    assert packages.choose_mirror(LISTING) == "http://mirror.example/debian"


async def test_a_setting_goes_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(packages.MIRROR_SETTING, "http://mine.example/debian")
    assert await packages.debian_mirror() == "http://mine.example/debian"


def test_a_host_without_a_debian_mirror_is_told_the_setting() -> None:
    with pytest.raises(Unavailable) as caught:
        packages.choose_mirror("Ubuntu http://mirror.example/ubuntu/\n")
    assert str(caught.value) == (
        "this host's apt knows no Debian mirror\n"
        "set LINWIN_DEBIAN_MIRROR to the address of one, as it would stand in sources.list"
    )
