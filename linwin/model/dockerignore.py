"""What ``.dockerignore`` leaves out of a build's context, and the patterns that it is written in.

The rules are those of docker's client (moby/patternmatcher, whose patterns are Go's
``filepath.Match`` and ``**``). Paths have slashes and begin at the context. A pattern takes
time in proportion to its own length and the path's, whatever it is.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

COMMENT = "#"
EXCEPTION = "!"
BYTE_ORDER_MARK = "\ufeff"


class Wild(Enum):
    """What a pattern has in place of characters of its own."""

    ONE = "one character that is no slash"
    SOME = "any characters that are no slashes"
    FOLDERS = "nothing, or any characters up to a slash"
    ALL = "any characters"


@dataclass(frozen=True, slots=True)
class CharacterClass:
    """``[a-z]``: ``ranges`` are its first and last characters. As in Go, it may be a slash."""

    negated: bool
    ranges: tuple[tuple[str, str], ...]

    def has(self, character: str) -> bool:
        return self.negated != any(first <= character <= last for first, last in self.ranges)


Part = str | CharacterClass | Wild
"""A character that stands for itself, or what stands for others."""


class Pattern:
    """A pattern that paths are compared with."""

    def __init__(self, parts: tuple[Part, ...]) -> None:
        self._parts = parts
        self._head = literal(parts)
        self._tail = "" if len(self._head) == len(parts) else literal(reversed(parts))[::-1]

    def matches(self, path: str) -> bool:
        """Whether all of ``path`` is what the pattern says."""
        if len(self._head) == len(self._parts):
            return path == self._head
        if not (path.startswith(self._head) and path.endswith(self._tail)):
            return False
        places = 0
        for places in self._places(path):
            if not places:
                return False
        return bool(places >> len(path) & 1)

    def matches_below(self, folder: str) -> bool:
        """Whether there may be a path in ``folder`` that matches."""
        begun = folder + "/"
        return any(places >> len(begun) & 1 for places in self._places(begun))

    def _places(self, path: str) -> Iterator[int]:
        """After each part, how far in ``path`` the pattern may have come: bit ``n`` is for ``n`` characters.

        All ways to read the pattern are so followed at once, and none is tried twice.
        """
        masks: dict[str, int] = {}
        for index, character in enumerate(path):
            masks[character] = masks.get(character, 0) | 1 << index
        slashes = masks.get("/", 0)
        others = (1 << len(path)) - 1 & ~slashes
        places = 1
        for part in self._parts:
            if isinstance(part, str):
                places = (places & masks.get(part, 0)) << 1
            elif isinstance(part, CharacterClass):
                ones = sum(mask for character, mask in masks.items() if part.has(character))
                places = (places & ones) << 1
            elif part is Wild.ONE:
                places = (places & others) << 1
            elif part is Wild.SOME:
                # A sum carries each place through the characters behind it, up to the next slash.
                places |= (places & others) + others ^ others
            else:
                behind = -(places & -places)  # the first of the places, and all behind it
                reached = slashes << 1 if part is Wild.FOLDERS else (1 << len(path) + 1) - 1
                places |= reached & (behind << 1 if part is Wild.FOLDERS else behind)
            yield places


def literal(parts: Iterable[Part]) -> str:
    """The characters that ``parts`` begin with."""
    found = []
    for part in parts:
        if not isinstance(part, str):
            break
        found.append(part)
    return "".join(found)


def glob(text: str) -> Pattern:
    """A pattern of Go's ``filepath.Match`` on Windows, with slashes: nothing is escaped.

    Raises ValueError, in Go's words, for what is none.
    """
    return Pattern(tuple(parts_of(text, escape="", deep=False)))


def ignore_pattern(text: str) -> Pattern:
    """A cleaned pattern of ``.dockerignore``. Raises ValueError, in Go's words, for what is none."""
    parts = tuple(parts_of(text, escape="\\", deep=True))
    rest = parts[1:]
    plain = "\\" not in text and len(literal(rest)) == len(rest)
    if plain and text.startswith("**") and not text.startswith("**/"):
        # docker takes "**x" for "what ends in x", but "**x*" for "what is called x*, in any folder".
        return Pattern((Wild.ALL, *rest))
    return Pattern(parts)


