"""The file server's configuration, pinned: a change shows up as a diff of the golden file.

To accept one: ``LINWIN_GOLDEN=write pytest tests/golden/shares``.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from linwin.shares.configuration import FOLDERS, smb_conf

GOLDEN = Path(__file__).parent / "smb.conf"
TEXT = smb_conf(Path("/var/lib/linwin/shares"), "127.18.52.86", 44510)


def test_the_configuration_is_the_golden_one() -> None:
    if os.environ.get("LINWIN_GOLDEN") == "write":
        GOLDEN.write_text(TEXT)
    assert GOLDEN.read_text() == TEXT


def read_by_samba(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """What Samba reads in the configuration of a server in ``folder``."""
    for name in FOLDERS:
        (folder / name).mkdir()
    (folder / "smb.conf").write_text(smb_conf(folder, "127.18.52.86", 44510))
    words = ["testparm", "--suppress-prompt", *options, str(folder / "smb.conf")]
    return subprocess.run(words, capture_output=True, text=True, check=True)


def test_samba_knows_every_word_of_it(tmp_path: Path) -> None:
    said = read_by_samba(tmp_path).stderr
    assert "Loaded services file OK." in said
    assert not re.search("unknown|ignoring|warning|error|invalid", said, re.IGNORECASE), said


def test_what_is_not_to_be_had_is_off(tmp_path: Path) -> None:
    settings = {line.strip() for line in read_by_samba(tmp_path, "--verbose").stdout.splitlines()}
    assert {
        "usershare max shares = 0",
        "rpc start on demand helpers = No",
        "server min protocol = SMB3",
        "server signing = required",
        "map to guest = Never",
        "wide links = No",
        "multicast dns register = No",
        "enable core files = No",
    } <= settings
