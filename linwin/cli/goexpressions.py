"""What stands between ``{{`` and ``}}``: fields, variables, constants, calls and pipes."""

from __future__ import annotations

import json
import re
from collections import ChainMap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from linwin.cli.gofunctions import Function, invalid
from linwin.errors import InvalidRequest


@dataclass(frozen=True)
class Scope:
    """Where an expression is evaluated: the value of the dot, and the variables with the innermost first."""

    dot: Any
    names: ChainMap[str, Any]

    def inner(self, dot: Any, **names: Any) -> Scope:
        """That of a block within."""
        return Scope(dot, self.names.new_child(names))

    def assign(self, name: str, value: Any) -> None:
        """Change a variable where it was declared."""
        for names in self.names.maps:
            if name in names:
                names[name] = value
                return
        raise invalid(f"undefined variable: {name}")


Expression = Callable[[Scope], Any]

_TOKEN = re.compile(
    r'(?P<blank>\s*)(?P<text>"(?:[^"\\]|\\.)*"|`[^`]*`|\$\w*(?:\.\w+)*|\.[\w.]*|-?\d+(?:\.\d+)?|\w+|[()|])'
)
_CONSTANTS: dict[str, Any] = {"true": True, "false": False, "nil": None}
LONGEST_INTEGER = 19
"""Digits of a whole number of 64 bits."""
_CHAINED = "\0"
"""Before the token of a field that belongs to the parenthesis before it."""

OPEN_ENDED = frozenset(
    {"Annotations", "Attributes", "DriverOpts", "ExposedPorts", "Labels", "Networks", "Options", "Ports"}
    | {"Volumes"}
)
"""Fields whose members are a user's words: one that is not there has no value, and is no misspelling."""
LEFT_OUT = frozenset(
    {"ArgsEscaped", "Health", "Healthcheck", "Mounts", "OnBuild", "Shell", "SizeRootFs", "SizeRw"}
    | {"StopSignal", "StopTimeout"}
)
"""Fields that docker's answers leave out where they say nothing, so that templates ask for them first."""

GO_NAMES = {
    "APIVersion": "ApiVersion",
    "From": "from",
    "NanoCPUs": "NanoCpus",
    "Scope": "scope",
    "Status": "status",
    "Time": "time",
    "TimeNano": "timeNano",
}
"""Fields that docker's client calls otherwise than the JSON does."""
IDENTITY = ("Id", "id")
"""And how the JSON calls what is ``ID`` to it."""


class Parser:
    """Reads one action's expressions with these functions."""

    def __init__(self, functions: Mapping[str, Function]) -> None:
        self._functions = functions

    def expression(self, text: str) -> Expression:
        """The whole of ``text`` as a pipeline."""
        tokens = _tokens(text.strip())
        expression = self._pipeline(tokens)
        if tokens:
            raise invalid(f'unexpected "{tokens[0].lstrip(_CHAINED)}"')
        return expression

    def _pipeline(self, tokens: list[str]) -> Expression:
        expression = self._command(tokens, None)
        while tokens and tokens[0] == "|":
            tokens.pop(0)
            expression = self._command(tokens, expression)
        return expression

    def _command(self, tokens: list[str], piped: Expression | None) -> Expression:
        """One operand alone, or a function and its operands; what is piped in comes last."""
        name = ""
        if tokens and tokens[0].isidentifier() and tokens[0] not in _CONSTANTS:
            name = tokens.pop(0)
            if name not in self._functions and name not in _LAZY:
                raise invalid(f'function "{name}" not defined')
        operands: list[Expression] = []
        while tokens and tokens[0] not in (")", "|"):
            operands.append(self._operand(tokens))
        if piped is not None:
            operands.append(piped)
        if name in _LAZY:
            if not operands:
                raise invalid(f"bad arguments: {name} has none")
            return lambda scope: _LAZY[name](scope, operands)
        if name:
            function = self._functions[name]
            return lambda scope: _call(function, [operand(scope) for operand in operands])
        if len(operands) > 1:
            # docker's one method: {{.Label "name"}}.
            return lambda scope: _call(operands[0](scope), [operand(scope) for operand in operands[1:]])
        if not operands:
            raise invalid("missing value for command")
        return operands[0]

    def _operand(self, tokens: list[str]) -> Expression:
        token = tokens.pop(0)
        if token == "(":
            inner = self._pipeline(tokens)
            if not tokens or tokens.pop(0) != ")":
                raise invalid("unclosed left paren")
            if tokens and tokens[0].startswith(_CHAINED):
                names = _names(tokens.pop(0)[1:])
                return lambda scope: _field(inner(scope), names)
            return inner
        if token.startswith("."):
            names = _names(token)
            return lambda scope: _field(scope.dot, names)
        if token.startswith("$"):
            variable, *fields = token.split(".")
            return lambda scope: _field(_variable(scope, variable), fields)
        return _constant(token)


