"""``python -m linwin.cli.reference`` prints docs/cli.md, the reference made from the commands themselves."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click

from linwin.cli.main import linwin

PREFACE = """\
# linwin's commands

Made from the commands by `python -m linwin.cli.reference`; a test compares.
Words, columns and exit codes are docker's. Every command starts the daemon
when none runs. Only the answer is on stdout, which for `pull`, `push` and
`build` is their progress, as it is docker's; other progress, warnings and errors are on
stderr. [build.md](build.md) is about builds.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | the daemon refused, one of several objects failed, or `system check` leaves problems |
| 125 | the command line cannot be read, or `run` could not run the container |
| 126 | `run`: the entrypoint cannot be run; `exec`: the program |
| 127 | `run`: the entrypoint does not exist; `exec`: the program |
| 130 | interrupted |
| any | `run`, `attach`, `start -a`: the container's own; `exec`, `build`: a program's that failed |

A Windows exit code has 32 bits and a Linux one has 8: the low 8 bits are
given, or 255 where they would make a failure read as 0. `wait` prints all 32.

It differs from docker's on purpose in this:

- every error has one form: `linwin:` and the sentence, said once;
- what to do instead may follow an error on a line of its own;
- a command line that cannot be read is answered without its usage, which `--help` shows;
- 125 is the code of every `run` that did not run;
- `ps` has a TEMPLATE column behind docker's, because Wine is not Windows;
- `inspect --type` has the kinds that linwin has;
- `build` on a terminal shows its steps as BuildKit does; elsewhere the lines are docker's.

A hundred and more command lines are compared with docker's own client by a test.

| setting | meaning | default |
|---|---|---|
| `LINWIN_HOST` | the daemon's address | `unix:///run/linwin/linwin.sock` |
| `LINWIN_CONTEXT` | one of docker's contexts, where `LINWIN_HOST` is not set | |
| `LINWIN_ROOT` | where the daemon keeps everything | `/var/lib/linwin` |
| `DOCKER_CONFIG` | folder of docker's `config.json` and contexts | `~/.docker` |

Credentials are docker's own: `auths`, `credsStore` and `credHelpers` of
`config.json` are read, `login` and `logout` change them and nothing else in
the file. They go to the daemon with each request that needs them, and the
daemon keeps none.

## linwin
"""


def reference() -> str:
    """The whole of docs/cli.md."""
    context = click.Context(linwin, info_name="linwin")
    return "\n".join([PREFACE, *_group(linwin, context, places={})])


def _group(group: click.Group, context: click.Context, places: dict[click.Command, str]) -> Iterator[str]:
    """All commands of a group; ``places`` remembers where each was described, since some have two names."""
    yield from _options(group)
    commands = {name: group.get_command(context, name) for name in group.list_commands(context)}
    # Groups come last, so that what has two names is described under the shorter one.
    for name, command in sorted(commands.items(), key=lambda item: isinstance(item[1], click.Group)):
        assert command is not None
        yield from _command(command, click.Context(command, info_name=name, parent=context), places)


def _command(
    command: click.Command, context: click.Context, places: dict[click.Command, str]
) -> Iterator[str]:
    if isinstance(command, click.Group):
        yield from _group(command, context, places)
        return
    if place := places.get(command):
        yield f"## {context.command_path}\n"
        yield f"The same as `{place}`.\n"
        return
    places[command] = context.command_path
    arguments = [str(param.metavar) for param in command.params if isinstance(param, click.Argument)]
    usage = " ".join(filter(None, [context.command_path, "[OPTIONS]" if _rows(command) else "", *arguments]))
    yield f"## {context.command_path}\n"
    yield f"    {usage}\n"
    yield _paragraphs(command.help or "")
    yield from _options(command)


def _paragraphs(text: str) -> str:
    return "\n".join(line.strip() for line in text.strip().splitlines()) + "\n"


def _options(command: click.Command) -> Iterator[str]:
    if rows := _rows(command):
        yield "| option | meaning |\n|---|---|"
        yield "\n".join(rows) + "\n"


def _rows(command: click.Command) -> list[str]:
    return [_row(param) for param in command.params if isinstance(param, click.Option) and not param.hidden]


def _row(option: click.Option) -> str:
    names = ", ".join([*option.opts, *option.secondary_opts])
    value = "" if option.is_flag else f" {option.metavar}"
    return f"| `{names}{value}` | {option.help} |"


if __name__ == "__main__":
    sys.stdout.write(reference())
