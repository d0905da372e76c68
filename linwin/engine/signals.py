"""Signals as docker's clients name them, and what they mean to Windows."""

from __future__ import annotations

from linwin.errors import InvalidRequest

MEANING = {"TERM": "TERM", "15": "TERM", "KILL": "KILL", "9": "KILL", "INT": "INT", "2": "INT"}
MEANING |= {"QUIT": "BREAK", "3": "BREAK", "BREAK": "BREAK", "21": "BREAK"}
"""Windows knows these: a shutdown, an end, Ctrl-C and Ctrl-Break."""


NUMBER = {"TERM": 15, "KILL": 9, "INT": 2, "BREAK": 21}
"""By which events name them; BREAK's is that of Microsoft's C library (signal.h)."""


def parse(name: str) -> str:
    """TERM, KILL, INT or BREAK for ``SIGTERM``, ``term``, ``15``…; empty means KILL as in docker."""
    wanted = (name or "KILL").upper().removeprefix("SIG")
    if wanted not in MEANING:
        raise InvalidRequest(
            f"invalid signal: {name}", hint="A Windows container takes TERM, KILL, INT, QUIT and BREAK."
        )
    return MEANING[wanted]
