"""A Dockerfile → the model, by docker's own parser.

That parser (BuildKit's, in Go, by way of the library ``dockerfile``) splits text into words. It
tells neither where it failed nor what became of an ONBUILD's flags and heredocs, which is found here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Protocol

from linwin.errors import InvalidRequest
from linwin.model.build import Dockerfile, Heredoc, Instruction, Stage
from linwin.sources.checks import (
    CHANGES,
    Wrong,
    check,
    check_trigger,
    check_unknown,
    stage_name,
)
from linwin.sources.text import HEREDOC, Text, read_text, shown

RUN_BY_A_SHELL = ("RUN", "CMD", "ENTRYPOINT")
ARRAY_OR_WORDS = ("ADD", "COPY", "VOLUME")
WHITESPACE = re.compile(r"[\t\v\f\r ]+")
TABS = re.compile(r"^\t+", re.MULTILINE)
CHANGE = "--change"
TRIGGER = "ONBUILD of the base image"


class Command(Protocol):
    """What the library makes of one instruction."""

    cmd: str | None
    json: bool
    original: str | None
    start_line: int
    end_line: int
    flags: Sequence[str]
    value: Sequence[str]
    heredocs: Sequence[Any]


def parse_dockerfile(name: str, data: bytes) -> Dockerfile:
    """Read a Dockerfile; ``name`` is what errors call it. Raises InvalidRequest and Unsupported."""
    text = read_text(name, data)
    builder = Builder(text)
    for command in commands_of(text):
        instruction = read(command, text)
        try:
            builder.add(instruction)
        except Wrong as wrong:
            raise text.refusal(
                wrong.why, instruction.line, wrong.word, hint=wrong.hint, kind=wrong.kind
            ) from wrong
    return builder.dockerfile()


class Builder:
    """Instructions → stages."""

    def __init__(self, text: Text) -> None:
        self._text = text
        self._arguments: list[Instruction] = []
        self._stages: list[Stage] = []
        self._instructions: list[Instruction] = []

    def add(self, instruction: Instruction) -> None:
        """Raises Wrong for an instruction that has no place there."""
        if instruction.name == "FROM":
            self._begin(instruction)
        elif self._stages:
            self._instructions.append(instruction)
        elif instruction.name == "ARG":
            self._arguments.append(instruction)
        else:
            raise Wrong(
                "no build stage in current context",
                hint="Begin the Dockerfile with FROM; nothing but ARG can stand before it.",
            )

    def _begin(self, instruction: Instruction) -> None:
        name = stage_name(instruction.words)
        if name and any(stage.name == name for stage in self._stages):
            raise Wrong(f"{name} stage name already used", instruction.words[2])
        self._end()
        platform = dict(instruction.flags).get("platform", "")
        base, original = instruction.words[0], instruction.original
        self._stages.append(Stage(base, platform, name, original, instruction.line, ()))

    def _end(self) -> None:
        """The instructions so far are those of the stage before."""
        if self._stages:
            last = self._stages[-1]
            self._stages[-1] = Stage(
                last.base, last.platform, last.name, last.original, last.line, tuple(self._instructions)
            )
            self._instructions = []

    def dockerfile(self) -> Dockerfile:
        self._end()
        if not self._stages:
            raise self._text.refusal("dockerfile contains no stages to build", 1, hint="Begin it with FROM.")
        return Dockerfile(self._text.escape, tuple(self._arguments), tuple(self._stages))


def parse_changes(lines: Sequence[str]) -> list[Instruction]:
    """Read the instructions of ``--change``, of which each is a text of its own. Raises InvalidRequest."""
    return [instruction for line in lines for instruction in change(line)]


def change(line: str) -> list[Instruction]:
    text = read_text(CHANGE, line.encode("utf-8", "surrogatepass"))
    commands = commands_of(text)
    for command in commands:
        if (command.cmd or "").upper() not in CHANGES:
            raise InvalidRequest(
                f"{shown(command.cmd or line)} is not a valid change command",
                hint=f"Valid are {', '.join(sorted(CHANGES))}.",
            )
    return [read(command, text) for command in commands]


def parse_triggers(lines: Sequence[str]) -> list[Instruction]:
    """Read what an image has ONBUILD, of which each is a text of its own. Raises InvalidRequest."""
    found = []
    for line in lines:
        text = read_text(TRIGGER, f"ONBUILD {line}".encode("utf-8", "surrogatepass"))
        found += [read(command, text).trigger for command in commands_of(text)]
    return [trigger for trigger in found if trigger is not None]


def commands_of(text: Text) -> Sequence[Command]:
    """What docker's parser makes of the text. Raises InvalidRequest, saying where it failed."""
    from dockerfile import GoParseError, parse_string  # the Go runtime, which a context alone does not need

    try:
        found: Sequence[Command] = parse_string(text.for_parser())
    except GoParseError as error:
        raise located(text, str(error)) from error
    return found


