"""``linwin exec``: run another program in a running container."""

from __future__ import annotations

from typing import Any

import click

from linwin.cli import failures
from linwin.cli.connect import connect
from linwin.cli.container_body import console_size
from linwin.cli.failures import WrongArguments
from linwin.cli.key_values import environment
from linwin.cli.options import complete_names, detach_keys_option
from linwin.cli.session import carry, detached
from linwin.client import Client, quote


def _container_and_command(
    ctx: click.Context, param: click.Parameter, words: tuple[str, ...]
) -> tuple[str, ...]:
    if len(words) < 2:
        raise WrongArguments(f"'{ctx.command_path}' requires at least 2 arguments", ctx)
    return words


@click.command(context_settings={"allow_interspersed_args": False})
@click.option("-d", "--detach", is_flag=True, help="Leave it running in the background.")
@click.option(
    "-e", "--env", multiple=True, metavar="NAME[=VALUE]",
    help="Set an environment variable, a name alone to our own value. Repeatable.",
)  # fmt: skip
@click.option(
    "--env-file", "env_files", multiple=True, metavar="FILE",
    help="Read environment variables from a file. Repeatable.",
)  # fmt: skip
@detach_keys_option()
@click.option("-i", "--interactive", is_flag=True, help="Connect standard input.")
@click.option("--privileged", is_flag=True, help="Accepted and without effect: a guest has no more rights.")
@click.option("-t", "--tty", is_flag=True, help="Give it a terminal: ours, with -i.")
@click.option("-u", "--user", metavar="NAME", default="", help="User to run as (the container's by default).")
@click.option(
    "-w", "--workdir", metavar="DIRECTORY", default="", help="Working directory (the container's by default)."
)
@click.argument(
    "words",
    nargs=-1,
    type=click.UNPROCESSED,
    metavar="CONTAINER COMMAND [ARG...]",
    callback=_container_and_command,
    shell_complete=complete_names,
)
def exec(detach: bool, detach_keys: str | None, words: tuple[str, ...], **options: Any) -> int:
    """Run a program in a running container, with the container's environment.

    The exit code is the program's; 126 and 127 when it could not be run or does
    not exist, 1 when the container does not run. Its output is not logged.
    """
    tty, interactive = options["tty"], options["interactive"]
    if tty and interactive and not detach:
        from linwin.cli import terminal

        terminal.require("Leave out -t: exec -i passes standard input on as it is.")
    client = connect()
    container, *command = words
    body = {**_body(command, options, detach=detach), "DetachKeys": detach_keys}
    identity = client.post(f"/containers/{quote(container)}/exec", body=body)["Id"]
    if detach:
        client.post(f"/exec/{identity}/start", body={"Detach": True})
        return 0
    return _run(client, identity, stdin=interactive, tty=tty)


def _body(command: list[str], options: dict[str, Any], *, detach: bool) -> dict[str, Any]:
    """The body of ``POST /containers/{id}/exec`` (Docker Engine API, "ContainerExec")."""
    return {
        "Cmd": command,
        "Env": environment(options["env_files"], options["env"]),
        "WorkingDir": options["workdir"],
        "User": options["user"],
        "Privileged": options["privileged"],
        "Tty": options["tty"],
        **console_size(options),
        "AttachStdin": options["interactive"] and not detach,
        "AttachStdout": not detach,
        "AttachStderr": not detach,
    }


def _run(client: Client, identity: str, *, stdin: bool, tty: bool) -> int:
    with client.start_exec(identity) as attachment:
        carry(client, attachment, f"/exec/{identity}", stdin=stdin, tty=tty)
    state = client.get(f"/exec/{identity}/json")
    return detached() if tty and state["Running"] else failures.exit_code(state["ExitCode"] or 0)
