"""What commands print: docker's tables, ``--format`` templates and JSON."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

from linwin.cli import failures

SHORT_ID = 12
_GAP = 3
_MINIMUM_WIDTH = 10


class Listing:
    """What a listing command can show.

    ``headers`` names the heading of every field, ``columns`` those of the
    default table in order, and ``quiet`` the field that ``-q`` prints alone.
    """

    def __init__(self, headers: Mapping[str, str], columns: Sequence[str], quiet: str) -> None:
        self.headers = headers
        self.columns = columns
        self.quiet = quiet

    def show(self, rows: Iterable[Mapping[str, Any]], form: str | None, *, quiet: bool = False) -> None:
        """Print rows (field → value) as ``--format`` and ``--quiet`` ask.

        ``form`` is None or ``table``, ``table TEMPLATE``, ``json``, or a template.
        """
        if quiet:
            if form:
                failures.say("--format is ignored, because --quiet is given")
            write_lines(str(row[self.quiet]) for row in rows)
        else:
            write_lines(self.text(rows, form))

    def text(self, rows: Iterable[Mapping[str, Any]], form: str | None) -> Iterable[str]:
        """The lines that :meth:`show` prints."""
        if not form or form == "table":
            cells = [[str(row[name]) for name in self.columns] for row in rows]
            return table([[self.headers[name] for name in self.columns], *cells])
        if form.startswith("table "):
            return self._chosen(form.removeprefix("table "), rows)
        render = _template("{{json .}}" if form == "json" else form)
        return (render(row) for row in rows)

    def _chosen(self, form: str, rows: Iterable[Mapping[str, Any]]) -> Iterable[str]:
        """A table of the columns that a template names, tabs between them."""
        from linwin.cli.gofunctions import HEADING_FUNCTIONS
        from linwin.cli.gotemplate import compile_template

        heading = compile_template(form, functions=HEADING_FUNCTIONS)(self._named_headers())
        render = _template(form)
        return table([heading.split("\t"), *(render(row).split("\t") for row in rows)])

    def _named_headers(self) -> dict[str, Any]:
        """The headings, with docker's one method: the heading of a label's column is the label's name."""
        return {**self.headers, "Label": lambda name: name.rpartition(".")[2]}


def table(rows: Sequence[Sequence[str]], *, minimum: int = _MINIMUM_WIDTH) -> Iterable[str]:
    """Align cells as docker does: columns of at least ``minimum``, three blanks after the widest cell."""
    columns = max(map(len, rows))
    widths = [
        max(minimum, *(len(row[column]) + _GAP for row in rows if column < len(row) - 1))
        for column in range(columns - 1)
    ]
    for row in rows:
        *padded, last = row
        yield "".join(cell.ljust(width) for cell, width in zip(padded, widths, strict=False)) + last


def write_lines(lines: Iterable[str]) -> None:
    """Print to stdout, in one write."""
    sys.stdout.write("".join(f"{line}\n" for line in lines))


def show_objects(objects: Sequence[Any], form: str | None) -> None:
    """Print what ``inspect`` found: a JSON array, on one line for ``json``, or each through a template."""
    if not form:
        import json

        click.echo(json.dumps(objects, indent=4, ensure_ascii=False))
    elif form == "json":
        show_object(list(objects), form)
    else:
        render = _template(form, escapes=False)
        write_lines(render(value) for value in objects)


def show_object(value: Any, form: str) -> None:
    """Print one value: JSON on one line, or through a template."""
    write_lines([_template("{{json .}}" if form == "json" else form, escapes=False)(value)])


def _template(text: str, *, escapes: bool = True) -> Any:
    from linwin.cli.gotemplate import compile_template

    return compile_template(text, escapes=escapes)


def short_id(identity: str, *, full: bool = False) -> str:
    """Twelve digits without ``sha256:``, or the id as it is when ``full``."""
    return identity if full else identity.removeprefix("sha256:")[:SHORT_ID]


def one_line(text: str) -> str:
    """``text`` with blanks for line ends and for what would move a terminal's cursor: others wrote it."""
    return "".join(character if character.isprintable() else " " for character in text)


def quoted(command: str) -> str:
    """A command line as listings show it: in quotes, with a backslash before quotes and backslashes."""
    return '"' + command.replace("\\", "\\\\").replace('"', '\\"') + '"'


def ellipsis(text: str, width: int) -> str:
    """Cut to ``width`` characters, the last being ``…`` where something was cut."""
    return text if len(text) <= width else text[: width - 1] + "…"
