"""What Windows and linwin themselves write on C: and no image wants: it never reaches a layer.

Paths are relative to C:, with slashes, in any case. What is in a folder that is noise is noise.
docs/commit.md tells users.
"""

from __future__ import annotations

import re

WINE_REGISTRY = "windows/system32/config/linwin"
"""Where a wine guest keeps its registry on C:, in lower case (``agent/wine``): no file of the user's."""

PATHS = frozenset(
    [
        # Memory on disk: worthless without the boot that wrote it.
        "pagefile.sys",
        "swapfile.sys",
        "hiberfil.sys",
        # Notes of a boot for the next one's crash handling and repair.
        "dumpstack.log",
        "dumpstack.log.tmp",
        "windows/bootstat.dat",
        # A volume's own: restore points, indexes, deleted files by user.
        "system volume information",
        "$recycle.bin",
        # Which pages of a program were used first on that machine.
        "windows/prefetch",
        # Logs of Windows' own services; a container's programs log elsewhere.
        "windows/logs",
        "windows/system32/logfiles",
        "windows/system32/winevt/logs",
        # The registry travels as deltas, in Hives.
        WINE_REGISTRY,
        "windows/system32/config/journal",
        "windows/system32/config/regback",
        "windows/system32/config/txr",
        # The agent's log in a Windows guest.
        "programdata/linwin",
    ]
)

PATTERNS = tuple(
    re.compile(pattern)
    for pattern in (
        # Hives of the machine, which a layer has as deltas, and what Windows keeps beside each.
        r"windows/system32/config/"
        r"(system|software|sam|security|default|components|drivers|bbi|elam|bcd-template)"
        r"(\.log[0-9]?|\.sav|\{[0-9a-f-]{36}\}\..+)?",
        # Logs of a user's hives: empty once Windows has written the hive itself, as it does at a logoff.
        r"(.+/)?(ntuser|usrclass)\.dat(\.log[0-9]?|\{[0-9a-f-]{36}\}\..+)",
        # Logs of transactions, of whatever hive.
        r"(.+/)?[^/]*\{[0-9a-f-]{36}\}\.(tm|txr)(\.blf|container[0-9]+\.regtrans-ms|\.[0-9]+\.regtrans-ms)",
        # What a RUN with a heredoc gives its shell to read.
        r"windows/temp/linwin-heredoc[^/]*",
    )
)

HOLDERS = frozenset(
    {"", "windows/temp", "windows/system32/config"} | {path.rpartition("/")[0] for path in PATHS}
)
"""Folders in which noise comes and goes, and whose times alone so say nothing."""


def is_noise(path: str) -> bool:
    """Whether what lies at a path, or a folder that it lies in, is noise."""
    folded = path.lower()
    if any(pattern.fullmatch(folded) for pattern in PATTERNS):
        return True
    while folded:
        if folded in PATHS:
            return True
        folded = folded.rpartition("/")[0]
    return False


def holds_noise(folder: str) -> bool:
    """Whether a folder is one in which noise is written, so that its times change without a user's doing."""
    return folder.lower() in HOLDERS
