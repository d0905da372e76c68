"""What Windows Setup is told about the first start: answers, and what to run when it is done. Pure.

Settings are those of Microsoft's "Unattended Windows Setup Reference". Only the passes *specialize*
and *oobeSystem* are read by an image that was applied; *offlineServicing* takes DISM.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from xml.sax.saxutils import escape

ANSWERS = "Windows/Panther/Unattend.xml"
FIRST_ANSWERS = "Windows/Panther/Unattend/Unattend.xml"
"""Where Setup looks before it looks at :data:`ANSWERS`, which may be left from an earlier setup."""
SCRIPT = "Windows/Setup/Scripts/SetupComplete.cmd"

_COMPONENT = (
    '    <component name="{name}" processorArchitecture="amd64" publicKeyToken="31bf3856ad364e35"'
    ' language="neutral" versionScope="nonSxS">\n{content}    </component>\n'
)
_SHELL = "Microsoft-Windows-Shell-Setup"


def answers(computer: str, password: str) -> bytes:
    """The answer file: nobody is asked anything, and ``password`` is the administrator's."""
    # Setup's own hiding: the word that is protected is part of what is encoded.
    hidden = base64.b64encode(f"{password}AdministratorPassword".encode("utf-16-le")).decode()
    specialize = _lines(
        f"<ComputerName>{escape(computer)}</ComputerName>",
        "<TimeZone>UTC</TimeZone>",
    )
    oobe = _lines(
        "<OOBE>",
        "  <HideEULAPage>true</HideEULAPage>",
        "  <SkipMachineOOBE>true</SkipMachineOOBE>",
        "  <SkipUserOOBE>true</SkipUserOOBE>",
        "</OOBE>",
        "<UserAccounts>",
        "  <AdministratorPassword>",
        f"    <Value>{hidden}</Value>",
        "    <PlainText>false</PlainText>",
        "  </AdministratorPassword>",
        "</UserAccounts>",
    )
    document = (
        '<?xml version="1.0" encoding="utf-8"?>\n<unattend xmlns="urn:schemas-microsoft-com:unattend">\n'
        + _pass("specialize", specialize)
        + _pass("oobeSystem", oobe)
        + "</unattend>\n"
    )
    return document.replace("\n", "\r\n").encode()


def setup_complete(agent: str, infs: Sequence[str], answers: str) -> bytes:
    """Runs once, after setup, as SYSTEM: installs what the offline way did not bring to life.

    ``agent`` is the path of its program and ``infs`` are those of the driver packages, as Windows spells
    them; ``answers`` is the answer file below C:, which is deleted. A driver that is there already is left
    as it is.
    """
    used = answers.removeprefix("Windows").replace("/", "\\")
    log = "%ProgramData%\\linwin\\setup.log"
    lines = [
        "@echo off",
        "mkdir %ProgramData%\\linwin 2>nul",
        *(f'pnputil -i -a "{inf}" >>{log} 2>&1' for inf in infs),
        f'sc query linwin-agent >>{log} 2>&1 || "{agent}" service install >>{log} 2>&1',
        f"del /f /q %SystemRoot%{used}",
    ]
    return "".join(f"{line}\r\n" for line in lines).encode("ascii")


def _pass(name: str, content: str) -> str:
    component = _COMPONENT.format(name=_SHELL, content=content)
    return f'  <settings pass="{name}">\n{component}  </settings>\n'


def _lines(*lines: str) -> str:
    return "".join(f"      {line}\n" for line in lines)
