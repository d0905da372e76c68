"""What Windows Setup is told, pinned, and held against Microsoft's "Unattended Windows Setup Reference".

To accept a change: ``LINWIN_GOLDEN=write pytest tests/golden/templates``. The reference says of each
setting in which passes it may be and what it may hold; :data:`REFERENCE` is what it says of those that are
used. No Setup has ever read these files here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from linwin.templates import recipe
from linwin.templates.recipe import SetupRecipe
from linwin.templates.windows import setup_answers, setup_script, unattend
from linwin.templates.windows.wim import Image

FOLDER = Path(__file__).parent
RECIPES = Path(__file__).parents[3] / "vm-templates"
CORES = ("servercore-2019", "servercore-2022", "servercore-2025")
SPACE = "{urn:schemas-microsoft-com:unattend}"
WCM = "{http://schemas.microsoft.com/WMIConfig/2002/State}"

TRUTH = "true|false"
NUMBER = r"\d+"
TEXT = r".{1,1024}"
LANGUAGE = "[a-z]{2}-[A-Z]{2}"
SHOW = "Always|OnError|Never"
PE, SPECIALIZE, OOBE, GENERALIZE = "windowsPE", "specialize", "oobeSystem", "generalize"
DISK = "DiskConfiguration/Disk"
IMAGE = "ImageInstall/OSImage"
COMMAND = "RunSynchronous/RunSynchronousCommand"
FIRST = "FirstLogonCommands/SynchronousCommand"
LANGUAGES = dict.fromkeys(("InputLocale", "SystemLocale", "UILanguage", "UserLocale"), LANGUAGE)

REFERENCE: dict[tuple[str, str], dict[str, str]] = {
    (PE, "Microsoft-Windows-International-Core-WinPE"): {**LANGUAGES, "SetupUILanguage/UILanguage": LANGUAGE},
    (PE, "Microsoft-Windows-PnpCustomizationsWinPE"): {"DriverPaths/PathAndCredentials/Path": ".{1,259}"},
    (PE, "Microsoft-Windows-Setup"): {
        f"{COMMAND}/Order": NUMBER,
        f"{COMMAND}/Path": ".{1,259}",
        f"{COMMAND}/Description": ".{1,259}",
        "DiskConfiguration/WillShowUI": SHOW,
        f"{DISK}/DiskID": NUMBER,
        f"{DISK}/WillWipeDisk": TRUTH,
        f"{DISK}/CreatePartitions/CreatePartition/Order": NUMBER,
        f"{DISK}/CreatePartitions/CreatePartition/Type": "Primary|Extended|Logical|EFI|MSR",
        f"{DISK}/CreatePartitions/CreatePartition/Size": NUMBER,
        f"{DISK}/CreatePartitions/CreatePartition/Extend": TRUTH,
        f"{DISK}/ModifyPartitions/ModifyPartition/Order": NUMBER,
        f"{DISK}/ModifyPartitions/ModifyPartition/PartitionID": NUMBER,
        f"{DISK}/ModifyPartitions/ModifyPartition/Format": "NTFS|FAT32",
        f"{DISK}/ModifyPartitions/ModifyPartition/Label": ".{1,32}",
        f"{DISK}/ModifyPartitions/ModifyPartition/Letter": "[C-Z]",
        f"{IMAGE}/InstallFrom/MetaData/Key": "/IMAGE/(INDEX|NAME|DESCRIPTION)",
        f"{IMAGE}/InstallFrom/MetaData/Value": TEXT,
        f"{IMAGE}/InstallTo/DiskID": NUMBER,
        f"{IMAGE}/InstallTo/PartitionID": NUMBER,
        f"{IMAGE}/WillShowUI": SHOW,
        "UserData/AcceptEula": TRUTH,
        "UserData/ProductKey/Key": "([A-Z0-9]{5}-){4}[A-Z0-9]{5}",
        "UserData/ProductKey/WillShowUI": SHOW,
        "EnableFirewall": TRUTH,
    },
    (SPECIALIZE, "Microsoft-Windows-Shell-Setup"): {"ComputerName": "[A-Za-z0-9-]{1,15}", "TimeZone": TEXT},
    (SPECIALIZE, "Microsoft-Windows-Deployment"): {
        f"{COMMAND}/Order": NUMBER,
        f"{COMMAND}/Path": ".{1,1024}",
        f"{COMMAND}/Description": ".{1,256}",
    },
    (OOBE, "Microsoft-Windows-International-Core"): LANGUAGES,
    (OOBE, "Microsoft-Windows-Shell-Setup"): {
        "OOBE/HideEULAPage": TRUTH,
        "OOBE/SkipMachineOOBE": TRUTH,
        "OOBE/SkipUserOOBE": TRUTH,
        "UserAccounts/AdministratorPassword/Value": TEXT,
        "UserAccounts/AdministratorPassword/PlainText": TRUTH,
        "AutoLogon/Password/Value": TEXT,
        "AutoLogon/Password/PlainText": TRUTH,
        "AutoLogon/Enabled": TRUTH,
        "AutoLogon/LogonCount": NUMBER,
        "AutoLogon/Username": TEXT,
        f"{FIRST}/Order": NUMBER,
        f"{FIRST}/CommandLine": ".{1,1024}",
        f"{FIRST}/Description": ".{1,256}",
    },
    (GENERALIZE, "Microsoft-Windows-PnpSysprep"): {"PersistAllDeviceInstalls": TRUTH},
}  # fmt: skip
LISTS = {
    "PathAndCredentials", "RunSynchronousCommand", "Disk", "CreatePartition", "ModifyPartition", "MetaData",
    "SynchronousCommand",
}  # fmt: skip


def core(name: str) -> SetupRecipe:
    read = recipe.load(RECIPES / name)
    assert isinstance(read, SetupRecipe)
    return read


def told(name: str, product_key: str = "") -> bytes:
    read = core(name)
    image = Image(
        2, "a Server Core", "amd64", f"10.0.{read.build}.1", 0, read.edition, read.installation, "de-DE"
    )
    drivers = tuple(driver.lower() for driver in read.drivers)
    return setup_answers.answers(image, read.label, drivers, "Secret-1", product_key)


CLONES = unattend.answers("Secret-1", keep_devices=True)
ALL = {
    **{f"{name}.xml": told(name) for name in CORES},
    "clone.xml": CLONES,
    "setup.cmd": setup_script.script(),
}


@pytest.mark.parametrize("name", ALL)
def test_it_is_the_golden_one(name: str) -> None:
    golden = FOLDER / name
    if os.environ.get("LINWIN_GOLDEN") == "write":
        golden.write_bytes(ALL[name])
    assert golden.read_bytes() == ALL[name]


def leaves(element: ElementTree.Element, path: str = "") -> Iterator[tuple[str, str]]:
    for child in element:
        name = child.tag.removeprefix(SPACE)
        below = f"{path}/{name}".lstrip("/")
        assert child.get(f"{WCM}action") == ("add" if name in LISTS else None), below
        if len(child):
            yield from leaves(child, below)
        else:
            yield below, child.text or ""


@pytest.mark.parametrize("answers", [*map(told, CORES), CLONES, told(CORES[0], "ABCDE-" * 4 + "12345")])
def test_the_reference_knows_every_setting_in_its_pass(answers: bytes) -> None:
    root = ElementTree.fromstring(answers)
    assert root.tag == f"{SPACE}unattend"
    for settings in root:
        for component in settings:
            known = REFERENCE[settings.get("pass", ""), component.get("name", "")]
            assert component.get("processorArchitecture") == "amd64"
            assert component.get("publicKeyToken") == "31bf3856ad364e35"
            assert (component.get("language"), component.get("versionScope")) == ("neutral", "nonSxS")
            for path, text in leaves(component):
                assert re.fullmatch(known[path], text), (path, text)


def test_orders_and_keys_are_each_given_once() -> None:
    root = ElementTree.fromstring(told(CORES[0]))
    for parent in root.iter():
        orders = [child.findtext(f"{SPACE}Order") for child in parent]
        given = [order for order in orders if order is not None]
        assert given == [str(number) for number in range(1, len(given) + 1)]
    keys = [found.get(f"{WCM}keyValue") for found in root.iter(f"{SPACE}PathAndCredentials")]
    assert len(set(keys)) == len(keys) == 6 * 6


def test_c_is_last_on_the_disk_and_what_is_installed_to() -> None:
    root = ElementTree.fromstring(told(CORES[0]))
    created = [found.findtext(f"{SPACE}Type") for found in root.iter(f"{SPACE}CreatePartition")]
    assert created == ["EFI", "MSR", "Primary"]
    assert [found.text for found in root.iter(f"{SPACE}Extend")] == ["true"]
    assert root.findtext(f".//{SPACE}InstallTo/{SPACE}PartitionID") == "3"


def test_a_product_key_is_given_only_where_there_is_one() -> None:
    assert b"<Key>ABCDE-" in told(CORES[0], "ABCDE-" * 4 + "12345")
    assert b"<ProductKey>\r\n          <WillShowUI>" in told(CORES[0])


@pytest.mark.parametrize(
    ("name", "build", "tag"),
    [
        ("servercore-2019", 17763, "ltsc2019"),
        ("servercore-2022", 20348, "ltsc2022"),
        ("servercore-2025", 26100, "ltsc2025"),
    ],
)
def test_a_recipe_provides_its_builds_base_images(name: str, build: int, tag: str) -> None:
    read = core(name)
    assert (read.build, read.edition, read.installation) == (build, "ServerDatacenter", "Server Core")
    provided = {reference for base in read.provides for reference in base.references}
    assert provided >= {
        f"mcr.microsoft.com/windows/servercore:{tag}",
        f"docker.io/microsoft/windowsservercore:{tag}",
        f"mcr.microsoft.com/windows/nanoserver:{tag}",
    }
