"""The small pure pieces: a WIM's description, listings, recipes, the files for setup."""

from __future__ import annotations

import base64
from pathlib import Path
from xml.etree import ElementTree

import pytest

from linwin.errors import InvalidRequest
from linwin.templates import recipe
from linwin.templates.windows import answer_file, disk, driver_store, drivers, unattend, wim
from linwin.templates.windows.inf import Target
from linwin.templates.windows.listing import Listing
from tests.unit.templates.windows.infs import VIOSTOR
from tests.unit.templates.windows.media import REPOSITORY

_IMAGE = (
    '<IMAGE INDEX="1"><TOTALBYTES>123456789012</TOTALBYTES><WINDOWS><ARCH>9</ARCH><VERSION><MAJOR>10</MAJOR>'
    "<MINOR>0</MINOR><BUILD>14393</BUILD><SPBUILD>0</SPBUILD></VERSION></WINDOWS><NAME>Nano</NAME></IMAGE>"
)


def described(images: str) -> bytes:
    return f"<WIM><TOTALBYTES>1</TOTALBYTES>{images}</WIM>".encode("utf-16")


def test_a_description_is_read() -> None:
    assert wim.parse_description(described(_IMAGE), "a.wim") == (
        wim.Image(1, "Nano", "amd64", "10.0.14393.0", 123456789012),
    )
    assert wim.parse_description(described(""), "a.wim") == ()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (described(_IMAGE.replace("14393", "new")),
         "image 1 of a.wim is no Windows: its description names no version"),
        (described(_IMAGE.replace("10</MAJOR>", "</MAJOR>")),
         "image 1 of a.wim is no Windows: its description names no version"),
        (described(_IMAGE.replace(' INDEX="1"', "")),
         "image ? of a.wim is no Windows: its description names no version"),
        (described("<!ENTITY a 'b'>"), "the description in a.wim is not one of a WIM file"),
        (described("<IMAGE>"), "the description in a.wim cannot be read: mismatched tag: line 1, column 40"),
        (b"", "the description in a.wim cannot be read: no element found: line 1, column 0"),
    ],
    ids=["build", "major", "index", "entity", "tag", "nothing"],
)  # fmt: skip
def test_a_description_that_cannot_be_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        wim.parse_description(data, "a.wim")
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("code", "name"), [("0", "32-bit x86"), ("12", "64-bit ARM"), ("77", "architecture 77")]
)
def test_architectures(code: str, name: str) -> None:
    (image,) = wim.parse_description(described(_IMAGE.replace("<ARCH>9", f"<ARCH>{code}")), "a.wim")
    assert image.architecture == name


def test_a_listing_spells_as_the_image_does() -> None:
    listing = Listing.of(["Windows", "Windows/system32", "Windows/system32/Drivers"])
    assert listing.has("WINDOWS/System32")
    assert listing.spelled("windows/System32/drivers/A.sys") == "Windows/system32/Drivers/A.sys"
    assert listing.spelled("New/System32/b") == "New/System32/b"
    assert listing.new_folders(["Windows/system32/c", "New/System32/b", "d"]) == {"New", "New/System32"}


def test_names_of_published_infs_are_free_ones() -> None:
    package = drivers.read("viostor.inf", VIOSTOR.encode(), Target(14393))
    stored = driver_store.publish([package, package], {"windows/inf/oem0.inf", "windows/inf/oem2.inf"})
    assert [one.published for one in stored] == ["oem1.inf", "oem3.inf"]


def test_the_layout_leaves_no_gap_and_room_for_the_second_table() -> None:
    made = disk.layout(40 << 30, 1 << 30)
    assert disk.ESP_START + disk.ESP_SIZE == disk.RESERVED_START
    assert disk.RESERVED_START + disk.RESERVED_SIZE == disk.C_START
    assert disk.C_START + made.c_size == made.size - (1 << 20)
    assert len({made.disk, made.esp, made.reserved, made.windows}) == 4


