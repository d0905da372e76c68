"""Variables in a Dockerfile's words → what they stand for, by docker's rules. Pure.

Source: docker's "Dockerfile reference", "Environment replacement". Names of variables
are Windows', which knows no case.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from linwin.errors import InvalidRequest

MODIFIERS = "-+?"
SPECIAL = "@*#?-$!0"
LONGEST = 1 << 20
"""Characters that one word may come to."""


class Variables(Mapping[str, str]):
    """Variables by name, in any case; ``pairs`` are ``NAME=value``, later ones winning."""

    def __init__(self, pairs: Iterable[str]) -> None:
        self._values: dict[str, str] = {}
        for pair in pairs:
            name, _, value = pair.partition("=")
            self._values[name.upper()] = value

    def __getitem__(self, name: str) -> str:
        return self._values[name.upper()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def expand(word: str, variables: Mapping[str, str], escape: str, *, quotes: bool = False) -> str:
    """``word`` with its variables put in and its quotes taken off, or kept with ``quotes``.

    ``escape`` takes the next character for what it is. Raises InvalidRequest, naming the word.
    """
    lexer = _Lexer(word, variables, escape, quotes=quotes)
    expanded = lexer.text()
    if len(expanded) > LONGEST:
        raise InvalidRequest(f"a word comes to more than {LONGEST} characters once its variables are put in")
    return expanded


class _Lexer:
    def __init__(self, word: str, variables: Mapping[str, str], escape: str, *, quotes: bool) -> None:
        self._word = word
        self._variables = variables
        self._escape = escape
        self._quotes = quotes
        self._at = 0

    def text(self, stop: str = "") -> str:
        """What stands before ``stop``, which is passed; or all that is left."""
        found: list[str] = []
        while character := self._next():
            if character == stop:
                return "".join(found)
            if character == "'" and not self._quotes:
                found.append(self._until_quote())
            elif character == '"' and not self._quotes:
                found.append(self._in_double_quotes())
            elif character == "$":
                found.append(self._variable())
            elif character == self._escape:
                found.append(self._escaped())
            else:
                found.append(character)
        if stop:
            raise self._wrong(f"it ends before the matching {stop}")
        return "".join(found)

    def _next(self) -> str:
        """The next character, an empty text at the end."""
        character = self._word[self._at : self._at + 1]
        self._at += 1
        return character

    def _peek(self) -> str:
        return self._word[self._at : self._at + 1]

    def _escaped(self) -> str:
        if not self._quotes:
            return self._next()
        # In a heredoc only what would begin a variable is escaped.
        return self._next() if self._peek() in ("$", self._escape) else self._escape

    def _until_quote(self) -> str:
        end = self._word.find("'", self._at)
        if end < 0:
            raise self._wrong("it ends before the matching single quote")
        found, self._at = self._word[self._at : end], end + 1
        return found

    def _in_double_quotes(self) -> str:
        found: list[str] = []
        while character := self._next():
            if character == '"':
                return "".join(found)
            if character == "$":
                found.append(self._variable())
            elif character == self._escape and self._peek() in ('"', "$", self._escape):
                found.append(self._next())
            else:
                found.append(character)
        raise self._wrong("it ends before the matching double quote")

    def _variable(self) -> str:
        if self._peek() == "{":
            self._at += 1
            return self._in_braces()
        name = self._name()
        return self._variables.get(name, "") if name else "$"

    def _name(self) -> str:
        first = self._peek()
        if first and (first in SPECIAL or first.isdecimal()):
            self._at += 1
            return first
        start = self._at
        while (here := self._peek()) and here.isascii() and (here.isalnum() or here == "_"):
            self._at += 1
        return self._word[start : self._at]

    def _in_braces(self) -> str:
        name = self._name()
        if not name:
            raise self._wrong("${ is not followed by a name")
        character = self._next()
        if character == "}":
            return self._variables.get(name, "")
        also_empty = character == ":"
        modifier = self._next() if also_empty else character
        if not modifier or modifier not in MODIFIERS:
            raise self._wrong(f"${{{name} is followed by {modifier!r}, which is none of -, + and ?")
        word = self.text("}")
        value = self._variables.get(name)
        there = value is not None and not (also_empty and value == "")
        if modifier == "+":
            return word if there else ""
        if modifier == "?" and not there:
            raise InvalidRequest(f"{name}: {word or 'not set'}", hint=f"Give it: --build-arg {name}=VALUE")
        return value or "" if there else word

    def _wrong(self, why: str) -> InvalidRequest:
        return InvalidRequest(f"failed to process {self._word!r}: {why}")
