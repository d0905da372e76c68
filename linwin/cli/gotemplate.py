"""The part of Go's text/template that people write after ``--format``.

Supported: text, comments, fields (``{{.State.Status}}``), variables (``{{$x := .Name}}``),
calls (``{{json .}}``, ``{{index .Config.Labels "a"}}``, parentheses, pipes) and the blocks
``if``, ``with`` and ``range`` with ``else``, ``else if`` and ``end``. Anything else is
refused by name. Syntax and the way values print follow https://pkg.go.dev/text/template and
docker's own functions, https://docs.docker.com/engine/cli/formatting/.
"""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from linwin.cli.goexpressions import Expression, Parser, Scope
from linwin.cli.gofunctions import FUNCTIONS, Function, invalid, printed

Node = Callable[[Scope, list[str]], None]
"""Writes what it stands for, given the value of the dot and the variables."""

_ACTION = re.compile(r"\{\{(-\s)?(.*?)(\s-)?\}\}", re.DOTALL)
_COMMENT = re.compile(r"/\*.*\*/", re.DOTALL)
_DECLARATION = re.compile(r"\s*(\$\w+)(?:\s*,\s*(\$\w+))?\s*(:?=)(?!=)\s*(.*)", re.DOTALL)
_QUOTED = r'"(?:[^"\\]|\\.)*"|`[^`]*`'
_ESCAPES = {"\\t": "\t", "\\n": "\n"}
_BLOCKS = ("if", "range", "with")


def compile_template(
    text: str, *, functions: Mapping[str, Function] = FUNCTIONS, escapes: bool = True
) -> Callable[[Any], str]:
    r"""Return a function from a value (what JSON can hold) to the text it renders to.

    With ``escapes``, ``\t`` and ``\n`` in the text are a tab and a line's end, as docker has
    it in listings. Raises InvalidRequest here for a template that cannot be read, and from
    the returned function for a field that the value does not have.
    """
    parser = _Blocks(text, Parser(functions), escapes=escapes)
    try:
        body, end = parser.block()
    except RecursionError as error:
        raise invalid("it is nested too deeply") from error
    if end:
        raise invalid(f"unexpected {{{{{end}}}}}")

    def render(value: Any) -> str:
        out: list[str] = []
        try:
            body(Scope(value, ChainMap({"$": value})), out)
        except RecursionError as error:
            raise invalid("it is nested too deeply") from error
        return "".join(out)

    return render


def may_show(text: str, field: str) -> bool:
    """Whether a template names ``field``, or all that it is given: a dot or ``$`` that no name follows."""
    shown = re.compile(rf"{_QUOTED}|(\.{field}(?![\w.])|(?<![\w.])\.(?![\w.])|\$(?![\w.]))", re.DOTALL)
    return any(match[1] for is_action, piece in _split(text) if is_action for match in shown.finditer(piece))


class _Blocks:
    def __init__(self, text: str, parser: Parser, *, escapes: bool) -> None:
        self._pieces = _split(text)
        self._parser = parser
        self._escapes = escapes

    def block(self) -> tuple[Node, str]:
        """Everything up to the ``end`` or ``else`` that closes this block, and the words of that."""
        nodes: list[Node] = []
        for is_action, piece in self._pieces:
            words = piece.split(None, 1)
            if not is_action:
                nodes.append(_text(_unescaped(piece) if self._escapes else piece))
            elif not words:
                raise invalid("missing value for command")
            elif words[0] in ("end", "else"):
                return _sequence(nodes), piece.strip()
            elif words[0] in _BLOCKS:
                nodes.append(self._compound(words))
            elif not _COMMENT.fullmatch(piece.strip()):
                nodes.append(self._action(piece))
        return _sequence(nodes), ""

    def _action(self, piece: str) -> Node:
        match = _DECLARATION.fullmatch(piece)
        if match is None:
            return _print(self._parser.expression(piece))
        name, second, operator, value = match.groups()
        if second:
            raise invalid("too many declarations in command")
        return _set(name, self._parser.expression(value), declare=operator == ":=")

    def _compound(self, words: list[str]) -> Node:
        kind, *rest = words
        if not rest:
            raise invalid(f"missing value for {kind}")
        first, second, expression = self._header(kind, rest[0])
        then, end = self.block()
        otherwise: Node = _sequence([])
        if end == "else":
            otherwise, end = self.block()
        elif end.startswith("else"):
            otherwise, end = self._chained(end), "end"
        if end != "end":
            raise invalid(f"{kind} has no {{{{end}}}}" if not end else f"unexpected {{{{{end}}}}}")
        if kind == "range":
            return _range(expression, (first, second), then, otherwise)
        return _branch(expression, first, then, otherwise, moves_dot=kind == "with")

    def _chained(self, end: str) -> Node:
        """``else if`` and ``else with``: a block within, that has no end of its own."""
        words = end.split(None, 2)[1:]
        if words[0] not in ("if", "with"):
            raise invalid(f'"{end}" is not supported')
        return self._compound(words)

    def _header(self, kind: str, text: str) -> tuple[str, str, Expression]:
        """The variables that a block declares, none as ``""``, and its value."""
        match = _DECLARATION.fullmatch(text)
        if match is None:
            return "", "", self._parser.expression(text)
        first, second, _, value = match.groups()
        if second and kind != "range":
            raise invalid(f"too many declarations in {kind}")
        return first, second or "", self._parser.expression(value)


def _split(text: str) -> Iterator[tuple[bool, str]]:
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
        raise invalid("unclosed action")
    yield False, rest.lstrip() if trim else rest


def _unescaped(text: str) -> str:
    for escape, character in _ESCAPES.items():
        text = text.replace(escape, character)
    return text


def _text(text: str) -> Node:
    return lambda scope, out: out.append(text)


def _print(expression: Expression) -> Node:
    return lambda scope, out: out.append(printed(expression(scope)))


def _set(name: str, expression: Expression, *, declare: bool) -> Node:
    def run(scope: Scope, out: list[str]) -> None:
        value = expression(scope)
        if declare:
            scope.names[name] = value
        else:
            scope.assign(name, value)

    return run


def _sequence(nodes: list[Node]) -> Node:
    def run(scope: Scope, out: list[str]) -> None:
        for node in nodes:
            node(scope, out)

    return run


def _branch(condition: Expression, name: str, then: Node, otherwise: Node, *, moves_dot: bool) -> Node:
    def run(scope: Scope, out: list[str]) -> None:
        value = condition(scope)
        names = {name: value} if name else {}
        dot = value if moves_dot and value else scope.dot
        (then if value else otherwise)(scope.inner(dot, **names), out)

    return run


def _range(collection: Expression, names: tuple[str, str], body: Node, otherwise: Node) -> Node:
    def run(scope: Scope, out: list[str]) -> None:
        items = list(_items(collection(scope)))
        for key, item in items:
            body(scope.inner(item, **_declared(names, key, item)), out)
        if not items:
            otherwise(scope.inner(scope.dot), out)

    return run


def _items(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, Mapping):
        return ((key, value[key]) for key in sorted(value))
    if value and not isinstance(value, list):
        raise invalid(f"range can't iterate over {printed(value)}")
    return iter(enumerate(value or ()))


def _declared(names: tuple[str, str], key: Any, item: Any) -> dict[str, Any]:
    """One variable is the element; of two, the first is its index or key."""
    first, second = names
    if second:
        return {first: key, second: item}
    return {first: item} if first else {}
