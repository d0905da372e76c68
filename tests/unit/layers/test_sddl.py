"""SDDL → bytes: against descriptors put together by hand, and Samba's parser where it is installed."""

from __future__ import annotations

import base64
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linwin.layers.descriptor import check_descriptor
from linwin.layers.errors import Malformed
from linwin.layers.sddl import ACCOUNTS, ACE_FLAGS, RIGHTS, descriptor_of_sddl
from tests.unit.layers import descriptors as sd
from tests.unit.layers.linux_layers import BUILDKIT_FILE, BUILDKIT_FOLDER

BA, SY, BU = sd.ADMINISTRATORS, sd.SYSTEM, sd.USERS
OBJECT_TYPE, INHERITED = "bf967aba-0de6-11d0-a285-00aa003049e2", "00299570-246d-11d0-a768-00aa006e0529"


def of(dacl: bytes | None = None, **more) -> bytes:
    return sd.descriptor(BA, SY, dacl=dacl, **more)


@pytest.mark.parametrize(
    ("sddl", "data"),
    [
        (
            "O:BAG:SYD:(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)(A;;FA;;;BA)(A;OICIIO;GA;;;CO)"
            "(A;OICI;0x1200a9;;;BU)(A;CI;LC;;;BU)(A;CI;DC;;;BU)",
            base64.b64decode(BUILDKIT_FOLDER),
        ),
        ("O:BAG:SYD:(A;;FA;;;BA)(A;;FA;;;SY)(A;;0x1200a9;;;BU)", base64.b64decode(BUILDKIT_FILE)),
        ("O:BUG:BU", sd.descriptor(BU, BU)),
        ("O:BAG:SYD:", of(sd.acl())),
        ("O:BAG:SYD:NO_ACCESS_CONTROL", of(b"")),
        ("O:BAG:SYD:PAI", of(sd.acl(), control=sd.DACL_PROTECTED | sd.DACL_AUTO_INHERITED)),
        ("O:BAG:SYD:ARAIP", of(sd.acl(), control=0x1500)),
        ("O:BAG:SYS:PARAI", of(sacl=sd.acl(), control=0x2A00)),
        (
            "O:S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464G:S-1-0x000000000005-32-00544D:(D;;GR;;;WD)",
            sd.descriptor(
                sd.TRUSTED_INSTALLER, BA, dacl=sd.acl(sd.ace(sd.DENIED, 0, 0x80000000, sd.EVERYONE))
            ),
        ),
        (
            "D:(A;NPID;CCDCLCSWRPWPDTLOCRSDRCWDWO;;;BU)S:(AU;SAFA;FRFWFX;;;WD)O:BAG:SY",
            of(
                sd.acl(sd.ace(sd.ALLOWED, 0x14, 0xF01FF, BU)),
                sacl=sd.acl(sd.ace(sd.AUDIT, 0xC0, 0x1201BF, sd.EVERYONE)),
            ),
        ),
        (
            "O:BAG:SYS:(ML;OICI;NWNRNX;;;HI)",
            of(sacl=sd.acl(sd.ace(sd.LABEL, 3, 7, "S-1-16-12288"))),
        ),
        (
            f"O:BAG:SYD:(OA;CI;RPWP;{OBJECT_TYPE};{INHERITED};BU)(OA;;1;;;BU)(OD;;010;{OBJECT_TYPE};;BU)",
            of(
                sd.acl(
                    sd.ace(5, 2, 0x30, BU, object_type=OBJECT_TYPE, inherited=INHERITED),
                    sd.ace(5, 0, 1, BU),
                    sd.ace(6, 0, 8, BU, object_type=OBJECT_TYPE),
                    revision=4,
                )
            ),
        ),
        (
            "O:BAG:SYS:(SP;;;;;S-1-17-1)(TL;;0x20000;;;S-1-19-512-8192)",
            of(sacl=sd.acl(sd.ace(0x13, 0, 0, "S-1-17-1"), sd.ace(0x14, 0, 0x20000, "S-1-19-512-8192"))),
        ),
        ("O:BAG:SYD:(A;;4294967295;;;BU)", of(sd.acl(sd.ace(0, 0, 0xFFFFFFFF, BU)))),
        ("O:BAG:SYD:(A;;KAKRKWKX;;;AC)", of(sd.acl(sd.ace(0, 0, 0xF003F, "S-1-15-2-1")))),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_descriptors(sddl: str, data: bytes) -> None:
    assert descriptor_of_sddl(sddl) == data
    check_descriptor(data)


@pytest.mark.parametrize(
    ("sddl", "sentence"),
    [
        ("", "it has no owner"),
        ("O:BA", "it has no group"),
        ("G:BAD:", "it has no owner"),
        ("O:BAG:BAX:", "'X:' is out of place"),
        ("O:BAO:BAG:SY", "'O:' is out of place"),
        ("O:BAG:SY D:", "' D' is out of place"),
        ("O:BAG:XX", "'XX' is no account"),
        ("O:LAG:SY", "the account LA belongs to a machine or domain that a layer does not tell"),
        (
            "O:BAG:SYD:(A;;FA;;;DA)",
            "the account DA belongs to a machine or domain that a layer does not tell",
        ),
        ("O:S-1-5G:SY", "'S-' is no account"),
        ("O:S-1-281474976710656-1G:SY", "S-1-281474976710656-1 is not a SID"),
        ("O:S-1-5-4294967296G:SY", "S-1-5-4294967296 is not a SID"),
        ("O:S-1-5" + "-1" * 16 + "G:SY", "'S-' is no account"),
        ("O:BAG:SYD:(A;;FA;;;BA", "an ACE does not end"),
        ("O:BAG:SYD:(A;;FA;;;BA))", "')' is out of place"),
        ("O:BAG:SYD:(A;;FA;;BA)", "an ACE has 5 fields, not 6"),
        ("O:BAG:SYD:(A;;FA;;;BA;x)", "an ACE has 7 fields, not 6"),
        ("O:BAG:SYD:(B;;FA;;;BA)", "'B' is no type of an ACE"),
        (
            'O:BAG:SYD:(XA;;FX;;;S-1-1-0;(@User.Title=="PM"))',
            "a conditional ACE (XA) cannot be written to a volume here",
        ),
        ("O:BAG:SYD:(ZA;;FX;;;WD;(1))", "a conditional ACE (ZA) cannot be written to a volume here"),
        (
            'O:BAG:SYS:(RA;;;;;WD;("Secrecy",TU,0,3))',
            "a resource attribute ACE (RA) cannot be written to a volume here",
        ),
        ("O:BAG:SYS:(AL;;FA;;;WD)", "an alarm ACE (AL) cannot be written to a volume here"),
        ("O:BAG:SYS:(FL;;FA;;;WD)", "an access filter ACE (FL) cannot be written to a volume here"),
        ("O:BAG:SYD:(A;XX;FA;;;BA)", "'XX' is no flag of an ACE"),
        ("O:BAG:SYD:(A;O;FA;;;BA)", "'O' is no flag of an ACE"),
        ("O:BAG:SYD:(A;;ZZ;;;BA)", "'ZZ' is no right"),
        ("O:BAG:SYD:(A;;08;;;BA)", "'08' is no right"),
        ("O:BAG:SYD:(A;;4294967296;;;BA)", "the right 4294967296 is not 32 bits"),
        (f"O:BAG:SYD:(A;;FA;{OBJECT_TYPE};;BA)", "an ACE of type A has a GUID"),
        ("O:BAG:SYD:(OA;;FA;1234;;BA)", "'1234' is not a GUID"),
        ("O:BAG:SYD:" + "(A;;FA;;;BA)" * 2800, "it describes more than 64 KiB"),
        ("O:BAG:SY" + " " * 262144, "it is too long"),
    ],
)
def test_what_is_refused(sddl: str, sentence: str) -> None:
    with pytest.raises(Malformed) as raised:
        descriptor_of_sddl(sddl)
    assert str(raised.value) == f"its security descriptor is not valid SDDL: {sentence}"


SIDS = st.one_of(
    st.sampled_from(sorted(ACCOUNTS)),
    st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=8).map(
        lambda subs: "S-1-5-" + "-".join(map(str, subs))
    ),
)
MASKS = st.one_of(
    st.integers(0, 2**32 - 1).map(hex), st.lists(st.sampled_from(sorted(RIGHTS)), max_size=5).map("".join)
)
FLAGS = st.lists(st.sampled_from(sorted(ACE_FLAGS)), max_size=4).map("".join)
ACES = st.lists(
    st.builds(
        "({};{};{};;;{})".format,
        st.sampled_from(["A", "D"]),
        FLAGS,
        MASKS,
        SIDS,
    ),
    max_size=6,
).map("".join)
SDDL = st.builds(lambda owner, group, aces: f"O:{owner}G:{group}D:P{aces}", SIDS, SIDS, ACES)


@given(SDDL)
def test_all_that_is_read_is_a_valid_descriptor(sddl: str) -> None:
    check_descriptor(descriptor_of_sddl(sddl))


@settings(max_examples=500)
@given(st.one_of(st.text(max_size=60), SDDL.flatmap(lambda text: st.permutations(list(text)).map("".join))))
def test_no_text_gives_anything_but_malformed(text: str) -> None:
    with suppress(Malformed):
        check_descriptor(descriptor_of_sddl(text))


SAMBA = """
import sys
from samba.dcerpc import security
from samba.ndr import ndr_unpack
nobody = security.dom_sid("S-1-5-21-1-2-3")
for line in sys.stdin:
    sddl, data = line.rstrip("\\n").split("\\t")
    theirs = security.descriptor.from_sddl(sddl, nobody)
    ours = ndr_unpack(security.descriptor, bytes.fromhex(data))
    print(theirs.as_sddl(nobody) == ours.as_sddl(nobody) and theirs.type == ours.type, sddl)
"""
# Without FA, FR, FW and FX, for which Debian 12's Samba has other bits than [MS-DTYP].
SAMBA_KNOWS = [
    "O:BAG:SYD:PAI(A;OICI;0x1f01ff;;;BA)(D;;GR;;;WD)(A;OICIIO;GA;;;CO)(A;;0x1200a9;;;BU)",
    "O:S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464G:SYD:(A;;GXGWGR;;;AU)",
    "O:SYG:SYD:AR(A;CIID;CCDCLCSWRPWPDTLOCRSDRCWDWO;;;LS)S:AI(AU;SAFA;SDWDWO;;;WD)",
    f"O:SYG:BAD:(OA;CI;RPWP;{OBJECT_TYPE};{INHERITED};BU)(OD;;CR;{OBJECT_TYPE};;PS)",
    "O:BUG:BGD:" + "".join(f"(A;;GA;;;{alias})" for alias in ("AN", "AO", "BO", "CG", "ED", "IU", "LU")),
    "O:NSG:NOD:" + "".join(f"(A;;GR;;;{alias})" for alias in ("NU", "PO", "PU", "RC", "RD", "SO", "SU")),
]


def test_samba_reads_the_same() -> None:
    """Debian's python3-samba belongs to the system's interpreter, so that is asked."""
    python = Path("/usr/bin/python3")
    if not python.exists() or subprocess.run([python, "-c", "import samba"], check=False).returncode:
        pytest.skip("python3-samba is not installed")
    lines = "".join(f"{sddl}\t{descriptor_of_sddl(sddl).hex()}\n" for sddl in SAMBA_KNOWS)
    told = subprocess.run([python, "-c", SAMBA], input=lines, capture_output=True, text=True, check=True)
    assert told.stdout.splitlines() == [f"True {sddl}" for sddl in SAMBA_KNOWS]
