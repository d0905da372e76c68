"""INF syntax, and which of a driver's models Windows would take."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linwin.errors import InvalidRequest, Unsupported
from linwin.templates.windows import drivers, hive
from linwin.templates.windows.inf import MOST_BYTES, BadInf, Line, Target, best_decoration, parse
from tests.unit.templates.windows.infs import NETKVM, VIOSER, VIOSTOR

_HEAD = '[Version]\nSignature="$Windows NT$"\n'
SERVER_2016 = Target(14393)


def lines(text: str) -> tuple[Line, ...]:
    return parse(f"{_HEAD}[a]\n{text}".encode()).lines("A")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x = 1", Line("x", ("1",))),
        ("x=1 , 2,,", Line("x", ("1", "2", "", ""))),
        ("1,2", Line("", ("1", "2"))),
        ("x = 1 ; a comment", Line("x", ("1",))),
        ('x = "1 ; no comment"', Line("x", ("1 ; no comment",))),
        ('x = " kept ", "a, b"', Line("x", (" kept ", "a, b"))),
        ('x = "say ""hello"""', Line("x", ('say "hello"',))),
        ('"a = b" = 1', Line("a = b", ("1",))),
        ("HKR,,a,0x10,x=y", Line("", ("HKR", "", "a", "0x10", "x=y"))),
        ("x = 1, \\\n  2", Line("x", ("1", "2"))),
        ("x = 1, \\  ; and more\n  2", Line("x", ("1", "2"))),
        ("%a% = b, PCI\\VEN_1", Line("%a%", ("b", "PCI\\VEN_1"))),
    ],
)
def test_a_line(text: str, expected: Line) -> None:
    assert lines(text) == (expected,)


def test_a_section_that_occurs_twice_is_one_and_case_does_not_matter() -> None:
    inf = parse(f"{_HEAD}[A]\nX=1\n[b]\ny=2\n[a ]\nx=3".encode())
    assert inf.values("a", "x") == ("1", "3")
    assert inf.setting("B", "Y") == "2"
    assert inf.setting("b", "z") == ""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_encodings(encoding: str) -> None:
    inf = parse(f"{_HEAD}[Strings]\r\nmaker=M\xfcller\r\n".encode(encoding))
    assert inf.text("%Maker% & %12% 100%%") == "M\xfcller & %12% 100%"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "its [Version] has no signature of Windows"),
        (b"MZ\x90\0", "line 1 is in no section"),
        (b"\xff\xfe\0", "it is not text"),
        (b"[Version]\nSignature=x", "its [Version] has no signature of Windows"),
        (b"[Version", "line 1 is no section's name"),
        (b"[a] b", "line 1 is no section's name"),
        (_HEAD.encode() + b'x = "1', "a quotation does not end on line 3"),
        (_HEAD.encode() + b"x = 1,\\", "its last line is continued by none"),
        (b" " * (MOST_BYTES + 1), "it is larger than any INF file"),
        (b"\n" * 20_001, "it has more lines than any INF file"),
    ],
)
def test_what_is_no_inf_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(BadInf) as caught:
        parse(data)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("decorations", "expected"),
    [
        (["NTamd64"], "NTamd64"),
        ([], None),
        ([""], None),
        (["NT"], None),
        (["NTx86", "NTARM64"], None),
        (["NTamd64.6.1", "NTamd64.10.0"], "NTamd64.10.0"),
        (["NTamd64", "NTamd64.6.3"], "NTamd64.6.3"),
        (["NTamd64.10.0...14393", "NTamd64.10.0...17763"], "NTamd64.10.0...14393"),
        (["NTamd64.10.0...14310", "NTamd64.10.0...14393"], "NTamd64.10.0...14393"),
        (["NTamd64.10.0", "NTamd64.10.0...10240"], "NTamd64.10.0...10240"),
        (["NTamd64.10.0...17763"], None),
        (["NTamd64.11.0"], None),
        (["NTamd64.10.1"], None),
        (["NTamd64.10.0.1"], None),  # workstations alone
        (["NTamd64.10.0", "NTamd64.10.0.3"], "NTamd64.10.0.3"),
        (["NTamd64.10.0.0x3"], "NTamd64.10.0.0x3"),
        (["NTamd64.10.0..0x80"], None),  # a suite that this is not
        (["NTamd64.ten"], None),
        ([" NTamd64 "], " NTamd64 "),
    ],
)
def test_the_decoration_that_windows_would_take(decorations: list[str], expected: str | None) -> None:
    assert best_decoration(decorations, SERVER_2016) == expected


