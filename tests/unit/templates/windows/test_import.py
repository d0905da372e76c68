"""Templates of disks that a user has, in every format, seen by readers that are not ours."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from linwin.model.template import Template
from linwin.templates.windows import hive
from tests.unit.templates.windows import disks, infs, media
from tests.unit.templates.windows.disks import Installed, converted, windows_disk
from tests.unit.templates.windows.media import CONTROL_SET
from tests.unit.templates.windows.place import Place
from tests.unit.templates.windows.readers import Disk, subkeys, values
from tests.unit.templates.windows.spoil import fingerprint

SYSTEM, ADMINISTRATORS, USERS = "S-1-5-18", "S-1-5-32-544", "S-1-5-32-545"
FULL, READ = 0x1F01FF, 0x1200A9
NUMBERS = (1, 2, 4, 3)
"""Of partitions, in order of their places."""
AGENT = "Program Files/linwin/linwin-agent.exe"
CONFIG = media.CONFIG
ANSWERS, SCRIPT = "Windows/Panther/Unattend/Unattend.xml", "Windows/Setup/Scripts/SetupComplete.cmd"
OWN = {
    "Users/me/letter.txt": b"Dear all",
    "Windows/Panther/Unattend.xml": b"answers of long ago",
    "Windows/System32/LargeFile.bin": bytes(range(256)) * 4096,
}
"""Files of the user's."""
PHASES = [
    "Reading",
    "Reading the partition table of user.raw",
    "Copying C: out of user.raw",
    "Found Windows Server 2022 Standard, Server Core, 10.0.20348.2113",
    "Choosing viostor, vioscsi, vioserial, NetKVM, Balloon, viorng in virtio-win.iso",
    "It has no agent",
    "Registering what is missing",
    "Adding what is missing to C:",
    "Writing the disk",
    "Hashing the disk",
    "Storing the build",
    "Installed",
]


@dataclasses.dataclass(frozen=True)
class Case:
    """An import of a disk that lacks everything and is generalized."""

    place: Place
    user: Path
    digest: tuple[str, int, int]
    template: Template


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    place = Place(tmp_path_factory.mktemp("imported"))

    async def build() -> Case:
        made = Installed(state="IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE", files=OWN)
        user = await windows_disk(place.folder / "user", made)
        digest = fingerprint(user)
        return Case(place, user, digest, await place.import_disk(user, virtio(place.folder)))

    return asyncio.run(build())


@pytest.fixture(scope="module")
def found(case: Case, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disk]:
    disk = Disk(case.template.c_disk, tmp_path_factory.mktemp("disk"), NUMBERS)
    yield disk
    disk.close()


@pytest.fixture(scope="module")
def before(case: Case, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disk]:
    disk = Disk(case.user, tmp_path_factory.mktemp("before"), NUMBERS)
    yield disk
    disk.close()


def made_folder(folder: Path) -> Path:
    folder.mkdir()
    return folder


def virtio(folder: Path, system: str = "2k22") -> Path:
    return media.virtio_iso(folder, infs.ALL, system)


def test_the_template_says_what_it_is(case: Case) -> None:
    template = case.template
    assert (template.name, template.kind, template.c_start) == ("mine", "windows", disks.C_START)
    assert (template.minimum_memory, template.serves_any_build) == (1024, False)
    assert template.summary == "Windows Server 2022 Standard, imported from user.raw"
    assert [(base.references[0], base.os_version) for base in template.provides] == [
        ("mcr.microsoft.com/windows/servercore:ltsc2022", disks.OS_VERSION),
        ("mcr.microsoft.com/windows/nanoserver:ltsc2022", disks.OS_VERSION),
    ]
    told = template.imported
    assert told is not None
    assert (told.source, told.format, told.product) == ("user.raw", "raw", "Windows Server 2022 Standard")
    assert (told.edition, told.installation, told.generalized) == ("ServerStandard", "Server Core", True)
    assert told.drivers == tuple((name, "100.93.104.24000") for name in infs.ALL)
    assert told.added == tuple(infs.ALL)
    assert (
        told.agent
        == f"sha256:{media.run('sha256sum', media.AGENTS / 'linwin-agent.exe').split()[0].decode()}"
    )
    assert case.place.said == PHASES


