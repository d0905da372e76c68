"""What runs in the Windows that Setup has installed, once, to make a template of it. Pure.

A batch file, since every Windows has what it calls. It says over the serial port what it is at; what
its programs say is in ``%ProgramData%\\linwin\\setup.log``, which stays in the template.
"""

from __future__ import annotations

from linwin.model.installation import FAILED
from linwin.templates.windows import agent_service
from linwin.templates.windows.setup_answers import DRIVERS, say

CLONE_ANSWERS = "clone.xml"
"""Beside the script: the answer file for the machines that will start from the template."""

# What pnputil ends with: no error, a restart is due, no device here has this driver.
_PNPUTIL_FINE = (0, 3010, 259)
_ADMINISTRATORS_ALONE = "*S-1-5-18:F *S-1-5-32-544:F"  # and SYSTEM
_MACHINE = "HKLM\\SOFTWARE\\Policies\\Microsoft"
_WITHOUT = (
    # Guests end with their machine: there is nothing to hibernate, to repair or to update in one.
    "powercfg /h off",
    "reagentc /disable",
    "bcdedit /set {current} recoveryenabled no",
    "bcdedit /set {current} bootstatuspolicy ignoreallfailures",
    f'reg add "{_MACHINE}\\Windows\\WindowsUpdate\\AU" /v NoAutoUpdate /t REG_DWORD /d 1 /f',
    # It reads each file that is opened, as the host's owner may do in one place for all guests.
    f'reg add "{_MACHINE}\\Windows Defender\\Real-Time Protection" '
    "/v DisableRealtimeMonitoring /t REG_DWORD /d 1 /f",
    'schtasks /change /disable /tn "\\Microsoft\\Windows\\Defrag\\ScheduledDefrag"',
)


def script() -> bytes:
    """The batch file, to lie in a folder with the agent, the drivers' folder and the clones' answers."""
    folder = "%ProgramFiles%\\" + agent_service.FOLDER.rpartition("/")[2]
    agent = f'"{folder}\\{agent_service.PROGRAM}"'
    sysprep = "%SystemRoot%\\System32\\Sysprep"
    answers = f"{sysprep}\\linwin.xml"
    fine = "".join(f" if not !errorlevel! == {code}" for code in _PNPUTIL_FINE)
    lines = [
        "@echo off",
        "setlocal enabledelayedexpansion",
        'set "disc=%~dp0"',
        "mkdir %ProgramData%\\linwin 2>nul",
        'set "log=%ProgramData%\\linwin\\setup.log"',
        say("logon"),
        *(f'{command} >>"%log%" 2>&1' for command in _WITHOUT),
        say("drivers"),
        f'for /r "%disc%{DRIVERS}" %%i in (*.inf) do (',
        '  pnputil /add-driver "%%i" /install >>"%log%" 2>&1',
        f' {fine} set "what=pnputil ended with !errorlevel! for %%~nxi" & goto failed',
        ")",
        say("agent"),
        'set "what=the agent could not be installed"',
        f'mkdir "{folder}" 2>nul',
        f'copy /y "%disc%{agent_service.PROGRAM}" {agent} >>"%log%" 2>&1 || goto failed',
        f'{agent} service install >>"%log%" 2>&1 || goto failed',
        say("trim"),
        'defrag C: /L >>"%log%" 2>&1',
        say("sysprep"),
        'set "what=the answers for the first start could not be laid down"',
        f'copy /y "%disc%{CLONE_ANSWERS}" "{answers}" >>"%log%" 2>&1 || goto failed',
        # It stays in every container, and has the password of their administrator.
        f'icacls "{answers}" /inheritance:r /grant:r {_ADMINISTRATORS_ALONE} >>"%log%" 2>&1 || goto failed',
        f'"{sysprep}\\sysprep.exe" /generalize /oobe /shutdown /mode:vm /quiet'
        f' /unattend:"{answers}" >>"%log%" 2>&1',
        "if %errorlevel% == 0 exit /b 0",
        f'set "what=sysprep ended with %errorlevel%: see {sysprep}\\Panther\\setuperr.log"',
        ":failed",
        say(f"{FAILED} %what%"),
        "exit /b 1",
    ]
    return "".join(f"{line}\r\n" for line in lines).encode("ascii")
