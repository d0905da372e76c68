"""The part of Go's text/template that people write after ``--format``.

Supported: text, fields (``{{.State.Status}}``), calls (``{{json .}}``,
``{{index .Config.Labels "a"}}``, parentheses, pipes) and the blocks ``if``,
``else``, ``range`` and ``end``. Anything else is refused by name. Syntax and
the way values print follow https://pkg.go.dev/text/template and docker's own
functions, https://docs.docker.com/engine/cli/formatting/.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from linwin.errors import InvalidRequest

Node = Callable[[Any, list[str]], None]
"""Writes what it stands for, given the value of the dot."""
Expression = Callable[[Any], Any]

_ACTION = re.compile(r"\{\{(- )?(.*?)( -)?\}\}", re.DOTALL)
_TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|`[^`]*`|\.[\w.]*|\w+|-?\d+|[()|])')
_ESCAPES = {"\\t": "\t", "\\n": "\n"}


def compile_template(text: str) -> Callable[[Any], str]:
    """Return a function from a value (what JSON can hold) to the text it renders to.

    Raises InvalidRequest here for a template that cannot be read, and from the
    returned function for a field that the value does not have.
    """
    for escape, character in _ESCAPES.items():
        text = text.replace(escape, character)
    parser = _Parser(text)
    body, end = parser.block()
    if end:
        raise _invalid(f"unexpected {{{{{end}}}}}")

    def render(value: Any) -> str:
        out: list[str] = []
        body(value, out)
        return "".join(out)

    return render


class _Parser:
    def __init__(self, text: str) -> None:
        self._pieces = _split(text)

    def block(self) -> tuple[Node, str]:
        """Everything up to the ``end`` or ``else`` that closes this block, and which it was."""
        nodes: list[Node] = []
        for is_action, piece in self._pieces:
            words = piece.split(None, 1)
            if not is_action:
                nodes.append(_text(piece))
            elif not words:
                raise _invalid("missing value for command")
            elif words[0] in ("end", "else"):
                if len(words) > 1:
                    raise _invalid(f'"{piece.strip()}" is not supported')
                return _sequence(nodes), words[0]
            elif words[0] in ("if", "range"):
                nodes.append(self._compound(words))
            else:
                nodes.append(_print(_expression(piece)))
        return _sequence(nodes), ""

    def _compound(self, words: list[str]) -> Node:
        if len(words) < 2:
            raise _invalid(f"missing value for {words[0]}")
        condition = _expression(words[1])
        then, end = self.block()
        otherwise: Node = _sequence([])
        if end == "else":
            otherwise, end = self.block()
        if end != "end":
            raise _invalid(f"{words[0]} has no {{{{end}}}}")
        return (_if if words[0] == "if" else _range)(condition, then, otherwise)


def _split(text: str) -> Any:
    """Yield (False, text) and (True, inside of an action), with ``{{-`` and ``-}}`` trimming applied."""
    position, trim = 0, False
    for match in _ACTION.finditer(text):
        before = text[position : match.start()]
        before = before.lstrip() if trim else before
        yield False, before.rstrip() if match[1] else before
        yield True, match[2]
        position, trim = match.end(), bool(match[3])
    rest = text[position:]
    if "{{" in rest:
        raise _invalid("unclosed action")
    yield False, rest.lstrip() if trim else rest


def _text(text: str) -> Node:
    return lambda dot, out: out.append(text)


def _print(expression: Expression) -> Node:
    return lambda dot, out: out.append(printed(expression(dot)))


def _sequence(nodes: list[Node]) -> Node:
    def run(dot: Any, out: list[str]) -> None:
        for node in nodes:
            node(dot, out)

    return run


def _if(condition: Expression, then: Node, otherwise: Node) -> Node:
    return lambda dot, out: (then if condition(dot) else otherwise)(dot, out)


def _range(collection: Expression, body: Node, otherwise: Node) -> Node:
    def run(dot: Any, out: list[str]) -> None:
        items = collection(dot)
        if isinstance(items, Mapping):
            items = [items[key] for key in sorted(items)]
        if not items:
            otherwise(dot, out)
        elif not isinstance(items, list):
            raise _invalid(f"range can't iterate over {printed(items)}")
        else:
            for item in items:
                body(item, out)

    return run


def _expression(text: str) -> Expression:
    tokens: list[str] = []
    position, text = 0, text.strip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise _invalid(f'"{text[position:].strip()}" is not supported')
        tokens.append(match[1])
        position = match.end()
    expression = _pipeline(tokens)
    if tokens:
        raise _invalid(f'unexpected "{tokens[0]}"')
    return expression


def _pipeline(tokens: list[str]) -> Expression:
    expression = _command(tokens, None)
    while tokens and tokens[0] == "|":
        tokens.pop(0)
        expression = _command(tokens, expression)
    return expression


def _command(tokens: list[str], piped: Expression | None) -> Expression:
    """One operand alone, or a function and its operands; what is piped in comes last."""
    function = None
    if tokens and tokens[0].isidentifier() and tokens[0] not in ("true", "false", "nil"):
        function = _function(tokens.pop(0))
    operands: list[Expression] = []
    while tokens and tokens[0] not in (")", "|"):
        operands.append(_operand(tokens))
    if piped is not None:
        operands.append(piped)
    if function is not None:
        return lambda dot: _call(function, [operand(dot) for operand in operands])
    if len(operands) > 1:
        # docker's one method: {{.Label "name"}}.
        return lambda dot: _call(operands[0](dot), [operand(dot) for operand in operands[1:]])
    if not operands:
        raise _invalid("missing value for command")
    return operands[0]


def _operand(tokens: list[str]) -> Expression:
    token = tokens.pop(0)
    if token == "(":
        inner = _pipeline(tokens)
        if not tokens or tokens.pop(0) != ")":
            raise _invalid("unclosed left paren")
        return inner
    if token.startswith("."):
        return _field([name for name in token.split(".") if name])
    if token in ("true", "false", "nil"):
        constant: Any = {"true": True, "false": False, "nil": None}[token]
    elif token[0] in '"`':
        constant = json.loads(token) if token[0] == '"' else token[1:-1]
    elif token.lstrip("-").isdigit():
        constant = int(token)
    else:
        raise _invalid(f'function "{token}" needs parentheses here')
    return lambda dot: constant


def _field(names: Sequence[str]) -> Expression:
    def get(dot: Any) -> Any:
        for name in names:
            if not isinstance(dot, Mapping) or name not in dot:
                known = f"the fields here are {', '.join(dot)}" if isinstance(dot, Mapping) and dot else None
                raise InvalidRequest(f'template: there is no field "{name}"', hint=known)
            dot = dot[name]
        return dot

    return get


def _call(function: Any, arguments: list[Any]) -> Any:
    if not callable(function):
        raise _invalid("can't give argument to non-function")
    try:
        return function(*arguments)
    except (TypeError, LookupError) as error:
        raise _invalid(f"bad arguments: {error}") from error


def _function(name: str) -> Callable[..., Any]:
    if name not in _FUNCTIONS:
        raise _invalid(f'function "{name}" not defined')
    return _FUNCTIONS[name]


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        value = value.get(key, "") if isinstance(value, Mapping) else value[key]
    return value


def to_json(value: Any) -> str:
    """Compact JSON on one line, without the methods that a row may have beside its fields."""
    if isinstance(value, Mapping):
        value = {name: field for name, field in value.items() if not callable(field)}
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "json": to_json,
    "index": _index,
    "len": len,
    "lower": str.lower,
    "upper": str.upper,
    "title": str.title,
    "join": lambda items, separator: separator.join(items),
    "split": lambda text, separator: text.split(separator),
    "println": lambda *values: " ".join(map(printed, values)) + "\n",
    "eq": lambda left, *others: left in others,
    "ne": lambda left, right: left != right,
    "not": lambda value: not value,
    "and": lambda *values: next((value for value in values if not value), values[-1]),
    "or": lambda *values: next((value for value in values if value), values[-1]),
}


def printed(value: Any) -> str:
    """A value as Go's fmt prints it: ``true``, ``[a b]``, ``map[k:v]``."""
    if value is None:
        return "<no value>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "map[" + " ".join(f"{key}:{printed(value[key])}" for key in sorted(value)) + "]"
    if isinstance(value, list):
        return "[" + " ".join(map(printed, value)) + "]"
    return str(value)


def _invalid(problem: str) -> InvalidRequest:
    return InvalidRequest(
        f"template: {problem}", hint="fields look like {{.ID}}, and {{json .}} prints all of them"
    )
