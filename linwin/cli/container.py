"""``linwin container``: the commands for containers under docker's second name for them."""

from __future__ import annotations

import click

from linwin.cli.groups import LazyGroup

MEMBERS = {
    "attach": "attach:attach",
    "commit": "commit:commit",
    "cp": "cp:cp",
    "create": "create:create",
    "diff": "diff:diff",
    "exec": "exec:exec",
    "export": "export:export",
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


@click.group(cls=LazyGroup, members=MEMBERS, aliases=ALIASES)
def container() -> None:
    """Manage containers."""
