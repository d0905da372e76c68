"""Container names and ids."""

from __future__ import annotations

import random
import re
import secrets
from collections.abc import Container as Collection

from linwin.errors import InvalidRequest

NAME = re.compile(r"/?[a-zA-Z0-9][a-zA-Z0-9_.-]+")
LABEL = re.compile(r"[a-zA-Z0-9_]([a-zA-Z0-9_-]{0,61}[a-zA-Z0-9_])?")
LONGEST_HOST = 64
"""Characters of a host name with its domain that a guest's kernel takes."""

# fmt: off
QUALITIES = (
    "amber", "brisk", "calm", "clever", "crisp", "dapper", "eager", "fair", "fluent", "gentle", "glad",
    "honest", "humble", "ivory", "jolly", "keen", "kind", "lively", "lucid", "mellow", "merry",
    "modest", "nimble", "noble", "patient", "placid", "plucky", "polite", "quick", "quiet", "ready",
    "serene", "sharp", "silver", "sincere", "steady", "sunny", "swift", "tidy", "tranquil", "upbeat",
    "vivid", "warm", "witty", "zesty",
)
# fmt: on
# fmt: off
PIONEERS = (
    "allen", "babbage", "backus", "bartik", "booth", "clarke", "cutler", "dijkstra", "easley",
    "engelbart", "feinler", "hamilton", "hejlsberg", "hoare", "holberton", "hopper", "kay", "keller",
    "kernighan", "kilburn", "knuth", "lamport", "liskov", "lovelace", "mccarthy", "milner", "naur",
    "perlman", "ritchie", "sammet", "shannon", "simonyi", "snover", "spence", "thompson", "turing",
    "wilkes", "wing", "wirth", "zuse",
)
# fmt: on


def new_id() -> str:
    """64 random hexadecimal digits that docker's clients cannot take for a number."""
    while True:
        candidate = secrets.token_hex(32)
        if not candidate[:12].isdigit():
            return candidate


def check(name: str) -> str:
    """The name without its slash; raises InvalidRequest in docker's words."""
    if not NAME.fullmatch(name):
        raise InvalidRequest(
            f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
            hint="Use letters, digits, underscores, dots and dashes, at least two of them.",
        )
    return name.removeprefix("/")


def check_host(host: str, domain: str) -> None:
    """Raise InvalidRequest for a host name or domain that no computer can have; either may be empty."""
    for kind, name in (("hostname", host), ("domainname", domain)):
        if name and not all(map(LABEL.fullmatch, name.split("."))):
            raise InvalidRequest(
                f"invalid {kind} format: {name}",
                hint="Use letters, digits and dashes, in parts of at most 63 characters.",
            )
    if len(f"{host}.{domain}") > LONGEST_HOST:
        raise InvalidRequest(
            f"invalid hostname format: {host}.{domain}".rstrip("."),
            hint=f"Host name and domain are at most {LONGEST_HOST - 1} characters together.",
        )


def invent(taken: Collection[str]) -> str:
    """A name nobody has yet."""
    while (name := f"{random.choice(QUALITIES)}_{random.choice(PIONEERS)}") in taken:
        if random.random() < 0.1:  # the short list may be exhausted
            return f"{name}{secrets.randbelow(1_000_000)}"
    return name
