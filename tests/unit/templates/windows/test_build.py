"""A template from ISOs that stand for Microsoft's and virtio-win's, seen by readers that are not ours."""

from __future__ import annotations

import asyncio
import io
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID
from xml.etree import ElementTree

import pytest
from dissect.regf import RegistryHive

from linwin.model.template import Template
from linwin.templates import manifest
from linwin.templates.windows import disk
from tests.unit.templates.windows import media
from tests.unit.templates.windows.infs import VIOSTOR
from tests.unit.templates.windows.place import NAME, PHASES, Place
from tests.unit.templates.windows.readers import Disk, subkeys, values

SYSTEM, ADMINISTRATORS, USERS = "S-1-5-18", "S-1-5-32-544", "S-1-5-32-545"
FULL, READ = 0x1F01FF, 0x1200A9


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Template, Place]:
    place = Place(tmp_path_factory.mktemp("built"))

    async def build() -> Template:
        iso = await media.windows_iso(place.folder)
        return await place.build(iso, media.virtio_iso(place.folder))

    return asyncio.run(build()), place


@pytest.fixture(scope="module")
def found(built: tuple[Template, Place], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disk]:
    disk = Disk(built[0].c_disk, tmp_path_factory.mktemp("disk"))
    yield disk
    disk.close()


def test_the_template_says_what_it_provides(built: tuple[Template, Place]) -> None:
    template, place = built
    (base,) = template.provides
    assert base.references == (
        "docker.io/microsoft/nanoserver:latest",
        "docker.io/microsoft/nanoserver:sac2016",
    )
    assert base.os_version == media.OS_VERSION
    assert (template.kind, template.boots_before_c, template.serves_any_build) == ("windows", False, False)
    assert template.size == template.c_disk.stat().st_size
    assert tuple(place.said) == PHASES


