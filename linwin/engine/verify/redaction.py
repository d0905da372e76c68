"""What must not be told to strangers is taken out of what a verification tells."""

from __future__ import annotations

import getpass
import os
import pwd
import re
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from linwin.model.verification import CheckResult, Surroundings
from linwin.paths import Paths

SHORTEST = 3
"""Letters of a name that is looked for: a shorter one would be found in every other word."""
HUMANS = 1000
"""The first user id of people, on distributions of Linux (login.defs, UID_MIN)."""
ORDINARY = frozenset({"root", "linwin", "localhost", "nobody", "user", "admin", "windows", "wine", "qemu"})
"""Names that tell nothing of anybody, and stand in words of our own."""
_SECRETS = (
    (
        re.compile(
            r"(?i)\b(pass(?:word|wd|phrase)?|token|secret|api[_-]?key|credential)(s?\s*[=:]\s*)"
            r"""("[^"\n]*"|'[^'\n]*'|\S+)"""
        ),
        r"\1\2***",
    ),
    (re.compile(r"(?i)\b(authorization\s*:\s*|bearer\s+|basic\s+)[\w.~+/=-]{8,}"), r"\1***"),
    (re.compile(r"(\w+://)[^\s/@]+@"), r"\1***@"),
    (re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*"), "***"),
    (re.compile(r"\b([A-Z0-9]{5}-){4}[A-Z0-9]{5}\b"), "*****-*****-*****-*****-*****"),
)
"""Assignments of secrets, credentials of HTTP and of URLs, JSON web tokens, and Windows' product keys."""


@dataclass(frozen=True)
class Redaction:
    """``words`` is what to write in the place of each name."""

    words: Mapping[str, str]

    @classmethod
    def of_this_host(cls, paths: Paths) -> Redaction:
        """For what this host, its people and this root are called."""
        host = socket.gethostname()
        people = [entry for entry in pwd.getpwall() if HUMANS <= entry.pw_uid < 1 << 16]
        users = [entry.pw_name for entry in people] + [_caller(), os.environ.get("SUDO_USER", "")]
        full_names = [part for entry in people for part in entry.pw_gecos.split(",") if part]
        return cls(
            {
                **_words([*full_names, *users], "USER"),
                **_words([host.partition(".")[0], host], "HOST"),
                **_words([entry.pw_dir for entry in people], "HOME"),
                **_words([str(paths.root)], "LINWIN_ROOT"),
            }
        )

    def __call__(self, text: str) -> str:
        for word in sorted(self.words, key=len, reverse=True):
            text = re.sub(
                rf"(?<![A-Za-z0-9]){re.escape(word)}(?![A-Za-z0-9])",
                self.words[word],
                text,
                flags=re.IGNORECASE,
            )
        for pattern, instead in _SECRETS:
            text = pattern.sub(instead, text)
        return text

    def result(self, result: CheckResult) -> CheckResult:
        detail, expected, got = map(self, (result.detail, result.expected, result.got))
        return replace(result, detail=detail, expected=expected, got=got)

    def surroundings(self, told: Surroundings) -> Surroundings:
        facts = tuple((heading, self(text)) for heading, text in told.facts)
        texts = tuple((heading, self(text)) for heading, text in told.texts)
        return Surroundings(facts, texts, told.picture)


def _caller() -> str:
    """Who runs the daemon, by a name that may be nowhere but in its environment."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


def _words(names: Iterable[str], kind: str) -> dict[str, str]:
    wanted = {name for name in names if len(name) >= SHORTEST and name.lower() not in ORDINARY}
    return dict.fromkeys(wanted, f"<{kind}>")
