"""QEMU's command line, pinned: a change shows up as a diff of the golden files.

To accept one: ``LINWIN_GOLDEN=write pytest tests/golden/machine``.
"""

from __future__ import annotations

import json
import os
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from linwin.errors import InvalidRequest
from linwin.machine.describe import arguments, describe
from linwin.machine.domain import (
    C_NODE,
    Accelerator,
    Descriptors,
    Domain,
    Ram,
    c_node,
    medium_node,
)
from linwin.model.machine import C_SERIAL, LinuxBoot, MachineSpec

HERE = Path(__file__).parent
BOOT = LinuxBoot(
    kernel=Path("/templates/wine/vmlinuz"),
    initrd=Path("/templates/wine/initrd"),
    cmdline="console=ttyS0 quiet",
    root_disk=Path("/templates/wine/root,odd name.erofs"),
)
SPEC = MachineSpec(
    id="0123456789abcdef" * 4,
    boot=BOOT,
    memory=384,
    cpus=2,
    run_dir=Path("/containers/01/machine"),
    uid=100_001,
    spare_ports=2,
    c_disk=Path("/containers/01/c.qcow2"),
)
DESCRIPTORS = Descriptors(monitor=10, agent=11, console=12, tap=13)
SEAT = replace(DESCRIPTORS, typing=14)


def check(words: list[str], golden: Path) -> None:
    text = "\n".join(word if word.startswith("-") else f"    {word}" for word in words) + "\n"
    if os.environ.get("LINWIN_GOLDEN") == "write":
        golden.write_text(text)
    assert text == golden.read_text()


@pytest.mark.parametrize("accelerator", ["tcg", "kvm"])
def test_the_command_line_is_the_golden_one(accelerator: Accelerator) -> None:
    check(arguments(describe(SPEC, accelerator, DESCRIPTORS)), HERE / f"{accelerator}.args")


def test_the_command_line_of_a_machine_to_sit_at() -> None:
    """It differs in the screen, in what is typed and pointed with, and in a console that takes input."""
    words = arguments(describe(replace(SPEC, screen=True), "tcg", SEAT))
    check(words, HERE / "screen.args")
    plain = arguments(describe(SPEC, "tcg", DESCRIPTORS))
    assert [word for word in plain if word not in words] == ["file,id=console,path=/dev/fdset/1,append=on"]


def test_a_clone_differs_in_its_ram_and_in_waiting_for_its_state() -> None:
    plain = arguments(describe(SPEC, "tcg", DESCRIPTORS))
    clone = arguments(describe(SPEC, "tcg", DESCRIPTORS, Ram(14, shared=False), clone=True))
    assert clone[-2:] == ["-incoming", "defer"]
    changed = [(was, now) for was, now in zip(plain, clone, strict=False) if was != now]
    assert len(clone) == len(plain) + 2
    assert changed == [
        (
            '{"qom-type": "memory-backend-ram", "id": "ram", "size": 402653184}',
            '{"qom-type": "memory-backend-file", "id": "ram", "size": 402653184, '
            '"mem-path": "/proc/self/fd/14", "share": false}',
        )
    ]


def test_a_machine_starts_with_a_nic_only_where_it_has_a_tap() -> None:
    words = arguments(describe(SPEC, "tcg", DESCRIPTORS))
    plain = arguments(describe(SPEC, "tcg", replace(DESCRIPTORS, tap=None)))
    at = words.index("-netdev")
    assert words[at + 1] == "tap,id=net-first,fd=13,vhost=off"
    assert "virtio-net-pci" in words[at + 3]
    assert words[:at] + words[at + 4 :] == plain


@pytest.mark.parametrize("field", [field.name for field in fields(Domain)])
def test_every_field_of_a_domain_reaches_qemu(field: str) -> None:
    domain = describe(SPEC, "tcg", DESCRIPTORS)
    assert isinstance(domain, Domain)
    other: dict[str, Any] = {
        "accelerator": "kvm",
        "cpus": 3,
        "memory": 512,
        "spare_ports": 3,
        "descriptors": Descriptors(20, 21, 22),
        "kernel": Path("/other"),
        "initrd": Path("/other"),
        "root_disk": Path("/other"),
        "c_disk": Path("/other"),
        "ram": Ram(30, shared=True),
        "clone": True,
        "screen": True,
    }
    changed = replace(domain, **{field: other.get(field, "other")})
    assert arguments(changed) != arguments(domain)


def test_a_panic_ends_the_machine_whatever_the_template_says() -> None:
    spec = replace(SPEC, boot=replace(BOOT, cmdline="panic=0"))
    domain = describe(spec, "tcg", DESCRIPTORS)
    assert isinstance(domain, Domain)
    assert domain.cmdline.startswith("panic=0 panic=-1")
    assert "-no-reboot" in arguments(describe(spec, "tcg", DESCRIPTORS))


def test_the_footprint_counts_the_emulators_code_cache() -> None:
    assert describe(SPEC, "kvm", DESCRIPTORS).footprint == 384 + 64
    assert describe(SPEC, "tcg", DESCRIPTORS).footprint == 384 + 64 + 256
    assert describe(replace(SPEC, screen=True), "kvm", SEAT).footprint == 384 + 64 + 2 * 16


@pytest.mark.parametrize("ports", [0, 16])
def test_ports_that_do_not_fit_the_bus_are_refused(ports: int) -> None:
    with pytest.raises(InvalidRequest) as caught:
        describe(replace(SPEC, spare_ports=ports), "tcg", DESCRIPTORS)
    assert str(caught.value) == f"a machine has 1 to 15 hot-plug ports, not {ports}"


def test_the_port_addresses_stay_clear_of_the_chipset() -> None:
    words = arguments(describe(replace(SPEC, spare_ports=15), "tcg", DESCRIPTORS))
    assert any('"addr": "0x1e"' in word for word in words)
    assert not any('"addr": "0x1f"' in word for word in words)


def test_c_flushes_and_reports_a_full_host() -> None:
    node = medium_node(Path("/containers/01/c.qcow2"))
    assert node["file"]["cache"] == {"direct": False, "no-flush": False}
    words = arguments(describe(SPEC, "tcg", DESCRIPTORS))
    at = words.index(json.dumps(c_node(node)))
    device = json.loads(words[at + 2])
    assert (device["drive"], device["serial"]) == (C_NODE, C_SERIAL)
    assert (device["werror"], device["rerror"]) == ("report", "report")


def test_a_machine_may_be_without_c() -> None:
    words = arguments(describe(replace(SPEC, c_disk=None), "tcg", DESCRIPTORS))
    assert not any(C_SERIAL in word for word in words)
