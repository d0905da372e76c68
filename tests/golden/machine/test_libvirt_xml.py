"""libvirt's description of a machine, pinned, as QEMU's command line is beside it.

To accept a change: ``LINWIN_GOLDEN=write pytest tests/golden/machine``. That libvirt's own schema
accepts the files is tests/vm/test_drivers.py's to see.
"""

from __future__ import annotations

import ast
import inspect
import os
import xml.etree.ElementTree as ElementTree
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from linwin.errors import InvalidRequest
from linwin.machine.describe import AnyDomain, describe
from linwin.machine.domain import Descriptors, Domain
from linwin.machine.libvirt import xml
from linwin.machine.libvirt.xml import Identity, Owner, domain_xml, nic_xml, user_nic_xml
from linwin.machine.windows import ENLIGHTENMENTS, WindowsDomain
from linwin.model.network import Attachment, PortBinding
from tests.golden.machine import test_windows as windows
from tests.golden.machine.test_domain import BOOT, SPEC

HERE = Path(__file__).parent
DOMAIN = describe(
    replace(SPEC, boot=replace(BOOT, root_disk=Path("/templates/wine/root & <odd>.erofs"))),
    "tcg",
    Descriptors(0, 0, 0),
)
IDENTITY = Identity(SPEC.id, Path("/var/lib/linwin"), "0badcafe")
USER = Attachment(
    id="ab" * 32,
    network_id="user",
    container_id=SPEC.id,
    mac="02:42:0a:00:02:10",
    ipv4="10.0.2.16",
    ports=(PortBinding(80, "tcp", "127.0.0.1", 8080), PortBinding(53, "udp", "0.0.0.0", 5353)),
)


def written(domain: AnyDomain, **changes: Any) -> str:
    given: dict[str, Any] = {
        "title": "linwin: web",
        "console_log": SPEC.run_dir / "console.log",
        "owner": Owner(100_001, 100_001),
    }
    return domain_xml(domain, IDENTITY, **{**given, **changes})


WINDOWS = replace(windows.DOMAIN, accelerator="tcg")
INSTALLER = replace(
    WINDOWS, bus="sata", discs=(Path("/iso/Windows & 2022.iso"), Path("/iso/virtio-win.iso")), reboots=False
)

DESCRIPTIONS = {
    "tcg": lambda: written(DOMAIN),
    "kvm": lambda: written(replace(DOMAIN, accelerator="kvm", cpu_model="host"), owner=Owner(100_001, 106)),
    "screen": lambda: written(replace(DOMAIN, screen=True)),
    "windows-tcg": lambda: written(WINDOWS),
    "windows-kvm": lambda: written(replace(WINDOWS, accelerator="kvm", bus="virtio-scsi")),
    "windows-discs": lambda: written(INSTALLER),
    "session": lambda: written(DOMAIN, owner=None, title=""),
    "nic": lambda: nic_xml("nic-0123456789ab", "lwt0123456789ab", "02:42:ac:11:00:02", 3),
    "user-nic": lambda: user_nic_xml("nic-0123456789ab", USER, 1),
}


@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_the_description_is_the_golden_one(name: str) -> None:
    text, golden = DESCRIPTIONS[name](), HERE / f"{name}.xml"
    if os.environ.get("LINWIN_GOLDEN") == "write":
        golden.write_text(text)
    assert text == golden.read_text()


def test_every_element_and_attribute_is_in_a_golden_file() -> None:
    """What the module can say, by its source, is what the files hold."""
    sayable: set[str] = set()
    for call in ast.walk(ast.parse(inspect.getsource(xml))):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name):
            name, words = call.func.id, call.args[0 if call.func.id == "Element" else 1 :][:1]
            if name in ("Element", "SubElement", "_text"):
                sayable |= {word.value for word in words if isinstance(word, ast.Constant)}
                sayable |= {word.arg for word in call.keywords if word.arg}
    assert len(sayable) > 60
    said: set[str] = set()
    for golden in HERE.glob("*.xml"):
        for element in ElementTree.parse(golden).iter():
            said |= {element.tag, *element.keys()}
    assert sayable - said == set()


@pytest.mark.parametrize(
    "field",
    [field.name for field in fields(Domain) if field.name not in ("name", "descriptors", "ram", "clone")],
)
def test_every_field_of_a_domain_reaches_libvirt(field: str) -> None:
    """But for those of QEMU's own words: its name is the identity's, its files are libvirt's to open."""
    other: dict[str, Any] = {
        "accelerator": "kvm",
        "cpus": 3,
        "memory": 512,
        "spare_ports": 3,
        "kernel": Path("/other"),
        "initrd": Path("/other"),
        "root_disk": Path("/other"),
        "c_disk": Path("/other"),
        "screen": True,
    }
    assert written(replace(DOMAIN, **{field: other.get(field, "other")})) != written(DOMAIN)


@pytest.mark.parametrize(
    "field", [field.name for field in fields(WindowsDomain) if field.name not in ("name", "descriptors")]
)
def test_every_field_of_a_windows_domain_reaches_libvirt(field: str) -> None:
    other: dict[str, Any] = {
        "accelerator": "kvm",
        "cpus": 3,
        "memory": 512,
        "spare_ports": 3,
        "bus": "sata",
        "generation": IDENTITY.uuid,
        "discs": (Path("/other"),),
        "reboots": False,
    }
    changed = replace(WINDOWS, **{field: other.get(field, Path("/other"))})
    assert written(changed) != written(WINDOWS)


def test_both_drivers_have_drives_for_as_many_discs() -> None:
    written(replace(INSTALLER, discs=(Path("/iso"),) * 5))
    with pytest.raises(InvalidRequest, match=r"^a machine has drives for 5 discs, not 6$"):
        written(replace(INSTALLER, discs=(Path("/iso"),) * 6))


def test_all_that_windows_is_told_of_hyper_v_is_told_under_libvirt() -> None:
    hyperv = ElementTree.fromstring(DESCRIPTIONS["windows-kvm"]()).find("features/hyperv")
    assert hyperv is not None
    told = {element.tag for element in hyperv} | {"time", "stimer-direct"}  # by clock and stimer
    assert told == ENLIGHTENMENTS.keys()


def test_a_machine_without_c_has_one_disk() -> None:
    assert written(replace(DOMAIN, c_disk=None)).count("<disk ") == 1


def test_each_root_has_machines_of_its_own() -> None:
    elsewhere = replace(IDENTITY, tag="00000000")
    assert IDENTITY.uuid == replace(IDENTITY, root=Path("/elsewhere")).uuid, "not the same at each start"
    assert IDENTITY.uuid != elsewhere.uuid
    assert (IDENTITY.name, elsewhere.name) == ("linwin-0badcafe-0123456789ab", "linwin-00000000-0123456789ab")


def test_qemu_is_told_the_ports_that_libvirt_has_no_words_for() -> None:
    assert xml.forwards("nic-0123456789ab", USER) == [
        "hostfwd_add hostua-nic-nic-0123456789ab tcp:127.0.0.1:8080-10.0.2.16:80",
        "hostfwd_add hostua-nic-nic-0123456789ab udp:0.0.0.0:5353-10.0.2.16:53",
    ]


def test_a_nic_is_called_what_no_command_can_be_made_of() -> None:
    for name in ("", "a b", "a\n", "x" * 65):
        with pytest.raises(InvalidRequest):
            nic_xml(name, "tap", "02:42:ac:11:00:02", 1)