def test_the_users_file_is_as_it_was(case: Case) -> None:
    assert fingerprint(case.user) == case.digest


def test_checkers_find_no_fault(found: Disk) -> None:
    assert b"No problems found" in media.run("sgdisk", "--verify", found.raw)
    assert media.run("fsck.fat", "-n", found.esp)
    assert b"processed successfully" in media.run("ntfsfix", "--no-action", found.c)
    assert b"All keys are present in all lists" in media.run("ntfssecaudit", "-a", found.c)


def test_what_is_not_windows_volume_is_the_same_to_the_byte(found: Disk, before: Disk) -> None:
    assert found.partitions == before.partitions
    assert found.identifier == before.identifier
    assert found.raw.stat().st_size == before.raw.stat().st_size
    start, end = disks.C_START, disks.SIZE - disks.TAIL
    for begin, size in ((0, start), (end, disks.TAIL)):
        options = (f"--ignore-initial={begin}", f"--bytes={size}")
        assert media.run("cmp", *options, found.raw, before.raw) == b""


def test_every_file_of_the_users_is_the_same(found: Disk, before: Disk) -> None:
    now, then = found.files(), before.files()
    changed = {path for path in then if now.get(path) != then[path]}
    assert changed == {f"{CONFIG}/{name}" for name in ("SYSTEM", "SOFTWARE", "DRIVERS")}
    assert set(OWN) < set(then)
    assert {path for path in now if path not in then} > {AGENT, ANSWERS, SCRIPT}
    for path in (*changed, *OWN):
        assert found.descriptor(path) == before.descriptor(path)


def test_what_was_missing_is_there(found: Disk) -> None:
    assert found.file(AGENT) == (media.AGENTS / "linwin-agent.exe").read_bytes()
    store = "Windows/System32/DriverStore/FileRepository"
    for name in ("viostor", "vioscsi", "balloon", "viorng"):
        driver = media.PROGRAM.read_bytes() + name.encode()
        assert found.file(f"Windows/System32/drivers/{name}.sys") == driver
        assert found.file(f"{store}/{name}.inf_amd64_0000000000000000/{name}.sys") == driver
    # oem0.inf was there, in a folder that is spelled otherwise than Windows spells it.
    assert found.file("Windows/inf/oem1.inf") == infs.VIOSTOR.replace("\n", "\r\n").encode()
    assert found.file("Windows/inf/oem0.inf") == b"one that was there before"


def test_what_is_added_is_nobodys_to_change(found: Disk) -> None:
    public = (ADMINISTRATORS, [(FULL, SYSTEM), (FULL, ADMINISTRATORS), (READ, USERS)])
    for path in ("Program Files/linwin", AGENT, "Windows/System32/drivers/viostor.sys", SCRIPT):
        assert found.descriptor(path) == public
    assert found.descriptor(ANSWERS) == (ADMINISTRATORS, [(FULL, SYSTEM), (FULL, ADMINISTRATORS)])


def test_drivers_and_agent_are_registered_and_the_rest_stays(found: Disk, before: Disk) -> None:
    system = found.hive("SYSTEM")
    services = (CONTROL_SET, "Services")
    assert subkeys(system, *services) == {
        "BALLOON", "EventLog", "VirtRng", "VirtioSerial", "disk", "linwin-agent", "netkvm", "netkvmp",
        "vioscsi", "viostor",
    }  # fmt: skip
    agent = values(system, *services, "linwin-agent")
    assert agent["ImagePath"] == '"C:\\Program Files\\linwin\\linwin-agent.exe" service run'
    assert values(system, *services, "viostor")["Start"] == 0
    assert subkeys(system, "DriverDatabase", "DriverInfFiles") == {f"oem{n}.inf" for n in (1, 2, 3, 5, 6)}
    assert subkeys(found.hive("DRIVERS"), "DriverDatabase", "DriverInfFiles") == {"oem4.inf"}
    assert values(system, "DriverDatabase")["OemInfMap"] == b"\xfe"
    for keys in (disks.ENVIRONMENT, ("Select",), (*services, "disk")):
        assert values(system, *keys) == values(before.hive("SYSTEM"), *keys)
    assert values(found.hive("SOFTWARE"), *disks.KEY) == values(before.hive("SOFTWARE"), *disks.KEY)