def test_the_answers_are_those_of_the_reference() -> None:
    root = ElementTree.fromstring(unattend.answers("Secret-1"))
    space = {"u": "urn:schemas-microsoft-com:unattend"}
    components = root.findall("u:settings/u:component", space)
    assert [item.get("name") for item in components] == ["Microsoft-Windows-Shell-Setup"] * 2
    assert {item.get("processorArchitecture") for item in components} == {"amd64"}
    assert {item.get("publicKeyToken") for item in components} == {"31bf3856ad364e35"}
    assert root.findtext(".//u:ComputerName", namespaces=space) == unattend.COMPUTER
    hidden = root.findtext(".//u:AdministratorPassword/u:Value", "", space)
    assert base64.b64decode(hidden).decode("utf-16-le") == "Secret-1AdministratorPassword"
    assert root.findtext(".//u:AdministratorPassword/u:PlainText", "", space) == "false"


def test_text_in_an_answer_file_is_no_mark_up() -> None:
    rendered = answer_file.render({"a": {"b": answer_file.settings(Path='x<y & "z"')}})
    element = ElementTree.fromstring(rendered).find(".//{urn:schemas-microsoft-com:unattend}Path")
    assert element is not None
    assert element.text == 'x<y & "z"'


def test_the_script_after_setup() -> None:
    script = unattend.setup_complete("C:\\a b\\agent.exe", ["C:\\x\\y.inf"], unattend.ANSWERS)
    assert script.decode("ascii").split("\r\n") == [
        "@echo off",
        "mkdir %ProgramData%\\linwin 2>nul",
        'pnputil -i -a "C:\\x\\y.inf" >>%ProgramData%\\linwin\\setup.log 2>&1',
        "sc query linwin-agent >>%ProgramData%\\linwin\\setup.log 2>&1 || "
        '"C:\\a b\\agent.exe" service install >>%ProgramData%\\linwin\\setup.log 2>&1',
        "del /f /q %SystemRoot%\\Panther\\Unattend.xml",
        "",
    ]


_RECIPE = """\
kind: windows
summary: a test
minimum_memory: 512
image: {source: an ISO, file: a/b.wim, index: 1, build: 14393}
disk: {size_gib: 40, label: Windows}
drivers: {systems: [2k16], names: [viostor]}
provides: [{references: ["docker.io/microsoft/nanoserver:sac2016"], user: ContainerAdministrator}]
"""


def test_the_recipe_is_read() -> None:
    read = recipe.load(REPOSITORY / "vm-templates/nanoserver-2016")
    assert isinstance(read, recipe.WindowsRecipe)
    assert (read.image, read.index, read.build) == ("NanoServer/NanoServer.wim", 2, 14393)
    assert read.drivers == ("viostor", "vioscsi", "vioserial", "NetKVM", "Balloon", "viorng")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("index: 1", "index: 0", "image.index: must be a whole number from 1 to 999"),
        ("a/b.wim", "../b.wim/..", None),
        ("a/b.wim", "/etc", "image.file: '/etc' is not well-formed"),
        ("build: 14393", "build: new", "image.build: must be a whole number from 9200 to 99999"),
        ("label: Windows", "label: '@'", "disk.label: '@' is not well-formed"),
        ("names: [viostor]", "names: []", "drivers.names: must be a list with at least one entry"),
        ("summary: a test\n", "", "summary: is missing"),
        ("kind: windows", "kind: windows\nboot: yes", "boot: is not known here"),
    ],
)
def test_a_recipe_is_read_strictly(tmp_path: Path, old: str, new: str, message: str | None) -> None:
    assert old in _RECIPE
    (tmp_path / "template.yaml").write_text(_RECIPE.replace(old, new))
    with pytest.raises(InvalidRequest) as caught:
        recipe.load(tmp_path)
    path = f"{tmp_path}/template.yaml: "
    assert caught.value.message == path + (message or f"image.file: {new!r} is not well-formed")