def _tokens(text: str) -> list[str]:
    tokens: list[str] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise invalid(f'"{text[position:].strip()}" is not supported')
        chained = match["text"].startswith(".") and not match["blank"] and tokens and tokens[-1] == ")"
        tokens.append(_CHAINED + match["text"] if chained else match["text"])
        position = match.end()
    return tokens


def _names(token: str) -> list[str]:
    return [name for name in token.split(".") if name]


def _constant(token: str) -> Expression:
    constant: Any
    if token in _CONSTANTS:
        constant = _CONSTANTS[token]
    elif token[0] in '"`':
        constant = _text(token)
    elif re.fullmatch(r"-?\d+", token):
        constant = _integer(token)
    elif re.fullmatch(r"-?\d+\.\d+", token):
        constant = float(token)
    else:
        raise invalid(f'function "{token}" needs parentheses here')
    return lambda scope: constant


def _integer(token: str) -> int:
    """As wide as Go's, which bounds what it takes to read and to print one."""
    digits = token.lstrip("-").lstrip("0")
    if len(digits) > LONGEST_INTEGER or not -(2**63) <= (value := int(token)) < 2**63:
        raise invalid(f"integer overflow: {token[:LONGEST_INTEGER]}")
    return value


def _text(token: str) -> str:
    if token[0] == "`":
        return token[1:-1]
    try:
        return str(json.loads(token))
    except ValueError as error:
        raise invalid(f"{token} is not a quoted string") from error


def _variable(scope: Scope, name: str) -> Any:
    if name not in scope.names:
        raise invalid(f"undefined variable: {name}")
    return scope.names[name]


def _field(value: Any, names: Sequence[str]) -> Any:
    before = ""
    for name in names:
        name = _json_name(value, name)
        if isinstance(value, Mapping) and name in value:
            value = value[name]
        elif isinstance(value, Mapping) and (before in OPEN_ENDED or name in LEFT_OUT):
            value = None
        else:
            known = (
                f"the fields here are {', '.join(value)}" if isinstance(value, Mapping) and value else None
            )
            raise InvalidRequest(f'template: there is no field "{name}"', hint=known)
        before = name
    return value


def _json_name(value: Any, name: str) -> str:
    if not isinstance(value, Mapping) or name in value:
        return name
    if name == "ID":
        return next((known for known in IDENTITY if known in value), name)
    known = GO_NAMES.get(name, name)
    return known if known in value else name


def _call(function: Any, arguments: list[Any]) -> Any:
    if not callable(function):
        raise invalid("can't give argument to non-function")
    try:
        return function(*arguments)
    except (TypeError, LookupError, AttributeError, ValueError, OverflowError) as error:
        raise invalid(f"bad arguments: {error}") from error


def _and(scope: Scope, operands: Sequence[Expression]) -> Any:
    """The first that is empty, else the last; what follows it is not asked."""
    value = None
    for operand in operands:
        if not (value := operand(scope)):
            break
    return value


def _or(scope: Scope, operands: Sequence[Expression]) -> Any:
    value = None
    for operand in operands:
        if value := operand(scope):
            break
    return value


_LAZY: dict[str, Callable[[Scope, Sequence[Expression]], Any]] = {"and": _and, "or": _or}