def test_setup_is_told_all_it_would_ask(found: Disk) -> None:
    assert b"specialize" in found.file(ANSWERS)
    script = found.file(SCRIPT).decode("ascii")
    assert script.count("pnputil -i -a") == 6
    assert "del /f /q %SystemRoot%\\Panther\\Unattend\\Unattend.xml" in script


async def test_a_name_is_taken_once_and_an_equal_import_is_made_once(case: Case) -> None:
    before = list(case.place.said)
    case.place.said.clear()
    again = await case.place.import_disk(case.user, case.place.folder / "virtio-win.iso", "other")
    assert "Using the finished build of equal inputs" not in case.place.said  # the name is in the record
    case.place.said.clear()
    await case.place.templates.remove("other")
    assert await case.place.import_disk(case.user, case.place.folder / "virtio-win.iso", "other") == again
    assert case.place.said == ["Reading", "Using the finished build of equal inputs", "Installed"]
    await case.place.templates.remove("other")
    case.place.said[:] = before
    assert [template.name for template in await case.place.templates.list()] == ["mine"]


FORMATS = {
    "raw": ("raw", (), "raw"),
    "qcow2": ("qcow2", (), "qcow2"),
    "VHDX": ("vhdx", (), "VHDX"),
    "VHD": ("vpc", ("force_size=on",), "VHD"),
    "fixed VHD": ("vpc", ("force_size=on", "subformat=fixed"), "VHD"),
    "VMDK": ("vmdk", (), "VMDK"),
    "stream VMDK": ("vmdk", ("subformat=streamOptimized",), "VMDK"),
}


@pytest.mark.parametrize("name", FORMATS)
async def test_a_disk_that_lacks_nothing_is_the_same_to_the_byte(
    case: Case, tmp_path: Path, name: str
) -> None:
    """It is the disk of the template above, whose drivers and agent are found again."""
    kind, options, told = FORMATS[name]
    raw = tmp_path / "user.raw"
    media.run("qemu-img", "convert", "-O", "raw", case.template.c_disk, raw)
    place = Place(tmp_path)
    user = await asyncio.to_thread(converted, raw, kind, *options)
    digest = fingerprint(user)
    template = await place.import_disk(user)
    assert "It has all drivers" in place.said
    assert "Adding what is missing to C:" not in place.said
    assert fingerprint(user) == digest
    assert b"Images are identical" in media.run("qemu-img", "compare", "-f", "raw", raw, template.c_disk)
    imported, first = template.imported, case.template.imported
    assert imported is not None
    assert first is not None
    assert imported.format == told
    assert (imported.drivers, imported.added, imported.agent) == (first.drivers, (), first.agent)


async def test_another_agent_is_replaced_and_drivers_are_not(case: Case, tmp_path: Path) -> None:
    raw = await windows_disk(tmp_path / "user", Installed(files={AGENT: b"an agent of before"}))
    place = Place(tmp_path)
    template = await place.import_disk(raw, virtio(tmp_path))
    assert "Its agent is another one" in place.said
    disk = Disk(template.c_disk, tmp_path, NUMBERS)
    before = Disk(raw, tmp_path / "user", NUMBERS)
    assert disk.file(AGENT) == (media.AGENTS / "linwin-agent.exe").read_bytes()
    assert disk.descriptor(AGENT) == before.descriptor(AGENT)  # the file is the one that was there
    # Setup is over on it, and asks nothing.
    assert ANSWERS not in disk.files()
    before.close()
    disk.close()


