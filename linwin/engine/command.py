"""From an image's and a user's words to the one command that runs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from linwin.errors import InvalidRequest
from linwin.model.container import Container, ContainerSpec
from linwin.model.guest import ProcessSpec
from linwin.model.image import RunConfig


@dataclass(frozen=True, slots=True)
class Command:
    """A resolved command; ``line`` is set where it must reach the program verbatim."""

    argv: tuple[str, ...]
    line: str | None = None


def resolve(spec: ContainerSpec, image: RunConfig) -> Command:
    """Merge entrypoint and command as docker does.

    An entrypoint given by the user clears the image's command. The image's
    ``ArgsEscaped`` applies only while the first word is the image's own: then
    that word is a command line already, and the rest is escaped and appended.
    """
    if spec.entrypoint is not None:
        entrypoint, cmd = spec.entrypoint, spec.cmd or ()
    else:
        entrypoint, cmd = image.entrypoint, spec.cmd or image.cmd
    argv = tuple(word for word in (*_cleared(entrypoint), *cmd))
    if not argv:
        raise InvalidRequest(
            "no command specified",
            hint="The image has no command of its own; name the program to run after the image.",
        )
    if spec.args_escaped and spec.cmd and not _cleared(entrypoint):
        return Command(argv, " ".join((argv[0], *map(escape, argv[1:]))))
    from_image = spec.entrypoint is None and (bool(image.entrypoint) or not spec.cmd)
    if image.args_escaped and from_image:
        return Command(argv, " ".join((argv[0], *map(escape, argv[1:]))))
    return Command(argv)


def probe(test: Sequence[str], shell: Sequence[str]) -> Command:
    """The command of a health check's test: its words as they stand, or one line for the image's shell.

    cmd takes the line between quotes, which its /S strips, so that the line may hold quotes
    itself; another shell gets it as one argument, as docker passes it.
    """
    kind, *words = test
    if kind == "CMD":
        return Command(tuple(words))
    before = tuple(shell) or ("cmd", "/S", "/C")
    argv = (*before, " ".join(words))
    if before[0].lower().removesuffix(".exe") == "cmd" and "/s" in map(str.lower, before):
        return Command(argv, f'{join(before)} "{argv[-1]}"')
    return Command(argv)


def _cleared(entrypoint: tuple[str, ...]) -> tuple[str, ...]:
    """``--entrypoint ""`` arrives as one empty word and means none."""
    return () if entrypoint == ("",) else entrypoint


def escape(argument: str) -> str:
    """Quote one argument so that Microsoft's C runtime parses it back to the same text.

    Source: Microsoft, "Parsing C command-line arguments": backslashes are
    literal unless they precede a double quote, where each pair means one.
    """
    if argument and not any(c in ' \t\n\v"' for c in argument):
        return argument
    quoted, backslashes = '"', 0
    for character in argument:
        if character == "\\":
            backslashes += 1
            continue
        if character == '"':
            quoted += "\\" * (2 * backslashes + 1)
        else:
            quoted += "\\" * backslashes
        backslashes = 0
        quoted += character
    return quoted + "\\" * (2 * backslashes) + '"'


def join(argv: Iterable[str]) -> str:
    """The command line that Microsoft's C runtime parses back to ``argv``.

    cmd.exe has rules of its own; docker on Windows ignores them as this does,
    so that ``cmd /c "exit 42"`` means here what it means there.
    """
    return " ".join(map(escape, argv))


def merge_env(*sources: Iterable[str]) -> tuple[str, ...]:
    """Merge ``NAME=value`` lists, later ones winning; Windows names ignore case.

    A bare ``NAME`` removes the variable, as docker's ``-e NAME`` does when the
    client has no such variable.
    """
    merged: dict[str, str] = {}
    for source in sources:
        for pair in source:
            name, equals, _ = pair.partition("=")
            merged.pop(name.upper(), None)
            if equals:
                merged[name.upper()] = pair
    return tuple(merged.values())


def in_container(
    container: Container,
    command: Command,
    *,
    env: Iterable[str] | None = None,
    cwd: str = "",
    user: str = "",
    stdin: bool = False,
    terminal: tuple[int, int] | None = None,
    transient: bool = False,
) -> ProcessSpec:
    """A program in a container: its environment, folder and user are the container's unless named."""
    return ProcessSpec(
        argv=command.argv,
        command_line=command.line or join(command.argv),
        env=dict(pair.split("=", 1) for pair in (container.env if env is None else env)),
        cwd=cwd or container.cwd,
        user=user or container.user,
        stdin=stdin,
        terminal=terminal,
        transient=transient,
    )
