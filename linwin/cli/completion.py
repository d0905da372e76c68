"""``linwin completion``: the script that makes a shell complete linwin's command lines."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click
from click.shell_completion import CompletionItem, get_completion_class

from linwin.client import Client
from linwin.errors import LinwinError

SHELLS = ("bash", "zsh", "fish")
PATIENCE = 2.0
"""Seconds that somebody who pressed a key is made to wait for a daemon."""


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print a shell's completion script, as in: source <(linwin completion bash)."""
    from linwin.cli.main import linwin

    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(linwin, {}, "linwin", "_LINWIN_COMPLETE").source())


def names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """What may stand for an argument, by what its help calls it. Starts no daemon, and fails in silence."""
    first, *more = str(param.metavar).split()
    word = first.partition("[")[0].partition(":")[0]
    if ctx.params.get(str(param.name)) and (not more or word not in more[0]):
        return []  # the next word is another thing: a command, a new name
    try:
        known = list(_known(word))
    except LinwinError:  # no daemon: nothing to choose from, and no place to say so
        return []
    return [CompletionItem(name) for name in known if name.startswith(incomplete)]


def _known(word: str) -> Iterable[str]:
    if word == "CONTAINER":
        return (name.removeprefix("/") for item in _get("/containers/json") for name in item["Names"])
    if word in ("IMAGE", "SOURCE_IMAGE"):
        return (tag for item in _get("/images/json") for tag in item["RepoTags"])
    if word == "NETWORK":
        return (item["Name"] for item in _get("/networks"))
    if word == "VOLUME":
        return (item["Name"] for item in _get("/volumes")["Volumes"])
    return ()


def _get(path: str) -> Any:
    return Client(timeout=PATIENCE).get(path, all=True)
