"""What is read from libvirt's description of a domain that runs (``libvirt_live.xml`` is libvirt 9.0's)."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from linwin.machine.libvirt import xml

LIVE = (Path(__file__).parent / "libvirt_live.xml").read_text()


def plugged(*devices: str) -> str:
    """The domain with further devices."""
    root = ElementTree.fromstring(LIVE)
    found = root.find("devices")
    assert found is not None
    for device in devices:
        found.append(ElementTree.fromstring(device))
    return ElementTree.tostring(root, encoding="unicode")


def nic(number: int, port: int) -> str:
    return xml.nic_xml(f"nic-{number}", f"lwt{number}", "02:42:ac:11:00:02", port)


def test_the_agents_socket_is_where_libvirt_put_it() -> None:
    path = "/var/lib/libvirt/qemu/channel/target/domain-1-linwin-0badcafe-0123/org.linwin.agent.0"
    assert xml.agent_socket(LIVE) == Path(path)
    assert xml.agent_socket(LIVE.replace("org.linwin.agent.0", "another")) is None


def test_the_emulators_user_is_its_labels() -> None:
    assert xml.emulator_user(LIVE) == 100001
    assert xml.emulator_user(LIVE.replace("model='dac'", "model='selinux'")) is None


@pytest.mark.parametrize(("taken", "free"), [([], 1), ([1], 2), ([2, 1], 3), ([2], 1), ([1, 2, 3, 4], None)])
def test_the_first_port_without_a_device_is_free(taken: list[int], free: int | None) -> None:
    assert xml.hotplug_ports(LIVE) == 4
    live = plugged(*(nic(number, port) for number, port in enumerate(taken)))
    assert xml.free_port(live, 4) == free


def test_a_nic_is_known_by_its_alias() -> None:
    live = plugged(nic(1, 1))
    assert (xml.has_nic(live, "nic-1"), xml.has_nic(live, "nic-2")) == (True, False)


def test_a_machine_to_sit_at_is_told_from_others() -> None:
    assert (xml.terminal(LIVE), xml.has_screen(LIVE)) == (None, False)
    seat = plugged("<graphics type='vnc'/>", "<serial type='pty'><source path='/dev/pts/7'/></serial>")
    assert (xml.terminal(seat), xml.has_screen(seat)) == (Path("/dev/pts/7"), True)