def test_the_disk_is_one_that_sgdisk_finds_no_fault_with(found: Disk) -> None:
    assert b"No problems found" in media.run("sgdisk", "--verify", found.raw)
    esp, reserved, windows = found.partitions
    assert (esp.kind, esp.start) == (UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b"), 1 << 20)
    assert reserved.kind == UUID("e3c9e316-0b5c-4db8-817d-f92df00215ae")
    assert (windows.kind, windows.start) == (UUID("ebd0a0a2-b9e5-4433-87c0-68b6b72699c7"), disk.C_START)
    assert [part.name for part in found.partitions] == [
        "EFI system partition", "Microsoft reserved partition", "Basic data partition"
    ]  # fmt: skip


def test_the_boot_partition_is_fat_with_all_that_firmware_looks_for(found: Disk) -> None:
    assert media.run("fsck.fat", "-n", found.esp)
    assert found.boot_files() == [
        "EFI/Boot/bootx64.efi",
        "EFI/Microsoft/Boot/BCD",
        "EFI/Microsoft/Boot/Fonts/wgl4_boot.ttf",
        "EFI/Microsoft/Boot/bootmgfw.efi",
        "EFI/Microsoft/Boot/en-US/bootmgfw.efi.mui",
    ]
    assert found.boot_file("EFI/Boot/bootx64.efi") == media.PROGRAM.read_bytes()
    with found.esp.open("rb") as file:
        boot = file.read(512)
    assert struct.unpack_from("<HHI", boot, 24) == (63, 255, (1 << 20) // 512)


def test_the_boot_store_names_the_disk_and_its_partitions(found: Disk) -> None:
    store = RegistryHive(io.BytesIO(found.boot_file("EFI/Microsoft/Boot/BCD")))
    manager = "{9dea862c-5cdd-4e70-acc1-f32b344d4795}"
    loader = values(store, "Objects", manager, "Elements", "23000003")["Element"]
    assert values(store, "Objects", loader, "Description") == {"Type": 0x10200003}

    def device(item: str, element: str) -> tuple[UUID, UUID]:
        data = values(store, "Objects", item, "Elements", element)["Element"]
        assert len(data) == 88
        return UUID(bytes_le=data[56:72]), UUID(bytes_le=data[32:48])

    esp, _, windows = found.partitions
    assert device(manager, "11000001") == (found.identifier, esp.identifier)
    for element in ("11000001", "21000001"):
        assert device(loader, element) == (found.identifier, windows.identifier)


def test_the_volume_is_ntfs_that_knows_where_it_lies(found: Disk) -> None:
    assert b"processed successfully" in media.run("ntfsfix", "--no-action", found.c)
    assert b"Volume Name: Windows" in media.run("ntfsinfo", "-m", found.c)
    assert b"All keys are present in all lists" in media.run("ntfssecaudit", "-a", found.c)
    with found.c.open("rb") as file:
        boot = file.read(512)
        file.seek(-512, 2)
        assert file.read(512) == boot  # the copy at the volume's end
    assert boot[3:11] == b"NTFS    "
    assert struct.unpack_from("<HHI", boot, 24) == (63, 255, disk.C_START // 512)
    assert struct.unpack_from("<Q", boot, 40) == (found.partitions[2].size // 512 - 1,)


def test_drivers_and_agent_lie_where_windows_looks(found: Disk) -> None:
    agent = (media.AGENTS / "linwin-agent.exe").read_bytes()
    assert found.file("Program Files/linwin/linwin-agent.exe") == agent
    store = "Windows/System32/DriverStore/FileRepository/viostor.inf_amd64_0000000000000000"
    driver = media.PROGRAM.read_bytes() + b"viostor"
    for path in (f"{store}/viostor.sys", "Windows/System32/drivers/viostor.sys"):
        assert found.file(path) == driver
    inf = VIOSTOR.replace("\n", "\r\n").encode()
    # oem0.inf was there, and the folder is spelled as the image spells it.
    assert found.file(f"{store}/viostor.inf") == found.file("Windows/inf/oem1.inf") == inf
    assert found.file("Windows/inf/oem0.inf") == b"one that was there before"
    catalogues = "Windows/System32/CatRoot/{F750E6C3-38EE-11D1-85E5-00C04FC295EE}"
    assert found.file(f"{catalogues}/oem1.cat") == b"a catalogue of viostor"
    helper = found.file("Windows/System32/vioserhelp.dll")
    assert found.file(f"{store.replace('viostor', 'vioser')}/vioserhelp.dll") == helper
    # One that runs from the store has no copy.
    assert "netkvm.sys" not in found.ntfs.mft.get("Windows/System32/drivers").listdir()
    assert not any(name.endswith(".pdb") for name in found.ntfs.mft.get(store).listdir())


def test_what_is_added_is_nobodys_to_change(found: Disk) -> None:
    public = (ADMINISTRATORS, [(FULL, SYSTEM), (FULL, ADMINISTRATORS), (READ, USERS)])
    for path in (
        "Program Files/linwin",
        "Program Files/linwin/linwin-agent.exe",
        "Windows/System32/drivers/viostor.sys",
        "Windows/System32/DriverStore",
        "Windows/Setup/Scripts/SetupComplete.cmd",
    ):
        assert found.descriptor(path) == public
    secret = (ADMINISTRATORS, [(FULL, SYSTEM), (FULL, ADMINISTRATORS)])
    assert found.descriptor("Windows/Panther/Unattend.xml") == secret
    # Those of the hives came with the image.
    assert found.descriptor(f"{media.CONFIG}/SYSTEM") == secret


def test_the_services_are_in_the_current_control_set(found: Disk) -> None:
    system = found.hive("SYSTEM")
    services = (media.CONTROL_SET, "Services")
    assert subkeys(system, *services) == {
        "EventLog", "VirtioSerial", "disk", "linwin-agent", "netkvm", "netkvmp", "viostor"
    }  # fmt: skip
    agent = values(system, *services, "linwin-agent")
    assert agent["ImagePath"] == '"C:\\Program Files\\linwin\\linwin-agent.exe" service run'
    assert (agent["Type"], agent["Start"], agent["ObjectName"]) == (0x10, 2, "LocalSystem")
    assert values(system, *services, "viostor") == {
        "Type": 1,
        "Start": 0,
        "ErrorControl": 1,
        "ImagePath": "System32\\drivers\\viostor.sys",
        "Owners": ["oem1.inf"],
        "Group": "SCSI miniport",
    }
    assert values(system, *services, "viostor", "Parameters", "PnpInterface") == {"5": 1}
    assert values(system, *services, "EventLog", "System", "viostor") == {
        "EventMessageFile": "%SystemRoot%\\System32\\IoLogMsg.dll",
        "TypesSupported": 7,
    }
    serial = values(system, *services, "VirtioSerial")
    assert serial["ImagePath"] == "\\SystemRoot\\System32\\drivers\\vioser.sys"
    assert values(system, *services, "VirtioSerial", "Parameters", "Wdf") == {"KmdfLibraryVersion": "1.15"}
    store = "System32\\DriverStore\\FileRepository\\netkvm.inf_amd64_0000000000000000"
    assert values(system, *services, "netkvm")["ImagePath"] == f"\\SystemRoot\\{store}\\netkvm.sys"
    program = values(system, *services, "netkvmp")
    assert program["ImagePath"] == "%SystemRoot%\\System32\\netkvmp.exe run it"
    assert program["ObjectName"] == "LocalSystem"
    assert values(system, *services, "disk") == {"Start": 0}


def test_the_driver_database_knows_the_drivers(found: Disk) -> None:
    system = found.hive("SYSTEM")
    root = "DriverDatabase"
    label = "viostor.inf_amd64_0000000000000000"
    assert values(system, root, "DriverInfFiles", "oem1.inf") == {
        "(Default)": [label],
        "Active": label,
        "Configurations": ["Block.Install"],
    }
    # Another driver of the device, that was there before, stays.
    assert values(system, root, "DeviceIds", "PCI", "VEN_1AF4&DEV_1001") == {
        "other.inf": b"\x01\xff\0\0",
        "oem1.inf": b"\x02\xff\0\0",
    }
    whole = "VEN_1AF4&DEV_1001&SUBSYS_00021AF4&REV_00"
    assert values(system, root, "DeviceIds", "PCI", whole) == {"oem1.inf": b"\x01\xff\0\0"}
    package = values(system, root, "DriverPackages", label)
    assert package["Version"] == bytes.fromhex(
        "00ff090000000000"
        "7be9364d25e3ce11bfc108002be10318"  # the class
        "000013cd53b4d901"  # 12 July 2023
        "c05d68005d006400"  # 100.93.104.24000
        "0000000000000000"
    )
    assert (package["InfName"], package["Catalog"], package["(Default)"]) == (
        "viostor.inf",
        "viostor.cat",
        "oem1.inf",
    )
    at = (root, "DriverPackages", label)
    assert values(system, *at, "Configurations", "Block.Install") == {"ConfigFlags": 0, "Service": "viostor"}
    assert values(system, *at, "Descriptors", "PCI", whole) == {
        "Configuration": "Block.Install",
        "Description": "%block.name%",
        "Manufacturer": "%maker%",
    }
    assert values(system, *at, "Strings") == {
        "maker": "Red Hat, Inc.",
        "block.name": "A block device",
    }


def test_the_class_of_a_device_says_which_hive_has_the_database(found: Disk) -> None:
    system, drivers = found.hive("SYSTEM"), found.hive("DRIVERS")
    assert subkeys(system, "DriverDatabase", "DriverInfFiles") == {"oem1.inf", "oem2.inf"}
    assert subkeys(drivers, "DriverDatabase", "DriverInfFiles") == {"oem3.inf"}
    network = "{4d36e972-e325-11ce-bfc1-08002be10318}"
    assert values(drivers, "DriverDatabase", "DeviceIds", network) == {"oem3.inf": b""}
    assert values(system, "DriverDatabase")["OemInfMap"] == b"\xf0"  # oem0.inf to oem3.inf
    label = "netkvm.inf_amd64_0000000000000000"
    at = ("DriverDatabase", "DriverPackages", label, "Configurations", "card.ndi.NTamd64")
    assert values(drivers, *at)["Service"] == "netkvm"
    assert values(drivers, *at, "Driver") == {"BusNumber": "0"}
    assert values(drivers, *at, "Driver", "Ndi") == {"Service": "netkvm"}
    assert values(drivers, *at, "Driver", "Ndi", "Params", "*MTU") == {"default": "1500"}


def test_files_in_windows_folders_have_owners(found: Disk) -> None:
    software = found.hive("SOFTWARE")
    owned = ("Microsoft", "Windows", "CurrentVersion", "Setup", "PnpLockdownFiles")
    drivers = "%SystemRoot%/System32/drivers"
    assert subkeys(software, *owned) == {
        f"{drivers}/viostor.sys",
        f"{drivers}/vioser.sys",
        "%SystemRoot%/System32/vioserhelp.dll",
        f"{drivers}/vioserco.dll",
    }
    store = "%SystemRoot%\\System32\\DriverStore\\FileRepository\\viostor.inf_amd64_0000000000000000"
    assert values(software, *owned, f"{drivers}/viostor.sys") == {
        "Class": 4,
        "Owners": ["oem1.inf"],
        "Source": f"{store}\\viostor.sys",
    }
    assert values(software, *owned, f"{drivers}/vioser.sys")["Class"] == 5  # without PnpLockdown


def test_setup_is_told_all_it_would_ask(found: Disk) -> None:
    answers = ElementTree.fromstring(found.file("Windows/Panther/Unattend.xml"))
    space = {"u": "urn:schemas-microsoft-com:unattend"}
    assert [item.get("pass") for item in answers.iterfind("u:settings", space)] == [
        "specialize",
        "oobeSystem",
    ]
    script = found.file("Windows/Setup/Scripts/SetupComplete.cmd").decode("ascii")
    assert script.count("pnputil -i -a") == 3
    assert 'linwin-agent.exe" service install' in script


async def test_equal_isos_are_built_once(place: Place, iso: Path, virtio: Path) -> None:
    first = await place.build(iso, virtio)
    place.said.clear()
    assert await place.build(await asyncio.to_thread(iso.rename, iso.with_name("other.iso")), virtio) == first
    assert place.said == ["Reading", "Using the finished build of equal inputs", "Installed"]
    assert await place.templates.list() == [first]
    assert await place.templates.unusable() == []


async def test_another_image_is_another_template(place: Place, iso: Path, virtio: Path) -> None:
    standard = await place.build(iso, virtio, index=1)
    datacenter = await place.build(iso, virtio)
    assert standard.digest != datacenter.digest


async def test_it_is_one_like_others(place: Place, iso: Path, virtio: Path) -> None:
    built = await place.build(iso, virtio)
    assert await place.templates.get(NAME) == built
    await place.templates.remove(NAME)
    assert await place.templates.list() == []


def test_where_c_begins_is_where_the_volume_lies(built: tuple[Template, Place], found: Disk) -> None:
    assert built[0].c_start == found.partitions[2].start


def test_a_record_from_before_says_where_c_begins(built: tuple[Template, Place]) -> None:
    written = json.loads((built[0].c_disk.parent / manifest.FILE).read_bytes())
    assert written.pop("c_start") == built[0].c_start
    assert manifest.parse(json.dumps(written).encode()).c_start == built[0].c_start


@pytest.mark.parametrize("start", [-1, "0", None])
def test_a_record_that_says_nonsense_of_c_is_refused(built: tuple[Template, Place], start: object) -> None:
    written = json.loads((built[0].c_disk.parent / manifest.FILE).read_bytes())
    with pytest.raises(ValueError, match=r"^it does not say where C: begins$"):
        manifest.parse(json.dumps({**written, "c_start": start}).encode())