def located(text: Text, why: str) -> Exception:
    """The parser's complaint, at the first instruction that it has one about."""
    from dockerfile import GoParseError, parse_string

    for first, last in text.instructions():
        try:
            parse_string(text.part(first, last).for_parser())
        except GoParseError as error:
            quoted = re.search(r'"((?:[^"\\]|\\.)*)"', str(error))
            word = json.loads(quoted[0]) if quoted and is_json(quoted[0]) else ""
            return text.refusal(str(error), first, word)
    return text.refusal(why, 1)


def is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def read(command: Command, text: Text) -> Instruction:
    """An instruction in the model's form, checked. Raises InvalidRequest and Unsupported."""
    line = command.start_line + text.first - 1
    try:
        name = (command.cmd or "").upper()
        if not name:
            raise Wrong("there is nothing to continue", text.escape)
        check_unknown(name, command.cmd or "")
        instruction = of_command(command, name, line, text)
        check(instruction)
    except Wrong as wrong:
        raise text.refusal(wrong.why, line, wrong.word, hint=wrong.hint, kind=wrong.kind) from wrong
    return instruction


def of_command(command: Command, name: str, line: int, text: Text) -> Instruction:
    original = command.original or ""
    flags = tuple(flag_of(flag) for flag in command.flags)
    if name == "ONBUILD":
        trigger = trigger_of(line, command.end_line + text.first - 1, original, text)
        if trigger is not None and trigger.heredocs:
            original = f"{original.split(maxsplit=1)[0]} {trigger.original}"
        return Instruction(name, (), original, line, flags, trigger=trigger)
    words, is_json = words_of(command, name, original)
    return Instruction(name, words, original, line, flags, is_json, heredocs_of(command))


def flag_of(text: str) -> tuple[str, str]:
    name, _, value = text.removeprefix("--").partition("=")
    return name, value


def words_of(command: Command, name: str, original: str) -> tuple[tuple[str, ...], bool]:
    """The words, and whether they came as an array: one that something follows is none."""
    words = tuple(command.value)
    if name == "HEALTHCHECK" and words:
        words = (words[0].upper(), *words[1:])
    array = original[original.find("[") :]
    if command.json and not any("[" in flag for flag in command.flags) and not is_json(array):
        if name in ARRAY_OR_WORDS:
            return tuple(WHITESPACE.split(array.strip())), False
        return (*(words[:1] if name == "HEALTHCHECK" else ()), array), False
    shell = name in RUN_BY_A_SHELL or (name == "HEALTHCHECK" and len(words) == 2)
    if shell and words and not command.json and not command.heredocs:
        # On Windows the text is run as it stands, with the blanks at its end.
        words = (*words[:-1], words[-1] + original[len(original.rstrip()) :])
    return words, command.json


def heredocs_of(command: Command) -> tuple[Heredoc, ...]:
    """The texts that follow, and how their names were written, which the library does not tell."""
    if not command.heredocs:
        return ()
    markers = HEREDOC.findall((command.original or "").partition("\n")[0])
    found = []
    for heredoc in command.heredocs:
        dash, written = "", heredoc.name
        while markers:
            dash, written = markers.pop(0)
            if written.strip("\"'") == heredoc.name:
                break
        content = TABS.sub("", heredoc.content) if dash else heredoc.content
        found.append(Heredoc(heredoc.name, content, expand=written == heredoc.name))
    return tuple(found)


def trigger_of(first: int, last: int, original: str, text: Text) -> Instruction | None:
    """What an ONBUILD holds. Raises InvalidRequest and Wrong."""
    words = original.split(maxsplit=2)
    if len(words) < 2:
        return None
    name = words[1].upper()
    check_trigger(name)
    check_unknown(name, words[1], words[1])
    part = without_onbuild(text.part(first, last), words[0])
    (command,) = commands_of(part)
    return read(command, part)


def without_onbuild(text: Text, word: str) -> Text:
    """The lines of an ONBUILD with blanks in its place, so that all else stands where it stood."""
    directive, line, *more = text.lines
    blanked = line.replace(word, " " * len(word), 1)
    lines = [blanked, *more]
    while lines[0].strip() in ("", text.escape):  # it stands on a line of its own
        lines = lines[1:]
        if not lines:
            break
    dropped = 1 + len(more) - len(lines)
    return Text(text.name, (directive, *lines), text.escape, 1, text.first + dropped)