def test_a_boot_driver() -> None:
    package = drivers.read("VioStor.inf", VIOSTOR.encode(), SERVER_2016)
    assert package.files == ("viostor.inf", "viostor.cat", "viostor.sys")
    assert package.locked
    assert package.version == (100, 93, 104, 24000)
    assert package.class_guid == "{4d36e97b-e325-11ce-bfc1-08002be10318}"
    assert package.copies == (("viostor.sys", 12),)
    assert [model.ids for model in package.models] == [
        ("PCI\\VEN_1AF4&DEV_1001&SUBSYS_00021AF4&REV_00", "PCI\\VEN_1AF4&DEV_1001"),
        ("PCI\\VEN_1AF4&DEV_1042&SUBSYS_11001AF4&REV_01", "PCI\\VEN_1AF4&DEV_1042"),
    ]


def test_the_models_of_the_build_are_taken() -> None:
    def section(build: int) -> str:
        return drivers.read("netkvm.inf", NETKVM.encode(), Target(build)).models[0].configuration

    assert section(10240) == "seven.ndi.NTamd64"
    assert section(14393) == "card.ndi.NTamd64"
    assert section(20348) == "newer.ndi.NTamd64"


def test_a_service_name_and_a_continued_line() -> None:
    package = drivers.read("vioser.inf", VIOSER.encode(), SERVER_2016)
    (service,) = package.services
    assert (service.name, service.display_name, service.start) == (
        "VirtioSerial",
        "The service of a serial port",
        3,
    )
    assert package.models[0].ids[1] == "PCI\\VEN_1AF4&DEV_1003"
    assert package.copies == (("vioser.sys", 12), ("vioserhelp.dll", 11), ("vioserco.dll", 12))
    assert package.files == ("vioser.inf", "vioser.cat", "vioser.sys", "vioserhelp.dll", "vioserco.dll")
    (configuration,) = package.configurations
    several = hive.texts("vioserco.dll,Install", "another.dll,Install")
    assert configuration.driver == {(): {"CoInstallers32": several}}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "viostor.sys,,,2",
            "..\\..\\viostor.sys",
            "'..\\\\..\\\\viostor.sys' is no name of a file of a driver's",
        ),
        (
            "CatalogFile=viostor.cat",
            "CatalogFile=/etc/passwd",
            "'/etc/passwd' is no name of a file of a driver's",
        ),
        ("CatalogFile=viostor.cat", "", "it names no catalogue, so that Windows would not trust it"),
        (
            "Block.Files = 12",
            "Block.Files = 24",
            "it uses the folder 24, which is not known here",
        ),
        ("%12%\\viostor.sys", "%12%\\a\\b.sys", "'a\\\\b.sys' is no name of a file of a driver's"),
        (
            "viostor.sys,,,2",
            "viostor.sys,other.sys",
            "it copies other.sys under another name, which is not known here",
        ),
        ("{4D36E97B-", "{", "its class is '{E325-11CE-BFC1-08002BE10318}', which is no GUID"),
        (
            "07/12/2023,",
            "31/12/2023,",
            "its version is '31/12/2023, 100.93.104.24000', not a day and numbers",
        ),
        (
            ",100.93.104.24000",
            ",1.2.3.4.5",
            "its version is '07/12/2023, 1.2.3.4.5', which no driver can have",
        ),
        (",100.93.104.24000", ",65536", "its version is '07/12/2023, 65536', which no driver can have"),
        ("[Block.Install]", "[other]", "its section [Block.Install] is missing"),
        (
            "viostor.sys = 1,,",
            "viostor.sys = 1,x64",
            "viostor.sys lies in a folder of its own, which is not known here",
        ),
        (
            "Boot = 0",
            "",
            "starttype of viostor is '%Boot%', which is no number",
        ),
    ],
)
def test_a_package_that_cannot_be_is_refused(old: str, new: str, message: str) -> None:
    assert old in VIOSTOR
    with pytest.raises(InvalidRequest) as caught:
        drivers.read("viostor.inf", VIOSTOR.replace(old, new).encode(), SERVER_2016)
    assert caught.value.message == f"the driver's viostor.inf cannot be used: {message}"


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.integers(0, len(VIOSTOR)), st.integers(0, 200))
def test_a_damaged_inf_is_refused_or_read(noise: bytes, at: int, removed: int) -> None:
    data = VIOSTOR.encode()
    damaged = data[:at] + noise + data[at + removed :]
    try:
        package = drivers.read("viostor.inf", damaged, SERVER_2016)
    except (InvalidRequest, Unsupported):
        return
    assert all("/" not in name and "\\" not in name and ".." not in name for name in package.files)
