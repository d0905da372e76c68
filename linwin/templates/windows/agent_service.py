"""The agent as a Windows service: the keys that ``linwin-agent service install`` would have made. Pure."""

from __future__ import annotations

import struct

from linwin.templates.windows import hive
from linwin.templates.windows.hive import Edits

PROGRAM = "linwin-agent.exe"
FOLDER = "Program Files/linwin"
"""Where the agent is on C:."""
NAME = "linwin-agent"

_OWN_PROCESS, _AUTO_START, _ERROR_NORMAL = 0x10, 2, 1
_RESTART, _RESTART_DELAY = 1, 1000  # ms


def edits(control_set: str) -> Edits:
    """Of the hive SYSTEM."""
    path = f"C:\\{FOLDER}\\{PROGRAM}".replace("/", "\\")
    # SERVICE_FAILURE_ACTIONS as the service manager keeps it: 32-bit offsets for pointers.
    failure = struct.pack("<IIIIIII", 0, 0, 0, 1, 0x14, _RESTART, _RESTART_DELAY)
    return {
        (control_set, "Services", NAME): {
            "Type": hive.dword(_OWN_PROCESS),
            "Start": hive.dword(_AUTO_START),
            "ErrorControl": hive.dword(_ERROR_NORMAL),
            "ImagePath": hive.expandable(f'"{path}" service run'),
            "DisplayName": hive.text(NAME),
            "ObjectName": hive.text("LocalSystem"),
            "FailureActions": hive.binary(failure),
        }
    }