async def test_answers_of_the_users_own_stay(tmp_path: Path) -> None:
    own = {ANSWERS: b"<my answers/>", SCRIPT: b"rem mine"}
    state = "IMAGE_STATE_SPECIALIZE_RESEAL_TO_OOBE"
    raw = await windows_disk(tmp_path / "user", Installed(state=state, files=own))
    place = Place(tmp_path)
    template = await place.import_disk(raw, virtio(tmp_path))
    assert {f"Leaving {path} as it is" for path in own} < set(place.said)
    disk = Disk(template.c_disk, tmp_path, NUMBERS)
    assert {path: disk.file(path) for path in own} == own
    disk.close()


async def test_firmware_without_a_memory_finds_the_boot_manager(tmp_path: Path) -> None:
    raw = await windows_disk(tmp_path / "user", Installed(fallback=False))
    template = await Place(tmp_path).import_disk(raw, virtio(tmp_path))
    disk = Disk(template.c_disk, tmp_path, NUMBERS)
    assert disk.boot_files() == [
        "EFI/Boot/bootx64.efi", "EFI/Microsoft/Boot/BCD", "EFI/Microsoft/Boot/bootmgfw.efi"
    ]  # fmt: skip
    assert disk.boot_file("EFI/Boot/bootx64.efi") == media.PROGRAM.read_bytes()
    assert media.run("fsck.fat", "-n", disk.esp)
    disk.close()


async def test_a_driver_whose_service_is_off_is_put_there_again(case: Case, tmp_path: Path) -> None:
    raw = tmp_path / "user.raw"
    media.run("qemu-img", "convert", "-O", "raw", case.template.c_disk, raw)
    disk = Disk(raw, await asyncio.to_thread(made_folder, tmp_path / "read"), NUMBERS)
    system = tmp_path / "SYSTEM"
    system.write_bytes(disk.file(f"{CONFIG}/SYSTEM"))
    disk.close()
    await hive.merge(system, {(CONTROL_SET, "Services", "viostor"): {"Start": hive.dword(3)}})
    media.run("ntfscp", "-q", disk.c, system, f"{CONFIG}/SYSTEM")
    words = [f"if={disk.c}", f"of={raw}", "bs=1M", "conv=notrunc,sparse", "status=none", "oflag=seek_bytes"]
    media.run("dd", *words, f"seek={disks.C_START}")
    template = await Place(tmp_path).import_disk(raw, virtio(tmp_path))
    assert template.imported is not None
    assert template.imported.added == ("viostor",)


@pytest.mark.parametrize(
    ("installation", "build", "first", "memory"),
    [
        ("Nano Server", "14393", "docker.io/microsoft/nanoserver:latest", 512),
        ("Server Core", "17763", "mcr.microsoft.com/windows/servercore:1809", 1024),
        ("Server", "26100", "mcr.microsoft.com/windows/servercore:ltsc2025", 2048),
        ("Client", "19042", "mcr.microsoft.com/windows/servercore:20H2", 2048),
    ],
)
async def test_each_type_of_installation_provides_the_images_of_its_build(
    case: Case, tmp_path: Path, installation: str, build: str, first: str, memory: int
) -> None:
    current = {
        "InstallationType": hive.text(installation), "CurrentBuildNumber": hive.text(build),
        "EditionID": hive.text("SomethingEval"),
    }  # fmt: skip
    user = await windows_disk(tmp_path / "user", Installed(current=current))
    place = Place(tmp_path)
    system = {"14393": "2k16", "17763": "2k19", "26100": "2k25", "19042": "w10"}[build]
    template = await place.import_disk(user, virtio(tmp_path, system))
    assert template.provides[0].references[0] == first
    assert {base.os_version for base in template.provides} == {f"10.0.{build}.2113"}
    assert template.minimum_memory == memory
    assert template.imported is not None
    assert template.imported.evaluation_ends == "2024-05-12"
    assert any(said.startswith("It is an evaluation that ends on 2024-05-12") for said in place.said)
    assert any("a Windows for clients" in said for said in place.said) == (installation == "Client")
