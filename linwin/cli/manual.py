"""``python -m linwin.cli.manual FOLDER`` writes linwin's manual pages, made from the commands themselves.

One page a command, ``linwin-run.1`` and so on, in man(7)'s macros.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from linwin import __version__
from linwin.cli.main import linwin


def pages() -> Iterator[tuple[str, str]]:
    """File names and texts, of all commands and groups."""
    yield from _pages(linwin, click.Context(linwin, info_name="linwin"))


def _pages(command: click.Command, context: click.Context) -> Iterator[tuple[str, str]]:
    members = _members(command, context)
    name = context.command_path.replace(" ", "-")
    yield f"{name}.1", "\n".join(_page(name, command, context, members)) + "\n"
    for member in members.values():
        assert member.info_name is not None
        yield from _pages(member.command, member)


def _members(command: click.Command, context: click.Context) -> dict[str, click.Context]:
    if not isinstance(command, click.Group):
        return {}
    found = {name: command.get_command(context, name) for name in sorted(command.list_commands(context))}
    return {name: click.Context(c, info_name=name, parent=context) for name, c in found.items() if c}


def _page(
    name: str, command: click.Command, context: click.Context, members: dict[str, click.Context]
) -> Iterator[str]:
    first, *rest = _paragraphs(command.help or "")
    yield f'.TH "{name.upper()}" 1 "" "linwin {__version__}"'
    yield f".SH NAME\n{name} \\- {_text(first.rstrip('.'))}"
    usage = command.collect_usage_pieces(context)
    yield f".SH SYNOPSIS\n.B {_text(context.command_path)}\n{_text(' '.join(usage))}"
    yield ".SH DESCRIPTION"
    yield "\n.PP\n".join(_text(paragraph) for paragraph in (first, *rest))
    options = [param for param in command.params if isinstance(param, click.Option) and not param.hidden]
    if options:
        yield ".SH OPTIONS"
    for option in options:
        names = ", ".join([*option.opts, *option.secondary_opts])
        value = "" if option.is_flag else f" {option.metavar}"
        yield f".TP\n.B {_text(names + value)}\n{_text(option.help or '')}"
    if members:
        yield ".SH COMMANDS"
    for member in members.values():
        summary = _paragraphs(member.command.help or "")[0]
        yield f".TP\n.B {_text(member.command_path)}\n{_text(summary)}"
    if context.parent is not None:
        yield f".SH SEE ALSO\n.BR {_text(context.parent.command_path.replace(' ', '-'))} (1)"


def _paragraphs(text: str) -> list[str]:
    return [" ".join(paragraph.split()) for paragraph in text.strip().split("\n\n")]


def _text(text: str) -> str:
    """Roff takes backslashes, hyphens and a line's first dot or quote for its own."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m linwin.cli.manual FOLDER")
    main(Path(sys.argv[1]))
