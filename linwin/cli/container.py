"""``linwin container``: the commands for containers under docker's second name for them."""

from __future__ import annotations

import click

from linwin.cli.groups import LazyGroup

MEMBERS = {
    "attach": "attach:attach",
    "cp": "cp:cp",
    "create": "create:create",
    "diff": "diff:diff",
    "exec": "exec:exec",
    "inspect": "inspect:container_inspect",
    "kill": "kill:kill",
    "logs": "logs:logs",
    "ls": "ps:ps",
    "pause": "pause:pause",
    "port": "port:port",
    "prune": "prune:container_prune",
    "rename": "rename:rename",
    "restart": "restart:restart",
    "rm": "rm:rm",
    "run": "run:run",
    "start": "start:start",
    "stats": "stats:stats",
    "stop": "stop:stop",
    "top": "top:top",
    "unpause": "unpause:unpause",
    "update": "update:update",
    "wait": "wait:wait",
}


ALIASES = {"list": "ls", "ps": "ls", "remove": "rm"}
UNSUPPORTED = {
    "commit": "unsupported:commit",
    "export": "unsupported:export",
}


@click.group(cls=LazyGroup, members=MEMBERS, aliases=ALIASES, unlisted=UNSUPPORTED)
def container() -> None:
    """Manage containers."""
