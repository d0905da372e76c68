"""How a command fails: the lines on stderr and the exit code. Exit codes live here only."""

from __future__ import annotations

import sys

import click

from linwin.errors import CommandNotExecutable, CommandNotFound, LinwinError

FAILED = 1
REFUSED = 125
NOT_EXECUTABLE = 126
NOT_FOUND = 127
INTERRUPTED = 130


class UnknownCommand(click.UsageError):
    """``linwin`` has no such command."""


class WrongArguments(click.UsageError):
    """Too few or too many arguments."""


def show(error: LinwinError) -> None:
    """Print ``linwin: message`` and the hint on stderr."""
    say(error.message)
    if error.hint:
        click.echo(error.hint, err=True)


def say(sentence: str) -> None:
    """Print one line to the user beside the answer: on stderr, with our name before it."""
    sys.stdout.flush()
    click.echo(f"linwin: {sentence}", err=True)


def refused(error: LinwinError) -> int:
    """Show why ``run`` did not run; returns docker's exit code for it."""
    show(error)
    if isinstance(error, CommandNotFound):
        return NOT_FOUND
    return NOT_EXECUTABLE if isinstance(error, CommandNotExecutable) else REFUSED


def exit_code(container_code: int) -> int:
    """The process exit code for a container's, which is unsigned and has 32 bits on Windows.

    A Linux process ends with the low eight bits only, so 256 would read as
    success; a failure whose low bits are zero becomes 255.
    """
    return container_code & 0xFF or (255 if container_code else 0)


def usage(error: click.ClickException) -> int:
    """Show what is wrong with the command line; returns the exit code."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "linwin"
    click.echo(f"linwin: {_sentence(error, path)}", err=True)
    click.echo(f"Run '{path} --help' for more information.", err=True)
    return FAILED if isinstance(error, UnknownCommand | WrongArguments) else REFUSED


def _sentence(error: click.ClickException, path: str) -> str:
    """docker's words where it has some for this mistake."""
    if isinstance(error, click.NoSuchOption):
        return f"unknown flag: {error.option_name}"
    if isinstance(error, click.BadParameter) and error.param is not None:
        flag = error.param.opts[0] if error.param.opts else error.param.name
        return f"invalid argument for {flag}: {error.message}"
    return error.format_message()