def parts_of(text: str, *, escape: str, deep: bool) -> Iterator[Part]:
    """Take a pattern apart; where it is ``deep``, ``**`` goes through folders. Raises ValueError."""
    at = 0
    while at < len(text):
        character = text[at]
        at += 1
        if character == "*" and deep and text.startswith("*", at):
            at += 2 if text.startswith("*/", at) else 1
            yield Wild.FOLDERS if at < len(text) else Wild.ALL
        elif character == "*":
            yield Wild.SOME
        elif character == "?":
            yield Wild.ONE
        elif character == "[":
            found, at = character_class(text, at, escape)
            yield found
        elif character == escape:
            if at == len(text):
                raise bad(text)
            yield text[at]
            at += 1
        else:
            yield character


def character_class(text: str, at: int, escape: str) -> tuple[CharacterClass, int]:
    """The class that begins behind a bracket at ``at``, and where it ends. Raises ValueError."""
    negated = text.startswith("^", at)
    at += negated
    ranges: list[tuple[str, str]] = []
    while not ranges or not text.startswith("]", at):
        first, at = class_character(text, at, escape)
        last = first
        if text.startswith("-", at):
            last, at = class_character(text, at + 1, escape)
        ranges.append((first, last))
    return CharacterClass(negated, tuple(ranges)), at + 1


def class_character(text: str, at: int, escape: str) -> tuple[str, int]:
    if at < len(text) and text[at] == escape:
        at += 1
    elif at < len(text) and text[at] in "-]":
        raise bad(text)
    # Behind it there has to be at least the bracket that closes the class.
    if at + 1 >= len(text):
        raise bad(text)
    return text[at], at + 1


def bad(text: str) -> ValueError:
    return ValueError(f'syntax error in pattern "{text}"')


@dataclass(frozen=True, slots=True)
class Rule:
    """A line of the file: what it matches is left out, or for an exception is in after all."""

    pattern: Pattern
    is_exception: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the rules say of a path: ``matched`` are those of the path or of a folder that it is in."""

    excluded: bool
    matched: tuple[bool, ...]


class DockerIgnore:
    """The rules of a ``.dockerignore``. The last one that matches a path, or a folder above it, counts."""

    def __init__(self, text: str = "") -> None:
        """Raises ValueError, in docker's words, for a line that is no pattern."""
        self._rules = tuple(rule_of(line) for line in lines_of(text))
        self.root = Verdict(False, (False,) * len(self._rules))
        """Of the context itself, which is never left out."""

    def __bool__(self) -> bool:
        return bool(self._rules)

    def judge(self, path: str, parent: Verdict) -> Verdict:
        """What is said of ``path``, given what was said of the folder that it is in.

        docker tries exceptions only on what is left out so far, and the reverse, and keeps for the
        files in a folder nothing of what it has not tried.
        """
        excluded = False
        matched = []
        for known, rule in zip(parent.matched, self._rules, strict=True):
            found = known or (rule.is_exception == excluded and rule.pattern.matches(path))
            if found:
                excluded = not rule.is_exception
            matched.append(found)
        return Verdict(excluded, tuple(matched))

    def excludes(self, path: str) -> bool:
        """Whether ``path`` is left out."""
        verdict = self.root
        names = path.split("/")
        for length in range(1, len(names) + 1):
            verdict = self.judge("/".join(names[:length]), verdict)
        return verdict.excluded

    def may_keep_in(self, folder: str) -> bool:
        """Whether an exception may bring something back that is in ``folder``, which is left out."""
        return any(rule.is_exception and rule.pattern.matches_below(folder) for rule in self._rules)


def lines_of(text: str) -> Iterator[str]:
    """The patterns of a file, cleaned, with the mark of an exception in front."""
    for line in text.removeprefix(BYTE_ORDER_MARK).split("\n"):
        if line.startswith(COMMENT) or not (pattern := line.strip()):
            continue
        mark = EXCEPTION if pattern.startswith(EXCEPTION) else ""
        pattern = pattern[len(mark) :].strip()
        yield mark + cleaned(pattern) if pattern else mark


def rule_of(line: str) -> Rule:
    if line == EXCEPTION:
        raise ValueError('illegal exclusion pattern: "!"')
    return Rule(ignore_pattern(line.removeprefix(EXCEPTION)), line.startswith(EXCEPTION))


def cleaned(pattern: str) -> str:
    """Without empty parts and dots, a slash at its end, and one at its beginning."""
    clean = posixpath.normpath(pattern)
    return clean.lstrip("/") or "/"
