"""The ``linwin`` command: finds the subcommand, and turns its end into an exit code.

A subcommand's module is imported only when it is called; that, and what
:mod:`linwin.client` leaves out, is what makes ``linwin ps`` quick.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click
from click.core import ParameterSource

from linwin import __version__
from linwin.cli import failures
from linwin.cli.groups import LazyGroup
from linwin.cli.options import setting, tls_settings
from linwin.errors import LinwinError

# Name → module and function within linwin.cli.
COMMANDS = {
    "attach": "attach:attach",
    "build": "build:build",
    "builder": "builder:builder",
    "checkpoint": "checkpoint:checkpoint",
    "completion": "completion:completion",
    "commit": "commit:commit",
    "console": "console:console",
    "container": "container:container",
    "context": "context:context",
    "cp": "cp:cp",
    "create": "create:create",
    "daemon": "daemon:daemon",
    "diff": "diff:diff",
    "events": "events:events",
    "exec": "exec:exec",
    "export": "export:export",
    "history": "history:history",
    "image": "image:image",
    "images": "images:images",
    "import": "import_:import_",
    "info": "info:info",
    "inspect": "inspect:inspect",
    "kill": "kill:kill",
    "load": "load:load",
    "login": "login:login",
    "logout": "logout:logout",
    "logs": "logs:logs",
    "network": "network:network",
    "pause": "pause:pause",
    "port": "port:port",
    "ps": "ps:ps",
    "pull": "pull:pull",
    "push": "push:push",
    "rename": "rename:rename",
    "restart": "restart:restart",
    "rm": "rm:rm",
    "rmi": "rmi:rmi",
    "run": "run:run",
    "save": "save:save",
    "screenshot": "screenshot:screenshot",
    "search": "search:search",
    "start": "start:start",
    "stats": "stats:stats",
    "stop": "stop:stop",
    "system": "system:system",
    "tag": "tag:tag",
    "template": "template:template",
    "top": "top:top",
    "unpause": "unpause:unpause",
    "update": "update:update",
    "version": "version:version",
    "volume": "volume:volume",
    "wait": "wait:wait",
}


@click.group(cls=LazyGroup, members=COMMANDS, context_settings={"max_content_width": 100})
@setting(
    "-H",
    "--host",
    metavar="ADDRESS",
    variable="LINWIN_HOST",
    help="Daemon to talk to, unix:///PATH, tcp://HOST:PORT or ssh://USER@HOST (default $LINWIN_HOST).",
)
@tls_settings
@click.option(
    "-c",
    "--context",
    "context_name",
    metavar="NAME",
    help="One of docker's contexts instead of --host (default $LINWIN_CONTEXT): see linwin context ls.",
)
@click.version_option(__version__, "-v", "--version", message="linwin version %(version)s")
@click.pass_context
def linwin(ctx: click.Context, context_name: str | None) -> None:
    """Windows containers on a Linux host."""
    if context_name and ctx.get_parameter_source("host") is ParameterSource.COMMANDLINE:
        raise click.UsageError("conflicting options: cannot specify both --host and --context", ctx)
    # docker's order: what is said here, then the host, then the context of the environment.
    chosen = context_name or ("" if os.environ.get("LINWIN_HOST") else os.environ.get("LINWIN_CONTEXT"))
    if chosen:
        from linwin.cli import docker_contexts

        docker_contexts.use(chosen)
    ctx.obj = chosen


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line, ``sys.argv`` by default; returns the exit code.

    125 for an unreadable command line and for a ``run`` that the daemon
    refused, 126 and 127 for an entrypoint that cannot be run or is not there,
    130 after an interrupt, the container's own code for ``run``, ``attach``,
    ``start -a`` and a ``build`` in which a command failed, and otherwise 0 or 1.
    All of them are docker's.
    """
    try:
        result = linwin.main(arguments, prog_name="linwin", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        return failures.usage(error)
    except click.Abort:
        return failures.INTERRUPTED
    except LinwinError as error:
        failures.show(error)
        return failures.FAILED
    except BrokenPipeError:
        # Nobody reads our answer any more. What is still buffered must not fail again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return failures.FAILED
    return result if isinstance(result, int) else 0
