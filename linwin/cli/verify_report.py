"""The report of a verification: Markdown, for a bug tracker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

WORDS = {"passed": "ok", "failed": "**FAILED**", "unchecked": "not checked"}
CONTENTS = """\
This file has: the results; the versions of linwin, its Python, the host's distribution, kernel and
hypervisor; the host's processor and memory; the template's description; names and versions of the
agent and, of a Windows guest, its drivers and the agent's log; of a guest that was lost, the end of
its console. It was made to have no names of hosts or users, no folders of theirs, no passwords, tokens
or product keys: `<HOST>`, `<USER>`, `<HOME>`, `<LINWIN_ROOT>` and `***` stand in their places. A
picture of a screen is a file of its own. Read both before you hand them on.
"""


def report(
    name: str, checks: Sequence[Mapping[str, Any]], surroundings: Mapping[str, Any], picture: str
) -> str:
    """``picture`` is the name of the file with a screen's picture, empty where there is none."""
    return "\n".join(_lines(name, checks, surroundings, picture)) + "\n"


def _lines(
    name: str, checks: Sequence[Mapping[str, Any]], surroundings: Mapping[str, Any], picture: str
) -> Iterator[str]:
    yield f"# Verification of the template {_cell(name)}\n"
    yield CONTENTS
    yield "## Results\n\n| check | outcome | seconds | proves | what was seen |\n|---|---|---|---|---|"
    for check in checks:
        yield (
            f"| {check['Group']} {check['Name']} | {WORDS[check['Outcome']]} | {check['Seconds']:.1f} "
            f"| {_cell(check['Proves'])} | {_cell(check['Detail'])} |"
        )
    for check in checks:
        if check["Outcome"] == "failed":
            yield f"\n### {check['Group']} {check['Name']} failed\n"
            yield f"Expected:\n\n{_block(check['Expected'])}\n\nGot:\n\n{_block(check['Got'])}"
    yield "\n## Where\n\n| | |\n|---|---|"
    for fact in surroundings.get("Facts", ()):
        yield f"| {_cell(fact['Name'])} | {_cell(fact['Text'])} |"
    for text in surroundings.get("Texts", ()):
        yield f"\n## {_cell(text['Name'])}\n\n{_block(text['Text'])}"
    if picture:
        yield f"\n## The last screen\n\nIt is in the file {_cell(picture)}."


def _cell(text: str) -> str:
    """Text that stays in its cell of a table, and is no mark-up."""
    one_line = " ".join(text.split())
    return "".join(f"\\{letter}" if letter in "\\`*_{}[]<>#|" else letter for letter in one_line)


def _block(text: str) -> str:
    """A code block: indented, so that nothing in the text can end it."""
    shown = "".join(letter if letter.isprintable() or letter == "\n" else " " for letter in text)
    return "\n".join(f"    {line}" for line in shown.splitlines()) or "    (nothing)"
