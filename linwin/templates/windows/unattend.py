"""What Windows Setup is told about the first start: answers, and what to run when it is done. Pure.

Settings are those of Microsoft's "Unattended Windows Setup Reference". Only the passes *specialize*
and *oobeSystem* are read by an image that was applied, *generalize* by sysprep; *offlineServicing* takes
DISM.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from linwin.templates.windows.answer_file import Setting, hidden, render, settings

ANSWERS = "Windows/Panther/Unattend.xml"
FIRST_ANSWERS = "Windows/Panther/Unattend/Unattend.xml"
"""Where Setup looks before it looks at :data:`ANSWERS`, which may be left from an earlier setup."""
SCRIPT = "Windows/Setup/Scripts/SetupComplete.cmd"

SHELL = "Microsoft-Windows-Shell-Setup"
COMPUTER = "linwin"
"""What a new Windows is called until its container's name is known to it."""


def password() -> str:
    """One that Windows' rules take, at random. Nobody is to know it: the agent commands the guest."""
    return f"aA1-{secrets.token_urlsafe(24)}"


def answers(password: str, *, keep_devices: bool = False) -> bytes:
    """The answer file: nobody is asked anything, and ``password`` is the administrator's.

    With ``keep_devices``, of a Windows that is generalized with it, what Plug and Play found stays, since
    every machine that starts from its disk has the same devices.
    """
    passes: dict[str, dict[str, tuple[Setting, ...]]] = {}
    if keep_devices:
        passes["generalize"] = {"Microsoft-Windows-PnpSysprep": settings(PersistAllDeviceInstalls="true")}
    passes["specialize"] = {SHELL: settings(ComputerName=COMPUTER, TimeZone="UTC")}
    passes["oobeSystem"] = {SHELL: (*oobe(), accounts(password))}
    return render(passes)


def oobe() -> tuple[Setting, ...]:
    """What keeps the first start from asking."""
    return (Setting("OOBE", settings(HideEULAPage="true", SkipMachineOOBE="true", SkipUserOOBE="true")),)


def accounts(password: str) -> Setting:
    """The one account, with its password."""
    return Setting(
        "UserAccounts", (Setting("AdministratorPassword", hidden(password, "AdministratorPassword")),)
    )


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
